// Calls from Python; their results are DLPack capsules: the tensor that is made from one owns its block.
// The struct layouts are those of DLPack 0.8 (https://dmlc.github.io/dlpack/latest/c_api.html).

#include <algorithm>

#include "call.h"
#include "device.h"

// From the interpreter that has loaded this library; absent in a process without one.
using Py_ssize_t = intptr_t;
extern "C" {
[[gnu::weak]] void *PyCapsule_New(void *pointer, const char *name, void (*destructor)(void *));
[[gnu::weak]] void *PyCapsule_GetPointer(void *capsule, const char *name);
[[gnu::weak]] int PyCapsule_IsValid(void *capsule, const char *name);
[[gnu::weak]] void *PyTuple_New(Py_ssize_t size);
[[gnu::weak]] int PyTuple_SetItem(void *tuple, Py_ssize_t place, void *item);
[[gnu::weak]] void Py_DecRef(void *object);
[[gnu::weak]] void *PyEval_SaveThread();
[[gnu::weak]] void PyEval_RestoreThread(void *state);
}

namespace {

struct DLTensor {
  void *data;
  int32_t deviceType, deviceId;
  int32_t ndim;
  uint8_t typeCode, bits;
  uint16_t lanes;
  int64_t *shape, *strides;
  uint64_t byteOffset;
};

struct DLManagedTensor {
  DLTensor tensor;
  void *context;
  void (*deleter)(DLManagedTensor *);
};

constexpr int32_t kCpu = 1;
constexpr const char *kFresh = "dltensor";  // a capsule that nobody has consumed has this name

struct Result {
  DLManagedTensor managed;
  void *owner;  // a payload, or the block of a device
  bool isOnDevice;
  int64_t shape[];
};

void destroy(DLManagedTensor *managed) {
  auto *result = static_cast<Result *>(managed->context);
  if (result->isOnDevice) {
    pit::releaseOnDevice(static_cast<pit::DeviceBlock *>(result->owner));
  } else {
    pit::release(result->owner);
  }
  ::operator delete(result);
}

void destroyCapsule(void *capsule) {
  if (!PyCapsule_IsValid(capsule, kFresh)) return;
  auto *managed = static_cast<DLManagedTensor *>(PyCapsule_GetPointer(capsule, kFresh));
  managed->deleter(managed);
}

// The capsule of the result that `out` describes; null with a Python error set, and the block is freed.
void *makeCapsule(const int64_t *out, int64_t rank, int64_t typeCode, int64_t bits, const pit::Device *device) {
  auto *result = static_cast<Result *>(::operator new(sizeof(Result) + rank * sizeof(int64_t)));
  result->owner = reinterpret_cast<void *>(out[0]);
  result->isOnDevice = device != nullptr;
  std::copy_n(out + 2, rank, result->shape);
  const int32_t deviceType = device == nullptr ? kCpu : device->dlpackType();
  const int32_t deviceId = device == nullptr ? 0 : device->ordinal();
  result->managed = {{reinterpret_cast<void *>(out[1]), deviceType, deviceId, static_cast<int32_t>(rank),
                      static_cast<uint8_t>(typeCode), static_cast<uint8_t>(bits), 1, result->shape, nullptr, 0},
                     result,
                     destroy};
  void *capsule = PyCapsule_New(&result->managed, kFresh, destroyCapsule);
  if (capsule == nullptr) destroy(&result->managed);
  return capsule;
}

// The capsules of the results that `out` describes, `count` of them.
void *makeCapsules(const int64_t *signature, int64_t count, const int64_t *out, const pit::Device *device) {
  const int64_t *type = signature + 2;
  for (int64_t i = 0; i < signature[0]; ++i) type += 1 + std::max<int64_t>(type[0], 0);
  void *tuple = PyTuple_New(count);
  const int64_t *result = out + 2;
  for (int64_t i = 0; i < count; ++i, type += 3) {
    // Without a tuple the capsules are made and dropped, which frees the blocks.
    void *capsule = makeCapsule(result, type[0], type[1], type[2], device);
    result += 2 + type[0];
    if (tuple != nullptr && capsule != nullptr) {
      PyTuple_SetItem(tuple, i, capsule);
      continue;
    }
    for (void *object : {tuple, capsule})
      if (object != nullptr) Py_DecRef(object);
    tuple = nullptr;
  }
  return tuple;
}

}  // namespace

// An interrupt (Ctrl-C) that came meanwhile is raised after these functions: the results have owners by then.
extern "C" {

void *pit_call(void (*entry)(void **), const int64_t *signature, const int64_t *values, int64_t *out,
               int32_t threads) {
  void *interpreter = PyEval_SaveThread();
  const bool done = pit_invoke(entry, signature, values, out, threads) == pit::kDone;
  PyEval_RestoreThread(interpreter);
  return makeCapsules(signature, done ? signature[1] : 0, out, nullptr);
}

void *pit_call_on(void (*entry)(void **), const int64_t *signature, const int64_t *values, int64_t *out,
                  const int64_t *itemBytes, pit::Loaded *loaded, void *stream) {
  void *interpreter = PyEval_SaveThread();
  const bool done = pit_invoke_on(entry, signature, values, out, itemBytes, loaded, stream) == pit::kDone;
  PyEval_RestoreThread(interpreter);
  return makeCapsules(signature, done ? signature[1] : 0, out, loaded->device);
}
}
