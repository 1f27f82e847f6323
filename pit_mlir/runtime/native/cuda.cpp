#include "cuda.h"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "cuda_driver.h"

namespace pit::cuda {
namespace {

constexpr int32_t kDlpackCuda = 2;
constexpr uint32_t kPlainSharedBytes = 48 << 10;  // what every kernel may have without asking

struct Kernel {
  Function function;
  std::string name;
  std::atomic<uint32_t> sharedBytes{kPlainSharedBytes};  // that it may have
};

struct Image {
  Module module;
  std::vector<std::unique_ptr<Kernel>> kernels;
};

Pointer address(const void *memory) { return reinterpret_cast<Pointer>(memory); }

// Makes a context the current one of this thread.
class Current {
 public:
  Current(const Driver &driver, Context context) : driver(driver) {
    Context before = nullptr;
    if (!driver.check(driver.currentContext(&before), "asking for the current context")) return;
    pushed = before != context;
    isSet = !pushed || driver.check(driver.pushContext(context), "entering the device's context");
    pushed = pushed && isSet;
  }
  ~Current() {
    Context context;
    if (pushed) driver.popContext(&context);
  }
  Current(const Current &) = delete;
  Current &operator=(const Current &) = delete;

  bool isSet = false;

 private:
  const Driver &driver;
  bool pushed = false;
};

// Allows what a capture of a graph on another thread or stream would forbid.
class Relaxed {
 public:
  explicit Relaxed(const Driver &driver) : driver(driver) { driver.exchangeCaptureMode(&mode); }
  ~Relaxed() { driver.exchangeCaptureMode(&mode); }
  Relaxed(const Relaxed &) = delete;
  Relaxed &operator=(const Relaxed &) = delete;

 private:
  const Driver &driver;
  int mode = kRelaxed;
};

class Gpu final : public Device {
 public:
  Gpu(const Driver &driver, int32_t number, Context context) : driver(driver), number(number), context(context) {}

  int32_t dlpackType() const override { return kDlpackCuda; }
  int32_t ordinal() const override { return number; }
  bool isSynchronous() const override { return false; }

  bool begin(const Span *, int64_t) override {
    Context before = nullptr;
    if (!driver.check(driver.currentContext(&before), "asking for the current context")) return false;
    // Pushed in any case, so that `end` need not know: it costs some ten nanoseconds.
    return driver.check(driver.pushContext(context), "entering the context of GPU %d", number);
  }
  void end() override {
    Context popped;
    driver.popContext(&popped);
  }

  void *allocate(uint64_t bytes) override {
    const Current current(driver, context);
    Pointer memory = 0;
    if (!current.isSet) return nullptr;
    const Result code = driver.allocate(&memory, bytes);
    if (code != kOutOfMemory) driver.check(code, "allocating %llu bytes on GPU %d", (unsigned long long)bytes, number);
    return reinterpret_cast<void *>(memory);
  }
  void free(void *memory) override {
    const Current current(driver, context);
    if (current.isSet) driver.free(address(memory));
  }
  void *allocateOnHost(uint64_t bytes) override {
    const Current current(driver, context);
    const Relaxed relaxed(driver);
    void *memory = nullptr;
    if (!current.isSet ||
        !driver.check(driver.allocateOnHost(&memory, bytes, 0), "allocating pinned memory for GPU %d", number))
      return nullptr;
    return memory;
  }
  void freeOnHost(void *memory) override {
    const Current current(driver, context);
    const Relaxed relaxed(driver);
    if (current.isSet) driver.freeOnHost(memory);
  }

  bool copy(void *to, const void *from, uint64_t bytes, void *stream) override {
    return driver.check(driver.copy(address(to), address(from), bytes, static_cast<Stream>(stream)),
                        "copying %llu bytes on GPU %d", (unsigned long long)bytes, number);
  }
  bool fill(void *to, uint8_t value, uint64_t bytes, void *stream) override {
    return driver.check(driver.fill(address(to), value, bytes, static_cast<Stream>(stream)),
                        "filling %llu bytes on GPU %d", (unsigned long long)bytes, number);
  }
  bool upload(void *to, const void *from, uint64_t bytes) override {
    const Current current(driver, context);
    const Relaxed relaxed(driver);
    std::lock_guard lock(mutex);
    if (!current.isSet) return false;
    if (uploads == nullptr &&
        !driver.check(driver.createStream(&uploads, kNonBlocking), "making a stream on GPU %d", number))
      return false;
    return driver.check(driver.copy(address(to), address(from), bytes, uploads), "copying %llu bytes to GPU %d",
                        (unsigned long long)bytes, number) &&
           driver.check(driver.synchronizeStream(uploads), "copying to GPU %d", number);
  }
  bool synchronize(void *stream) override {
    const Current current(driver, context);
    return current.isSet &&
           driver.check(driver.synchronizeStream(static_cast<Stream>(stream)), "waiting for GPU %d", number);
  }
  bool isCapturing(void *stream, bool &answer) override {
    int status = 0;
    const Result code = driver.streamIsCapturing(static_cast<Stream>(stream), &status);
    answer = status != 0;
    return driver.check(code, "asking GPU %d whether a graph is captured", number);
  }

  void *load(const void *image, uint64_t bytes) override {
    const Current current(driver, context);
    const Relaxed relaxed(driver);
    if (!current.isSet) return nullptr;
    char log[4096] = "";
    int names[] = {kErrorLogBuffer, kErrorLogBytes};
    void *values[] = {log, reinterpret_cast<void *>(sizeof(log) - 1)};
    Module module = nullptr;
    const Result code = driver.loadModule(&module, image, 2, names, values);
    if (!driver.check(code, "loading %llu bytes of kernels on GPU %d%s%.3500s", (unsigned long long)bytes, number,
                      *log != '\0' ? ", whose assembler says " : "", log))
      return nullptr;
    return new Image{module, {}};
  }
  void unload(void *module) override {
    auto *image = static_cast<Image *>(module);
    const Current current(driver, context);
    // Kernels may be under way. Where nobody may wait for them now, the code stays.
    if (current.isSet && driver.synchronizeContext() == kSuccess) driver.unloadModule(image->module);
    delete image;
  }
  void *function(void *module, const char *name) override {
    auto *image = static_cast<Image *>(module);
    const Current current(driver, context);
    Function found = nullptr;
    if (!current.isSet ||
        !driver.check(driver.getFunction(&found, image->module, name), "looking for the kernel '%s'", name))
      return nullptr;
    auto kernel = std::make_unique<Kernel>();
    kernel->function = found;
    kernel->name = name;
    image->kernels.push_back(std::move(kernel));
    return image->kernels.back().get();
  }

  bool describe(const TensorShape &tensor, void *map) override {
    const auto element = tensor.elementBytes == 1   ? kBytes
                         : tensor.elementBytes == 2 ? kBytes2
                         : tensor.elementBytes == 4 ? kBytes4
                                                    : kBytes8;
    const auto swizzle = tensor.swizzleBytes == 128  ? kSwizzle128
                         : tensor.swizzleBytes == 64 ? kSwizzle64
                         : tensor.swizzleBytes == 32 ? kSwizzle32
                                                     : kNoSwizzle;
    constexpr uint32_t kEach[TensorShape::kMostDimensions] = {1, 1, 1, 1, 1};
    return driver.check(
        driver.encodeTensorMap(map, element, tensor.dimensions, tensor.address, tensor.sizes, tensor.strides,
                               tensor.box, kEach, 0, swizzle, kPromote256, 0),
        "describing a tensor at %p of %u dimensions (%llu x %llu innermost) to GPU %d, for copies of boxes of %u x %u",
        tensor.address, tensor.dimensions, (unsigned long long)tensor.sizes[0], (unsigned long long)tensor.sizes[1],
        number, tensor.box[0], tensor.box[1]);
  }

  bool launch(void *function, const Grid &grid, void **parameters, void *stream) override {
    auto &kernel = *static_cast<Kernel *>(function);
    if (grid.sharedBytes > kernel.sharedBytes) {
      const Result code = driver.setFunctionAttribute(kernel.function, kMaxDynamicSharedBytes,
                                                      static_cast<int>(grid.sharedBytes));
      if (!driver.check(code, "asking GPU %d for %u bytes of shared memory for the kernel '%s'", number,
                        grid.sharedBytes, kernel.name.c_str()))
        return false;
      kernel.sharedBytes = grid.sharedBytes;
    }
    const auto [x, y, z] = grid.blocks;
    const auto [u, v, w] = grid.threads;
    return driver.check(driver.launch(kernel.function, x, y, z, u, v, w, grid.sharedBytes,
                                      static_cast<Stream>(stream), parameters, nullptr),
                        "launching the kernel '%s' on GPU %d: %u x %u x %u blocks of %u x %u x %u threads, %u bytes "
                        "of shared memory",
                        kernel.name.c_str(), number, x, y, z, u, v, w, grid.sharedBytes);
  }

 private:
  const Driver &driver;
  const int32_t number;
  const Context context;
  std::mutex mutex;  // guards `uploads`
  Stream uploads = nullptr;
};

}  // namespace
}  // namespace pit::cuda

using pit::cuda::Driver;

extern "C" {

int32_t pit_cuda_device_count() {
  pit::forgetFailure();
  const Driver *driver = pit::cuda::driver();
  int count = 0;
  if (driver == nullptr || !driver->check(driver->deviceCount(&count), "counting GPUs")) return -1;
  return count;
}

pit::Device *pit_cuda_device(int32_t ordinal) {
  pit::forgetFailure();
  const Driver *driver = pit::cuda::driver();
  int device = 0;
  pit::cuda::Context context = nullptr;
  if (driver == nullptr || !driver->check(driver->deviceGet(&device, ordinal), "looking for GPU %d", ordinal) ||
      !driver->check(driver->retainContext(&context, device), "starting GPU %d", ordinal))
    return nullptr;
  return new pit::cuda::Gpu(*driver, ordinal, context);
}

bool pit_cuda_describe(int32_t ordinal, int64_t *numbers, char *name, int32_t nameBytes) {
  pit::forgetFailure();
  const Driver *driver = pit::cuda::driver();
  int device = 0;
  if (driver == nullptr || !driver->check(driver->deviceGet(&device, ordinal), "looking for GPU %d", ordinal))
    return false;
  for (const int attribute : {pit::cuda::kComputeMajor, pit::cuda::kComputeMinor, pit::cuda::kMultiprocessors,
                              pit::cuda::kSharedBytesPerBlock}) {
    int value = 0;
    if (!driver->check(driver->deviceAttribute(&value, attribute, device), "asking what GPU %d is", ordinal))
      return false;
    *numbers++ = value;
  }
  size_t bytes = 0;
  int version = 0;
  if (!driver->check(driver->deviceMemory(&bytes, device), "asking for the memory of GPU %d", ordinal) ||
      !driver->check(driver->driverVersion(&version), "asking for the driver's version") ||
      !driver->check(driver->deviceName(name, nameBytes, device), "asking for the name of GPU %d", ordinal))
    return false;
  *numbers++ = static_cast<int64_t>(bytes);
  *numbers = version;
  return true;
}
}
