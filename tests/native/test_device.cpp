// Programs on a device that is none: memory by streams, results, graphs, failures in the middle of a call.

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "alloc.h"
#include "call.h"
#include "check.h"
#include "device.h"

namespace {

constexpr int64_t kFloat = 2;

// Memory of the host; a kernel is a function of its parameters.
class Host final : public pit::Device {
 public:
  using Kernel = void (*)(void **parameters);

  int32_t dlpackType() const override { return 1; }
  int32_t ordinal() const override { return 0; }
  bool isSynchronous() const override { return false; }
  bool begin(const pit::Span *spans, int64_t count) override {
    uint64_t sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += spans[i].bytes;
    spanBytes = sum;
    return true;
  }
  void end() override {}
  void *allocate(uint64_t bytes) override { return isFull ? nullptr : std::aligned_alloc(512, (bytes + 511) / 512 * 512); }
  void free(void *memory) override { std::free(memory); }
  void *allocateOnHost(uint64_t bytes) override { return std::malloc(bytes); }
  void freeOnHost(void *memory) override { std::free(memory); }
  bool copy(void *to, const void *from, uint64_t bytes, void *) override {
    if (bytes == sizeof(int32_t)) {
      // The word of the checks, as a device writes it while the host reads it.
      __atomic_store_n(static_cast<int32_t *>(to), *static_cast<const int32_t *>(from), __ATOMIC_RELAXED);
    } else {
      std::memcpy(to, from, bytes);
    }
    return true;
  }
  bool fill(void *to, uint8_t value, uint64_t bytes, void *) override {
    std::memset(to, value, bytes);
    return true;
  }
  bool upload(void *to, const void *from, uint64_t bytes) override { return copy(to, from, bytes, nullptr); }
  bool synchronize(void *) override { return true; }
  bool isCapturing(void *, bool &answer) override {
    answer = capturing;
    return true;
  }
  void *load(const void *image, uint64_t) override { return const_cast<void *>(image); }
  void unload(void *) override { ++unloaded; }
  void *function(void *module, const char *) override { return module; }
  bool describe(const pit::TensorShape &tensor, void *map) override {
    if (failing) return pit::noteFailure("the tensor cannot be described");
    std::memcpy(map, &tensor, sizeof(tensor));
    return true;
  }
  bool launch(void *function, const pit::Grid &, void **parameters, void *) override {
    if (failing) return pit::noteFailure("the launch fails");
    reinterpret_cast<Kernel>(function)(parameters);
    return true;
  }

  bool isFull = false, capturing = false, failing = false;
  std::atomic<uint64_t> spanBytes = 0;
  int unloaded = 0;
};

struct Vector {
  float *allocated, *aligned;
  int64_t offset, size, stride;
};

void addOneKernel(void **parameters) {
  const float *from = *static_cast<float **>(parameters[0]);
  float *to = *static_cast<float **>(parameters[1]);
  const int64_t size = *static_cast<int64_t *>(parameters[2]);
  for (int64_t i = 0; i < size; ++i) to[i] = from[i] + 1;
}

Vector fresh(int64_t size) {
  auto *data = static_cast<float *>(_mlir_memref_to_llvm_alloc(static_cast<uint64_t>(size) * sizeof(float)));
  return {data, data, 0, size, 1};
}

// x -> (x + 1, x), with a buffer that the program frees and one that the call gives back.
struct Two {
  Vector sum, same;
};
void addOne(void **packed) {
  auto &results = **static_cast<Two **>(packed[0]);
  Vector x = **static_cast<Vector **>(packed[1]);
  _mlir_memref_to_llvm_free(fresh(7).allocated);
  fresh(100);
  Vector sum = fresh(x.size);
  void *parameters[] = {&x.aligned, &sum.aligned, &x.size};
  pit_gpu_launch(0, x.size, 1, 1, 32, 1, 1, 0, parameters);
  results = {sum, x};
}

constexpr int64_t kSignature[] = {1, 2, 1, -1, 1, kFloat, 32, 1, kFloat, 32};
constexpr int64_t kItemBytes[] = {4};

struct Outcome {
  int64_t status, detail;
  struct {
    pit::DeviceBlock *owner;
    float *data;
    int64_t size;
  } results[2];
};

Outcome call(pit::Loaded *loaded, std::vector<float> &x, void *stream, void (*entry)(void **) = addOne) {
  Outcome outcome{};
  const int64_t values[] = {reinterpret_cast<int64_t>(x.data()), static_cast<int64_t>(x.size())};
  pit_invoke_on(entry, kSignature, values, &outcome.status, kItemBytes, loaded, stream);
  return outcome;
}

void verifyAndRelease(const Outcome &outcome, float value) {
  CHECK(outcome.status == pit::kDone);
  for (const auto &result : outcome.results) {
    const float expected = value + (&result == outcome.results ? 1.0f : 0.0f);
    for (int64_t i = 0; i < result.size; ++i) CHECK(result.data[i] == expected);
    pit::releaseOnDevice(result.owner);
  }
}

pit::Loaded *load(Host &device) {
  const char *names[] = {"add"};
  return pit_device_load(&device, reinterpret_cast<const void *>(addOneKernel), 0, names, 1);
}

void memoryIsOfItsStream(Host &device) {
  pit::Loaded *loaded = load(device);
  std::vector<float> x(1000, 2.0f);
  int streams[2];
  verifyAndRelease(call(loaded, x, &streams[0]), 2);
  CHECK(device.spanBytes == 4000);
  CHECK(pit_device_live_bytes(&device) == 0);
  const uint64_t kept = pit_device_cached_bytes(&device);
  verifyAndRelease(call(loaded, x, &streams[0]), 2);
  CHECK(pit_device_cached_bytes(&device) == kept);
  verifyAndRelease(call(loaded, x, &streams[1]), 2);
  CHECK(pit_device_cached_bytes(&device) == 2 * kept);
  pit_device_trim(&device);
  CHECK(pit_device_cached_bytes(&device) == 0);
  pit_device_unload(loaded);
  CHECK(device.unloaded == 1);
}

void failuresEndTheCall(Host &device) {
  pit::Loaded *loaded = load(device);
  std::vector<float> x(10, 1.0f);
  device.failing = true;
  CHECK(call(loaded, x, nullptr).status == pit::kDeviceFailed);
  CHECK(std::strcmp(pit_device_failure(), "the launch fails") == 0);
  device.failing = false;
  pit_device_trim(&device);
  device.isFull = true;
  const Outcome outcome = call(loaded, x, nullptr);
  CHECK(outcome.status == pit::kOutOfMemory && outcome.detail == 28);
  device.isFull = false;
  CHECK(pit_device_live_bytes(&device) == 0);
  verifyAndRelease(call(loaded, x, nullptr), 1);
  pit_device_trim(&device);
  pit_device_unload(loaded);
}

static_assert(sizeof(pit::TensorShape) <= pit::kTensorMapBytes);

// The maps of a launch are there together; what has no elements is described to nobody.
void describeTwo(void **packed) {
  const Vector x = **static_cast<Vector **>(packed[1]);
  auto *begin = reinterpret_cast<char *>(x.aligned);
  const auto *one = static_cast<pit::TensorShape *>(
      pit_gpu_tensor_map(begin, 16, 2, 3, 64, 5, 2, 1, 1, 128, 640, 0, 0, 64, 8));
  const auto *none = static_cast<pit::TensorShape *>(
      pit_gpu_tensor_map(begin + 1, 0, 2, 2, 64, 0, 1, 1, 1, 3, 0, 0, 0, 64, 128));
  CHECK(reinterpret_cast<uintptr_t>(one) % pit::kTensorMapAlignment == 0);
  CHECK(reinterpret_cast<uintptr_t>(none) % pit::kTensorMapAlignment == 0);
  CHECK(one->address == begin + 16 && one->elementBytes == 2 && one->dimensions == 3 && one->swizzleBytes == 128);
  CHECK(one->sizes[0] == 64 && one->sizes[1] == 5 && one->sizes[2] == 2);
  CHECK(one->strides[0] == 128 && one->strides[1] == 640);
  CHECK(one->box[0] == 64 && one->box[1] == 8 && one->box[2] == 1);
  CHECK(none->address == nullptr);
  addOne(packed);
}

void kernelsTakeTensorMaps(Host &device) {
  pit::Loaded *loaded = load(device);
  std::vector<float> x(10, 1.0f);
  verifyAndRelease(call(loaded, x, nullptr, describeTwo), 1);
  device.failing = true;
  CHECK(call(loaded, x, nullptr, describeTwo).status == pit::kDeviceFailed);
  CHECK(std::strcmp(pit_device_failure(), "the tensor cannot be described") == 0);
  device.failing = false;
  pit_device_trim(&device);
  pit_device_unload(loaded);
}

int taken = 0;
pit::Loaded *volatile captured = nullptr;  // stays until the process ends: no leak

void graphsKeepNothing(Host &device) {
  pit::Loaded *loaded = load(device);
  std::vector<float> x(10, 1.0f);
  device.capturing = true;
  CHECK(call(loaded, x, nullptr).status == pit::kDeviceFailed);
  pit_device_set_allocator(
      &device, [](uint64_t bytes, void *) { return ++taken, std::malloc(bytes); },
      [](void *memory, void *) { --taken, std::free(memory); });
  const Outcome outcome = call(loaded, x, nullptr);
  CHECK(taken == 2);
  verifyAndRelease(outcome, 1);
  CHECK(taken == 0 && pit_device_cached_bytes(&device) == 0);
  device.capturing = false;
  const int before = device.unloaded;
  pit_device_unload(loaded);
  CHECK(device.unloaded == before);
  captured = loaded;
  pit_device_set_allocator(&device, nullptr, nullptr);
}

void callsFromSeveralThreads(Host &device) {
  pit::Loaded *loaded = load(device);
  std::vector<std::thread> threads;
  for (int number = 0; number < 4; ++number)
    threads.emplace_back([&, number] {
      std::vector<float> x(100 + number, static_cast<float>(number));
      for (int i = 0; i < 200; ++i) verifyAndRelease(call(loaded, x, nullptr), static_cast<float>(number));
    });
  for (std::thread &thread : threads) thread.join();
  pit_device_trim(&device);
  pit_device_unload(loaded);
}

}  // namespace

int main() {
  Host device;
  memoryIsOfItsStream(device);
  failuresEndTheCall(device);
  graphsKeepNothing(device);
  kernelsTakeTensorMaps(device);
  Host another;
  callsFromSeveralThreads(another);
  return 0;
}
