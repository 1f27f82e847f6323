// Results as DLPack capsules: the tensor that is made from one owns its block.
// The struct layouts are those of DLPack 0.8 (https://dmlc.github.io/dlpack/latest/c_api.html).

#include <algorithm>

#include "call.h"

// From the interpreter that has loaded this library; absent in a process without one.
extern "C" {
[[gnu::weak]] void *PyCapsule_New(void *pointer, const char *name, void (*destructor)(void *));
[[gnu::weak]] void *PyCapsule_GetPointer(void *capsule, const char *name);
[[gnu::weak]] int PyCapsule_IsValid(void *capsule, const char *name);
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
  void *owner;
  int64_t shape[];
};

void destroy(DLManagedTensor *managed) {
  auto *result = static_cast<Result *>(managed->context);
  pit::release(result->owner);
  ::operator delete(result);
}

void destroyCapsule(void *capsule) {
  if (!PyCapsule_IsValid(capsule, kFresh)) return;
  auto *managed = static_cast<DLManagedTensor *>(PyCapsule_GetPointer(capsule, kFresh));
  managed->deleter(managed);
}

}  // namespace

extern "C" void *pit_capsule(const int64_t *out, int32_t rank, int32_t typeCode, int32_t bits) {
  auto *result = static_cast<Result *>(::operator new(sizeof(Result) + rank * sizeof(int64_t)));
  result->owner = reinterpret_cast<void *>(out[0]);
  std::copy_n(out + 2, rank, result->shape);
  result->managed = {{reinterpret_cast<void *>(out[1]), kCpu, 0, rank, static_cast<uint8_t>(typeCode),
                      static_cast<uint8_t>(bits), 1, result->shape, nullptr, 0},
                     result,
                     destroy};
  void *capsule = PyCapsule_New(&result->managed, kFresh, destroyCapsule);
  if (capsule == nullptr) destroy(&result->managed);
  return capsule;
}
