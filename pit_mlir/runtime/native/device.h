// Devices that run kernels, and what the host code of a program for one calls.
//
// A program for a device is host code (`entry`), which runs here, and an image of its kernels, which a `Device` loads.
// All its buffers are memory of that device; the host code never looks into them. Work is put in order on the stream
// of the call, and nobody waits for it.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "device_memory.h"

namespace pit {

// The shape of a launch; shared memory that the kernel does not declare itself, in bytes.
struct Grid {
  uint32_t blocks[3];
  uint32_t threads[3];
  uint32_t sharedBytes;
};

// Memory that a call was given: a tensor that is an argument.
struct Span {
  void *begin;
  uint64_t bytes;
};

// A tensor in memory, the innermost dimension first, and boxes of it that the copy engine brings to shared memory.
struct TensorShape {
  static constexpr uint32_t kMostDimensions = 5;
  void *address;
  uint32_t elementBytes, dimensions;
  uint64_t sizes[kMostDimensions];
  uint64_t strides[kMostDimensions - 1];  // in bytes; of all dimensions but the innermost
  uint32_t box[kMostDimensions];
  uint32_t swizzleBytes;
};
constexpr uint32_t kTensorMapBytes = 128, kTensorMapAlignment = 64;

// One device of some kind. Functions say false (or give null) when they fail, and `noteFailure` was told why.
// Handles (stream, module, function) are whatever the device makes of them. Several threads may call at a time.
class Device {
 public:
  virtual ~Device() = default;

  // As DLPack names the place of its memory.
  virtual int32_t dlpackType() const = 0;
  virtual int32_t ordinal() const = 0;
  // Whether work is done when the function that asked for it returns.
  virtual bool isSynchronous() const = 0;
  // Whether memory that is freed is worth keeping for later calls, and blocks a little larger than asked for.
  virtual bool keepsMemory() const { return true; }

  // Around a call of a program; `end` comes after each `begin` that succeeded, on the same thread.
  virtual bool begin(const Span *arguments, int64_t count) = 0;
  virtual void end() = 0;

  // Memory of its own, for whom no allocator was set; null without a failure where there is none left.
  virtual void *allocate(uint64_t bytes) = 0;
  virtual void free(void *memory) = 0;
  // Memory of the host that copies may reach while the host goes on.
  virtual void *allocateOnHost(uint64_t bytes) = 0;
  virtual void freeOnHost(void *memory) = 0;

  // In order on `stream`. A copy may go from or to memory of the host.
  virtual bool copy(void *to, const void *from, uint64_t bytes, void *stream) = 0;
  virtual bool fill(void *to, uint8_t value, uint64_t bytes, void *stream) = 0;
  // A copy from memory of the host that is done when it returns, and that no capture of a graph sees.
  virtual bool upload(void *to, const void *from, uint64_t bytes) = 0;
  virtual bool synchronize(void *stream) = 0;
  // Whether what is put on `stream` becomes part of a graph instead of running.
  virtual bool isCapturing(void *stream, bool &answer) = 0;

  // `image` is what the device's tool-chain made of the kernels.
  virtual void *load(const void *image, uint64_t bytes) = 0;
  virtual void unload(void *module) = 0;
  virtual void *function(void *module, const char *name) = 0;
  // Describes `tensor` to the copy engine: writes `kTensorMapBytes` to `map`, a parameter of a kernel.
  virtual bool describe(const TensorShape &tensor, void *map) = 0;
  // `parameters` are the addresses of the kernel's parameters.
  virtual bool launch(void *function, const Grid &grid, void **parameters, void *stream) = 0;

  DeviceMemory memory{*this};
};

// Kernels on a device, and what their program keeps there.
struct Loaded {
  Device *device = nullptr;
  void *module = nullptr;
  std::vector<void *> functions;  // by the number of the kernel
  int32_t *checkWord = nullptr;   // on the device: the least number of a check that failed, -1 before
  int32_t *seenWord = nullptr;    // its copy on the host, which arrives some time after the end of a call
  bool wasCaptured = false;       // a graph may launch the kernels again, whatever becomes of the program
  std::mutex mutex;               // guards `constants`
  std::unordered_map<const void *, void *> constants;  // those of the host code, by their address there
};

// The stream of a call, and its kernels.
struct Placement {
  Loaded *loaded;
  void *stream;
};

// Keeps the text of what went wrong on this thread; returns false. A text that stands already is kept.
[[gnu::format(printf, 1, 2)]] bool noteFailure(const char *format, ...);
void forgetFailure();

// A call with a placement; all but the last two end the call when they fail.
void beginOnDevice(Call &call, const Span *arguments, int64_t count);
void finishOnDevice(Call &call);
void *allocateOnDevice(Call &call, uint64_t bytes);
void endOnDevice(Call &call);
void releaseOnDevice(DeviceBlock *block);
// Memory for tensors without elements, at an element of which a kernel may look.
void *emptyOnDevice(const Call &call);

}  // namespace pit

extern "C" {
// Called by the host code of a program. They end the call when they fail.

// Launches kernel number `kernel`; a grid without blocks launches nothing.
void pit_gpu_launch(int32_t kernel, int64_t blocksX, int64_t blocksY, int64_t blocksZ, int64_t threadsX,
                    int64_t threadsY, int64_t threadsZ, int32_t sharedBytes, void **parameters);
// A tensor map for a parameter of the next launch on this thread: of the tensor `bytes` bytes behind `address` in up to
// five dimensions, and of boxes of it that are one element along all dimensions but the first two.
void *pit_gpu_tensor_map(char *address, int64_t bytes, int64_t elementBytes, int64_t dimensions, int64_t size0,
                         int64_t size1, int64_t size2, int64_t size3, int64_t size4, int64_t stride1, int64_t stride2,
                         int64_t stride3, int64_t stride4, int64_t box0, int64_t box1);
void pit_gpu_copy(void *to, const void *from, uint64_t bytes);
void pit_gpu_fill(void *to, int32_t byte, uint64_t bytes);
// Where kernels note a check that failed, as memref<1xi32>: it is -1 before, and becomes the least number, unsigned.
struct PitCheckWord {
  int32_t *allocated, *aligned;
  int64_t offset, size, stride;
};
void _mlir_ciface_pit_gpu_check_word(PitCheckWord *word);
// The device's copy of a constant of the host code; it is made by the first call.
void *pit_gpu_constant(const void *host, uint64_t bytes);

// Called by Python. Null or false: `pit_device_failure` says why, on the same thread.

const char *pit_device_failure();
// Blocks of memory come from `allocate` and go back to `free` from now on; both take the stream. `allocate` may give
// null where there is no memory left.
void pit_device_set_allocator(pit::Device *device, pit::DeviceMemory::Allocate allocate,
                              pit::DeviceMemory::Free free);
// Gives all blocks that nobody uses back to where they came from.
void pit_device_trim(pit::Device *device);
uint64_t pit_device_live_bytes(const pit::Device *device);
uint64_t pit_device_cached_bytes(const pit::Device *device);
// Loads an image whose kernels are `names`, in the order of their numbers.
pit::Loaded *pit_device_load(pit::Device *device, const void *image, uint64_t bytes, const char *const *names,
                             int32_t count);
void pit_device_unload(pit::Loaded *loaded);
// Waits for `stream`, and takes the number of a check that failed on it, `kDone` for none,
// `kDeviceFailed`.
int64_t pit_device_synchronize(pit::Loaded *loaded, void *stream);
}
