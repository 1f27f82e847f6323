// What we use of CUDA's driver API, as https://docs.nvidia.com/cuda/cuda-driver-api has it: declared here, as its
// header is not on every machine that compiles for it, and opened at run time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pit::cuda {

using Result = int;
using Context = struct ContextOpaque *;
using Module = struct ModuleOpaque *;
using Function = struct FunctionOpaque *;
using Stream = struct StreamOpaque *;
using Pointer = uint64_t;

enum : Result {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNotInitialized = 3,
  kDeinitialized = 4,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kInvalidImage = 200,
  kNoBinaryForGpu = 209,
  kInvalidPtx = 218,
  kUnsupportedPtxVersion = 222,
  kNotFound = 500,
  kIllegalAddress = 700,
  kOutOfResources = 701,
  kContextIsDestroyed = 709,
  kAssert = 710,
  kHardwareStackError = 714,
  kLaunchFailed = 719,
  kDriverMismatch = 803,
  kFirstCaptureError = 900,
  kLastCaptureError = 908,
};

enum Attribute : int {
  kThreadsPerBlock = 1,
  kMultiprocessors = 16,
  kComputeMajor = 75,
  kComputeMinor = 76,
  kSharedBytesPerBlock = 97,  // with a function's consent
};
enum FunctionAttribute : int { kMaxDynamicSharedBytes = 8 };
enum JitOption : int { kErrorLogBuffer = 5, kErrorLogBytes = 6 };
enum CaptureMode : int { kRelaxed = 2 };
enum TensorMapElement : int { kBytes = 0, kBytes2 = 1, kBytes4 = 2, kBytes8 = 4 };
enum TensorMapSwizzle : int { kNoSwizzle = 0, kSwizzle32 = 1, kSwizzle64 = 2, kSwizzle128 = 3 };
enum TensorMapPromotion : int { kPromote256 = 3 };
enum StreamFlags : unsigned { kNonBlocking = 1 };

// (our name, the library's, parameters)
#define PIT_CUDA_FUNCTIONS(X)                                                                                  \
  X(init, "cuInit", (unsigned flags))                                                                          \
  X(driverVersion, "cuDriverGetVersion", (int *version))                                                       \
  X(deviceCount, "cuDeviceGetCount", (int *count))                                                             \
  X(deviceGet, "cuDeviceGet", (int *device, int ordinal))                                                      \
  X(deviceName, "cuDeviceGetName", (char *name, int bytes, int device))                                        \
  X(deviceAttribute, "cuDeviceGetAttribute", (int *value, int attribute, int device))                          \
  X(deviceMemory, "cuDeviceTotalMem_v2", (size_t *bytes, int device))                                          \
  X(retainContext, "cuDevicePrimaryCtxRetain", (Context *context, int device))                                 \
  X(currentContext, "cuCtxGetCurrent", (Context *context))                                                     \
  X(pushContext, "cuCtxPushCurrent_v2", (Context context))                                                     \
  X(popContext, "cuCtxPopCurrent_v2", (Context *context))                                                      \
  X(synchronizeContext, "cuCtxSynchronize", ())                                                                \
  X(allocate, "cuMemAlloc_v2", (Pointer *memory, size_t bytes))                                                \
  X(free, "cuMemFree_v2", (Pointer memory))                                                                    \
  X(allocateOnHost, "cuMemHostAlloc", (void **memory, size_t bytes, unsigned flags))                           \
  X(freeOnHost, "cuMemFreeHost", (void *memory))                                                               \
  X(copy, "cuMemcpyAsync", (Pointer to, Pointer from, size_t bytes, Stream stream))                            \
  X(fill, "cuMemsetD8Async", (Pointer to, unsigned char value, size_t count, Stream stream))                   \
  X(createStream, "cuStreamCreate", (Stream *stream, unsigned flags))                                          \
  X(synchronizeStream, "cuStreamSynchronize", (Stream stream))                                                 \
  X(streamIsCapturing, "cuStreamIsCapturing", (Stream stream, int *status))                                    \
  X(exchangeCaptureMode, "cuThreadExchangeStreamCaptureMode", (int *mode))                                     \
  X(loadModule, "cuModuleLoadDataEx",                                                                          \
    (Module *module, const void *image, unsigned options, int *names, void **values))                          \
  X(unloadModule, "cuModuleUnload", (Module module))                                                           \
  X(getFunction, "cuModuleGetFunction", (Function *function, Module module, const char *name))                 \
  X(setFunctionAttribute, "cuFuncSetAttribute", (Function function, int attribute, int value))                 \
  X(launch, "cuLaunchKernel",                                                                                  \
    (Function function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,      \
     unsigned blockZ, unsigned sharedBytes, Stream stream, void **parameters, void **extra))                   \
  X(encodeTensorMap, "cuTensorMapEncodeTiled",                                                                 \
    (void *map, int element, uint32_t dimensions, void *address, const uint64_t *sizes,                        \
     const uint64_t *strides, const uint32_t *box, const uint32_t *steps, int interleave, int swizzle,         \
     int promotion, int fill))                                                                                 \
  X(errorName, "cuGetErrorName", (Result code, const char **name))                                             \
  X(errorText, "cuGetErrorString", (Result code, const char **text))

// The functions of the driver that is open.
struct Driver {
#define PIT_DECLARE(name, symbol, parameters) Result(*name) parameters;
  PIT_CUDA_FUNCTIONS(PIT_DECLARE)
#undef PIT_DECLARE

  // Notes the failure `code` of `doing`, with the driver's own words and what to do about it, and returns false;
  // true for a success.
  [[gnu::format(printf, 3, 4)]] bool check(Result code, const char *doing, ...) const;
};

// Opens and initializes `$PIT_CUDA_DRIVER`, else libcuda.so.1; null with a failure noted.
const Driver *driver();

}  // namespace pit::cuda
