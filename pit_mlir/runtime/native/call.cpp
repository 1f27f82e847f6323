#include "call.h"

#include <algorithm>
#include <csetjmp>
#include <vector>

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
int64_t *describe(int64_t *words, int64_t pointer, const int64_t *type, int64_t rank, const int64_t *&dynamic) {
  int64_t *sizes = words + 3, *strides = sizes + rank;
  for (int64_t dim = 0; dim < rank; ++dim) sizes[dim] = type[dim] < 0 ? *dynamic++ : type[dim];
  int64_t stride = 1;
  for (int64_t dim = rank - 1; dim >= 0; --dim) {
    strides[dim] = stride;
    stride *= sizes[dim];
  }
  words[0] = words[1] = stride == 0 ? reinterpret_cast<int64_t>(emptyTensor) : pointer;
  words[2] = 0;
  return strides + rank;
}

Block *ownedBlock(const Call &call, void *payload) {
  for (Block *block = call.blocks; block != nullptr; block = block->next)
    if (block->payload() == payload) return block;
  return nullptr;
}

// Hands one result to the caller. A result that is an argument, a constant or another result is copied.
int64_t *handOver(Call &call, const int64_t *descriptor, int64_t rank, int64_t itemBytes, int64_t *out) {
  const int64_t *sizes = descriptor + 3;
  char *data = reinterpret_cast<char *>(descriptor[1]) + descriptor[2] * itemBytes;
  void *owner = reinterpret_cast<void *>(descriptor[0]);
  if (Block *block = ownedBlock(call, owner)) {
    detach(block);
  } else {
    const int64_t bytes = elements(sizes, rank) * itemBytes;
    owner = allocate(bytes);
    detach(Block::of(owner));
    std::copy_n(data, bytes, static_cast<char *>(owner));
    data = static_cast<char *>(owner);
  }
  out[0] = reinterpret_cast<int64_t>(owner);
  out[1] = reinterpret_cast<int64_t>(data);
  std::copy_n(sizes, rank, out + 2);
  return out + 2 + rank;
}

int64_t wordsOf(int64_t rank) { return rank < 0 ? 1 : 3 + 2 * rank; }

void runAndHandOver(Call &call, void (*entry)(void **), void **packed, const int64_t *produced, const int64_t *types,
                    int64_t results, int64_t *out) {
  entry(packed);
  if (call.failed >= 0) return;
  for (; call.handedOver < results; ++call.handedOver, types += 3) {
    out = handOver(call, produced, types[0], (types[2] + 7) / 8, out);
    produced += wordsOf(types[0]);
  }
}

// False if memory ran out. The frames between here and `allocate` hold nothing that the jump would lose.
bool run(Call &call, void (*entry)(void **), void **packed, const int64_t *produced, const int64_t *types,
         int64_t results, int64_t *out) {
  if (setjmp(call.exit) != 0) return false;
  runAndHandOver(call, entry, packed, produced, types, results, out);
  return true;
}

// Gives back what was handed over before memory ran out.
void takeBack(const Call &call, const int64_t *types, const int64_t *out) {
  for (int64_t i = 0; i < call.handedOver; ++i, types += 3) {
    release(reinterpret_cast<void *>(out[0]));
    out += 2 + types[0];
  }
}

}  // namespace
}  // namespace pit

extern "C" {

int64_t pit_invoke(void (*entry)(void **), const int64_t *signature, const int64_t *values, int64_t *out,
                   int32_t threads) {
  using namespace pit;
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
  auto descriptors = std::move(keptDescriptors);
  auto pointers = std::move(keptPointers);
  descriptors.resize(words);
  pointers.resize(2 * (arguments + 1));

  // The packed interface takes the address of each parameter; a parameter is the address of a descriptor.
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
    cursor = describe(cursor, values[i], type, rank, dynamic);
    type += rank;
  }
  const int64_t *produced = cursor;
  cells[0] = cursor;
  if (results > 0) packed[0] = &cells[0];

  Call call;
  call.threads = threads;
  Call *outer = currentCall;
  currentCall = &call;
  if (run(call, entry, packed, produced, resultTypes, results, out + 2)) {
    out[0] = call.failed;
  } else {
    takeBack(call, resultTypes, out + 2);
    out[0] = kOutOfMemory;
  }
  out[1] = static_cast<int64_t>(call.missingBytes);
  while (call.blocks != nullptr) release(call.blocks->payload());
  currentCall = outer;
  keptDescriptors = std::move(descriptors);
  keptPointers = std::move(pointers);
  return out[0];
}

void pit_check_failed(int64_t number) {
  if (pit::currentCall == nullptr) return;
  int64_t none = pit::kDone;
  pit::currentCall->failed.compare_exchange_strong(none, number);
}
}
