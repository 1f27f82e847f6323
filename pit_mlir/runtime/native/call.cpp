#include "call.h"

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <vector>

#include "device.h"

namespace pit {

thread_local Call *currentCall = nullptr;

namespace {

// Tensors without elements may come with a null pointer; compiled code may look at (never use) an element.
alignas(kAlignment) char emptyTensor[4096];

int64_t elements(const int64_t *sizes, int64_t rank) {
  int64_t count = 1;
  for (int64_t dim = 0; dim < rank; ++dim) count *= sizes[dim];
  return count;
}

// Writes the descriptor {allocated, aligned, offset, sizes, strides} of a contiguous tensor with the sizes of
// `type`, taking those that are dynamic from `dynamic`; returns the descriptor's end.
int64_t *describe(int64_t *words, int64_t pointer, const int64_t *type, int64_t rank, const int64_t *&dynamic,
                  void *empty) {
  int64_t *sizes = words + 3, *strides = sizes + rank;
  for (int64_t dim = 0; dim < rank; ++dim) sizes[dim] = type[dim] < 0 ? *dynamic++ : type[dim];
  int64_t stride = 1;
  for (int64_t dim = rank - 1; dim >= 0; --dim) {
    strides[dim] = stride;
    stride *= sizes[dim];
  }
  words[0] = words[1] = stride == 0 ? reinterpret_cast<int64_t>(empty) : pointer;
  words[2] = 0;
  return strides + rank;
}

Block *ownedBlock(const Call &call, void *payload) {
  for (Block *block = call.blocks; block != nullptr; block = block->next)
    if (block->payload() == payload) return block;
  return nullptr;
}

// What owns the memory at `allocated` for the caller from now on; null if it is no buffer of the call.
void *handedOver(Call &call, void *allocated) {
  if (call.placement != nullptr) {
    DeviceBlock *block = blockAt(call, allocated);
    if (block != nullptr) detach(block);
    return block;
  }
  Block *block = ownedBlock(call, allocated);
  if (block == nullptr) return nullptr;
  detach(block);
  return allocated;
}

// A copy of `bytes` at `data`, as a buffer of the call.
void *copied(Call &call, const void *data, int64_t bytes) {
  const bool isOnDevice = call.placement != nullptr;
  void *copy = isOnDevice ? allocateOnDevice(call, bytes) : allocate(bytes);
  // What is empty may lie nowhere.
  if (bytes > 0) isOnDevice ? pit_gpu_copy(copy, data, bytes) : (void)std::memcpy(copy, data, bytes);
  return copy;
}

// Hands one result to the caller. A result that is an argument, a constant or another result is copied.
int64_t *handOver(Call &call, const int64_t *descriptor, int64_t rank, int64_t itemBytes, int64_t *out) {
  const int64_t *sizes = descriptor + 3;
  void *data = reinterpret_cast<char *>(descriptor[1]) + descriptor[2] * itemBytes;
  void *owner = handedOver(call, reinterpret_cast<void *>(descriptor[0]));
  if (owner == nullptr) {
    data = copied(call, data, elements(sizes, rank) * itemBytes);
    owner = handedOver(call, data);
  }
  out[0] = reinterpret_cast<int64_t>(owner);
  out[1] = reinterpret_cast<int64_t>(data);
  std::copy_n(sizes, rank, out + 2);
  return out + 2 + rank;
}

int64_t wordsOf(int64_t rank) { return rank < 0 ? 1 : 3 + 2 * rank; }

// A program's code and its arguments, as that takes them.
struct Invocation {
  void (*entry)(void **);
  void **packed;
  const Span *spans;  // the memory of each argument that is a tensor, on a device
  int64_t spanCount;
  const int64_t *produced;  // the descriptors of the results
  const int64_t *types;     // of the results
  int64_t results;
};

void runAndHandOver(Call &call, const Invocation &invocation, int64_t *out) {
  const bool isOnDevice = call.placement != nullptr;
  if (isOnDevice) beginOnDevice(call, invocation.spans, invocation.spanCount);
  if (call.failed >= 0) return;
  invocation.entry(invocation.packed);
  if (isOnDevice) finishOnDevice(call);
  if (call.failed >= 0) return;
  const int64_t *produced = invocation.produced, *type = invocation.types;
  for (; call.handedOver < invocation.results; ++call.handedOver, type += 3) {
    out = handOver(call, produced, type[0], (type[2] + 7) / 8, out);
    produced += wordsOf(type[0]);
  }
}

// False if the call was ended. The frames between here and `endCall` hold nothing that the jump would lose.
bool run(Call &call, const Invocation &invocation, int64_t *out) {
  if (setjmp(call.exit) != 0) return false;
  runAndHandOver(call, invocation, out);
  return true;
}

// Gives back what was handed over before the call was ended.
void takeBack(const Call &call, const int64_t *types, const int64_t *out) {
  for (int64_t i = 0; i < call.handedOver; ++i, types += 3) {
    void *owner = reinterpret_cast<void *>(out[0]);
    call.placement == nullptr ? release(owner) : releaseOnDevice(static_cast<DeviceBlock *>(owner));
    out += 2 + types[0];
  }
}

// `pit_invoke` and `pit_invoke_on`.
int64_t invoke(Call &call, void (*entry)(void **), const int64_t *signature, const int64_t *values, int64_t *out,
               const int64_t *itemBytes) {
  const int64_t arguments = signature[0], results = signature[1];
  const int64_t *type = signature + 2;
  int64_t words = 0;
  for (int64_t i = 0; i < arguments; ++i) {
    words += wordsOf(type[0]);
    type += 1 + std::max<int64_t>(type[0], 0);
  }
  const int64_t *resultTypes = type;
  for (int64_t i = 0; i < results; ++i) words += wordsOf(resultTypes[3 * i]);

  // Per thread, so that a call allocates nothing; taken out of its place in case the program calls back.
  static thread_local std::vector<int64_t> keptDescriptors;
  static thread_local std::vector<void *> keptPointers;
  static thread_local std::vector<Span> keptSpans;
  auto descriptors = std::move(keptDescriptors);
  auto pointers = std::move(keptPointers);
  auto spans = std::move(keptSpans);
  descriptors.resize(words);
  pointers.resize(2 * (arguments + 1));
  spans.clear();

  // The packed interface takes the address of each parameter; a parameter is the address of a descriptor.
  void *empty = call.placement == nullptr ? emptyTensor : emptyOnDevice(call);
  const int64_t first = results > 0 ? 1 : 0;
  void **cells = pointers.data(), **packed = cells + arguments + 1;
  int64_t *cursor = descriptors.data();
  const int64_t *dynamic = values + arguments;
  type = signature + 2;
  for (int64_t i = 0; i < arguments; ++i) {
    const int64_t rank = *type++;
    cells[first + i] = cursor;
    if (rank < 0) {
      packed[first + i] = cursor;
      *cursor++ = values[i];
      continue;
    }
    packed[first + i] = &cells[first + i];
    const int64_t *descriptor = cursor;
    cursor = describe(cursor, values[i], type, rank, dynamic, empty);
    type += rank;
    if (itemBytes != nullptr)
      spans.push_back({reinterpret_cast<void *>(descriptor[1]),
                       static_cast<uint64_t>(elements(descriptor + 3, rank) * itemBytes[i])});
  }
  const int64_t *produced = cursor;
  cells[0] = cursor;
  if (results > 0) packed[0] = &cells[0];

  Call *outer = currentCall;
  currentCall = &call;
  const Invocation invocation{entry,       packed,  spans.data(), static_cast<int64_t>(spans.size()), produced,
                              resultTypes, results};
  if (run(call, invocation, out + 2)) {
    out[0] = call.failed;
  } else {
    takeBack(call, resultTypes, out + 2);
    out[0] = call.placement != nullptr && *pit_device_failure() != '\0' ? kDeviceFailed : kOutOfMemory;
  }
  out[1] = call.failedEarlier ? 1 : static_cast<int64_t>(call.missingBytes);
  while (call.blocks != nullptr) release(call.blocks->payload());
  if (call.placement != nullptr) endOnDevice(call);
  currentCall = outer;
  keptDescriptors = std::move(descriptors);
  keptPointers = std::move(pointers);
  keptSpans = std::move(spans);
  return out[0];
}

}  // namespace

void endCall(Call &call) { std::longjmp(call.exit, 1); }

}  // namespace pit

extern "C" {

int64_t pit_invoke(void (*entry)(void **), const int64_t *signature, const int64_t *values, int64_t *out,
                   int32_t threads) {
  pit::Call call;
  call.threads = threads;
  return pit::invoke(call, entry, signature, values, out, nullptr);
}

int64_t pit_invoke_on(void (*entry)(void **), const int64_t *signature, const int64_t *values, int64_t *out,
                      const int64_t *itemBytes, pit::Loaded *loaded, void *stream) {
  pit::Call call;
  const pit::Placement placement{loaded, stream};
  call.placement = &placement;
  return pit::invoke(call, entry, signature, values, out, itemBytes);
}

void pit_check_failed(int64_t number) {
  if (pit::currentCall == nullptr) return;
  int64_t none = pit::kDone;
  pit::currentCall->failed.compare_exchange_strong(none, number);
}
}
