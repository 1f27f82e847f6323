// The emulated machine as a device of programs. Its memory is that of the host.
#include "../device.h"

#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "machine.h"
#include "tensor_map.h"

namespace pit::emulator {
namespace {

constexpr size_t kAlignment = 256;  // of memory, as CUDA's is

// An image: kernels, made by Python, which keeps what they point to.
struct Image {
  const Kernel *kernels;
  uint64_t count;
};

class Emulator final : public Device {
 public:
  int32_t dlpackType() const override { return 1; }
  int32_t ordinal() const override { return 0; }
  bool isSynchronous() const override { return true; }
  // What is freed must not be used, nor what lies behind a buffer.
  bool keepsMemory() const override { return false; }

  bool begin(const Span *arguments, int64_t count) override {
    std::lock_guard lock(machine().mutex);
    for (int64_t i = 0; i < count; ++i) {
      if (machine().ranges.add(arguments[i].begin, arguments[i].bytes, true)) continue;
      while (i-- > 0) machine().ranges.remove(arguments[i].begin);
      return noteFailure("the emulator is out of memory");
    }
    calls_.emplace_back(arguments, arguments + count);
    return true;
  }

  void end() override {
    std::lock_guard lock(machine().mutex);
    for (const Span &argument : calls_.back()) machine().ranges.remove(argument.begin);
    calls_.pop_back();
  }

  void *allocate(uint64_t bytes) override {
    void *memory = allocateOnHost(bytes);
    if (memory == nullptr) return nullptr;
    std::memset(memory, 0xff, bytes);
    std::lock_guard lock(machine().mutex);
    machine().ranges.add(memory, bytes, false);
    return memory;
  }

  void free(void *memory) override {
    std::lock_guard lock(machine().mutex);
    machine().ranges.remove(memory);
    freeOnHost(memory);
  }

  // Not from our allocator of the host, whose blocks belong to the call under way.
  void *allocateOnHost(uint64_t bytes) override {
    return std::aligned_alloc(kAlignment, (bytes + kAlignment) / kAlignment * kAlignment);
  }
  void freeOnHost(void *memory) override { std::free(memory); }

  bool copy(void *to, const void *from, uint64_t bytes, void *) override {
    std::memmove(to, from, bytes);
    return written(to, bytes);
  }

  bool fill(void *to, uint8_t value, uint64_t bytes, void *) override {
    std::memset(to, value, bytes);
    return written(to, bytes);
  }

  bool upload(void *to, const void *from, uint64_t bytes) override { return copy(to, from, bytes, nullptr); }
  bool synchronize(void *) override { return true; }

  bool isCapturing(void *, bool &answer) override {
    answer = false;
    return true;
  }

  void *load(const void *image, uint64_t bytes) override {
    if (bytes != sizeof(Image)) return noteFailure("the image is not one of the emulator"), nullptr;
    return new Image(*static_cast<const Image *>(image));
  }

  void unload(void *module) override { delete static_cast<Image *>(module); }

  void *function(void *module, const char *name) override {
    const auto *image = static_cast<const Image *>(module);
    for (uint64_t i = 0; i < image->count; ++i)
      if (std::strcmp(image->kernels[i].name, name) == 0) return const_cast<Kernel *>(&image->kernels[i]);
    noteFailure("the image has no kernel @%s", name);
    return nullptr;
  }

  bool describe(const TensorShape &tensor, void *map) override {
    return pit_emulator_encode_tensor_map(map, tensor.elementBytes, tensor.dimensions, tensor.address, tensor.sizes,
                                          tensor.strides, tensor.box, tensor.swizzleBytes) ||
           noteFailure("the copy engine takes no boxes of %u x %u elements of a tensor at %p", tensor.box[0],
                       tensor.box[1], tensor.address);
  }

  bool launch(void *function, const Grid &grid, void **parameters, void *) override {
    std::lock_guard lock(machine().mutex);
    if (machine().run(*static_cast<const Kernel *>(function), grid, parameters)) return true;
    const std::string &at = machine().location;
    return noteFailure("%s%s%s", at.c_str(), at.empty() ? "" : ": ", machine().message.c_str());
  }

 private:
  bool written(void *to, uint64_t bytes) {
    std::lock_guard lock(machine().mutex);
    machine().ranges.markWritten(to, bytes);
    return true;
  }

  static thread_local std::vector<std::vector<Span>> calls_;  // those under way on this thread
};

thread_local std::vector<std::vector<Span>> Emulator::calls_;

// What the last launch without a program on this thread failed with.
thread_local std::string failedMessage, failedLocation;

}  // namespace
}  // namespace pit::emulator

using namespace pit::emulator;

extern "C" {

pit::Device *pit_emulator_device() {
  static auto *device = new Emulator;
  return device;
}

// Whether each access is compared with those before it; bounds are always checked. Returns what held before.
bool pit_emulator_set_checks(bool checks) { return std::exchange(machine().checks, checks); }

// Memory that kernels may touch, for who launches kernels without a program.
bool pit_emulator_add_memory(void *begin, uint64_t bytes, bool initialized) {
  std::lock_guard lock(machine().mutex);
  return machine().ranges.add(begin, bytes, initialized);
}

void pit_emulator_remove_memory(void *begin) {
  std::lock_guard lock(machine().mutex);
  machine().ranges.remove(begin);
}

// False after a failure: `pit_emulator_message` and `pit_emulator_location` tell it, on the same thread.
bool pit_emulator_launch(const Kernel *kernel, const pit::Grid *grid, void **parameters) {
  std::lock_guard lock(machine().mutex);
  if (machine().run(*kernel, *grid, parameters)) return true;
  failedMessage = machine().message;
  failedLocation = machine().location;
  return false;
}

const char *pit_emulator_message() { return failedMessage.c_str(); }
const char *pit_emulator_location() { return failedLocation.c_str(); }
}
