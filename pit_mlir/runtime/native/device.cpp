#include "device.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <limits>

#include "call.h"

namespace pit {
namespace {

constexpr uint64_t kScratchBytes = 4096;
constexpr int32_t kNoCheck = -1;
constexpr uint32_t kSwizzleBytes = 128;  // as wgmma reads tiles

thread_local char failure[5120] = "";

const Placement &placement() { return *currentCall->placement; }
Device &device() { return *placement().loaded->device; }

// Sets the word on the device and what was seen of it to "no check has failed".
bool resetChecks(Loaded &loaded, void *stream) {
  __atomic_store_n(loaded.seenWord, kNoCheck, __ATOMIC_RELAXED);
  return loaded.device->fill(loaded.checkWord, 0xff, sizeof(int32_t), stream);
}

bool prepare(Loaded &loaded, const char *const *names, int32_t count) {
  Device &device = *loaded.device;
  for (int32_t i = 0; i < count; ++i) {
    loaded.functions.push_back(device.function(loaded.module, names[i]));
    if (loaded.functions.back() == nullptr) return false;
  }
  loaded.checkWord = static_cast<int32_t *>(device.allocate(kScratchBytes));
  loaded.seenWord = static_cast<int32_t *>(device.allocateOnHost(sizeof(int32_t)));
  if (loaded.checkWord == nullptr || loaded.seenWord == nullptr)
    return noteFailure("no memory left on the device for a program");
  *loaded.seenWord = kNoCheck;
  return device.upload(loaded.checkWord, loaded.seenWord, sizeof(int32_t));
}

void destroy(Loaded *loaded) {
  Device &device = *loaded->device;
  for (const auto &[host, constant] : loaded->constants) device.free(constant);
  if (loaded->checkWord != nullptr) device.free(loaded->checkWord);
  if (loaded->seenWord != nullptr) device.freeOnHost(loaded->seenWord);
  if (loaded->module != nullptr) device.unload(loaded->module);
  delete loaded;
}

}  // namespace

bool noteFailure(const char *format, ...) {
  if (*failure != '\0') return false;
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(failure, sizeof(failure), format, arguments);
  va_end(arguments);
  return false;
}

void forgetFailure() { *failure = '\0'; }

void beginOnDevice(Call &call, const Span *arguments, int64_t count) {
  Loaded &loaded = *call.placement->loaded;
  forgetFailure();
  call.hasBegun = loaded.device->begin(arguments, count);
  if (!call.hasBegun || !loaded.device->isCapturing(call.placement->stream, call.isCapturing)) endCall(call);
  if (call.isCapturing) {
    loaded.wasCaptured = true;
    return;
  }
  const int32_t seen = __atomic_load_n(loaded.seenWord, __ATOMIC_ACQUIRE);
  if (seen == kNoCheck) return;
  if (!resetChecks(loaded, call.placement->stream)) endCall(call);
  call.failed = seen;
  call.failedEarlier = true;
}

void finishOnDevice(Call &call) {
  const auto [loaded, stream] = *call.placement;
  if (!loaded->device->copy(loaded->seenWord, loaded->checkWord, sizeof(int32_t), stream)) endCall(call);
  if (!loaded->device->isSynchronous() || *loaded->seenWord == kNoCheck) return;
  call.failed = *loaded->seenWord;
  if (!resetChecks(*loaded, stream)) endCall(call);
}

void endOnDevice(Call &call) {
  while (call.deviceBlocks != nullptr) releaseOnDevice(call.deviceBlocks);
  if (call.hasBegun) call.placement->loaded->device->end();
}

void *allocateOnDevice(Call &call, uint64_t bytes) {
  DeviceMemory &memory = call.placement->loaded->device->memory;
  DeviceBlock *block = memory.allocate(bytes, call.placement->stream, &call, call.isCapturing);
  if (block != nullptr) return block->memory;
  call.missingBytes = bytes;
  endCall(call);
}

void releaseOnDevice(DeviceBlock *block) { block->device->memory.release(block); }

void *emptyOnDevice(const Call &call) { return call.placement->loaded->checkWord + 1; }

}  // namespace pit

using namespace pit;

extern "C" {

void pit_gpu_launch(int32_t kernel, int64_t blocksX, int64_t blocksY, int64_t blocksZ, int64_t threadsX,
                    int64_t threadsY, int64_t threadsZ, int32_t sharedBytes, void **parameters) {
  const int64_t sizes[] = {blocksX, blocksY, blocksZ, threadsX, threadsY, threadsZ};
  if (std::find(sizes, sizes + 6, 0) != sizes + 6) return;
  constexpr int64_t kLargest = std::numeric_limits<int32_t>::max();
  if (!std::all_of(sizes, sizes + 6, [](int64_t size) { return 0 < size && size <= kLargest; })) {
    noteFailure("kernel %d would be launched with %lld x %lld x %lld blocks: the tensors are too large", kernel,
                static_cast<long long>(blocksX), static_cast<long long>(blocksY), static_cast<long long>(blocksZ));
    endCall(*currentCall);
  }
  const auto size = [&](int place) { return static_cast<uint32_t>(sizes[place]); };
  const Grid grid{{size(0), size(1), size(2)}, {size(3), size(4), size(5)}, static_cast<uint32_t>(sharedBytes)};
  void *function = placement().loaded->functions[static_cast<size_t>(kernel)];
  if (!device().launch(function, grid, parameters, placement().stream)) endCall(*currentCall);
}

void *pit_gpu_tensor_map(char *address, int64_t bytes, int64_t elementBytes, int64_t dimensions, int64_t size0,
                         int64_t size1, int64_t size2, int64_t size3, int64_t size4, int64_t stride1, int64_t stride2,
                         int64_t stride3, int64_t stride4, int64_t box0, int64_t box1) {
  // A launch takes a few, and copies them: those of the launches before are not needed any more.
  constexpr uint32_t kMostAtOnce = 8;
  alignas(kTensorMapAlignment) static thread_local char maps[kMostAtOnce][kTensorMapBytes];
  static thread_local uint32_t next = 0;
  char *map = maps[next++ % kMostAtOnce];
  const auto small = [](int64_t number) { return static_cast<uint32_t>(number); };
  const auto wide = [](int64_t number) { return static_cast<uint64_t>(number); };
  const TensorShape tensor{address + bytes,
                           small(elementBytes),
                           small(dimensions),
                           {wide(size0), wide(size1), wide(size2), wide(size3), wide(size4)},
                           {wide(stride1), wide(stride2), wide(stride3), wide(stride4)},
                           {small(box0), small(box1), 1, 1, 1},
                           kSwizzleBytes};
  if (std::find(tensor.sizes, tensor.sizes + dimensions, 0) != tensor.sizes + dimensions) {
    // Kernels ask for no box of what has no elements.
    std::fill_n(map, kTensorMapBytes, 0);
  } else if (!device().describe(tensor, map)) {
    endCall(*currentCall);
  }
  return map;
}

void pit_gpu_copy(void *to, const void *from, uint64_t bytes) {
  if (bytes != 0 && to != from && !device().copy(to, from, bytes, placement().stream)) endCall(*currentCall);
}

void pit_gpu_fill(void *to, int32_t byte, uint64_t bytes) {
  if (bytes != 0 && !device().fill(to, static_cast<uint8_t>(byte), bytes, placement().stream)) endCall(*currentCall);
}

void _mlir_ciface_pit_gpu_check_word(PitCheckWord *word) {
  int32_t *place = placement().loaded->checkWord;
  *word = {place, place, 0, 1, 1};
}

void *pit_gpu_constant(const void *host, uint64_t bytes) {
  Loaded &loaded = *placement().loaded;
  Device &device = *loaded.device;
  std::unique_lock lock(loaded.mutex);
  if (const auto found = loaded.constants.find(host); found != loaded.constants.end()) return found->second;
  void *copy = device.allocate(std::max<uint64_t>(bytes, 1));
  if (copy != nullptr && device.upload(copy, host, bytes)) {
    loaded.constants.emplace(host, copy);
    return copy;
  }
  if (copy != nullptr) device.free(copy);
  lock.unlock();  // `endCall` runs no destructors
  currentCall->missingBytes = bytes;
  endCall(*currentCall);
}

const char *pit_device_failure() { return failure; }

void pit_device_set_allocator(Device *device, DeviceMemory::Allocate allocate, DeviceMemory::Free free) {
  device->memory.setAllocator(allocate, free);
}

void pit_device_trim(Device *device) { device->memory.trim(); }
uint64_t pit_device_live_bytes(const Device *device) { return device->memory.liveBytes(); }
uint64_t pit_device_cached_bytes(const Device *device) { return device->memory.cachedBytes(); }

Loaded *pit_device_load(Device *device, const void *image, uint64_t bytes, const char *const *names, int32_t count) {
  forgetFailure();
  auto *loaded = new Loaded;
  loaded->device = device;
  loaded->module = device->load(image, bytes);
  if (loaded->module != nullptr && prepare(*loaded, names, count)) return loaded;
  destroy(loaded);
  return nullptr;
}

void pit_device_unload(Loaded *loaded) {
  // A captured graph may be replayed at any time.
  if (!loaded->wasCaptured) destroy(loaded);
}

int64_t pit_device_synchronize(Loaded *loaded, void *stream) {
  forgetFailure();
  if (!loaded->device->synchronize(stream)) return kDeviceFailed;
  const int32_t seen = *loaded->seenWord;
  if (seen == kNoCheck) return kDone;
  return resetChecks(*loaded, stream) ? seen : kDeviceFailed;
}
}
