#include "device_memory.h"

#include <bit>

#include "call.h"
#include "device.h"

namespace pit {
namespace {

constexpr size_t kSmallest = 512;  // what CUDA aligns its own memory to
constexpr size_t kSteps = 4;       // sizes an octave: at most a quarter of a block is unused
constexpr size_t kLargest = size_t{1} << 56;

size_t roundedUp(size_t bytes) {
  if (bytes <= kSmallest) return kSmallest;
  const size_t step = std::bit_floor(bytes - 1) / kSteps;
  return (bytes + step - 1) / step * step;
}

void attach(DeviceBlock *block, Call *call) {
  block->call = call;
  block->previous = nullptr;
  block->next = call->deviceBlocks;
  if (block->next != nullptr) block->next->previous = block;
  call->deviceBlocks = block;
}

}  // namespace

void detach(DeviceBlock *block) {
  if (block->call == nullptr) return;
  if (block->previous != nullptr) block->previous->next = block->next;
  if (block->next != nullptr) block->next->previous = block->previous;
  if (block->call->deviceBlocks == block) block->call->deviceBlocks = block->next;
  block->call = nullptr;
}

DeviceBlock *blockAt(const Call &call, const void *memory) {
  for (DeviceBlock *block = call.deviceBlocks; block != nullptr; block = block->next)
    if (block->memory == memory) return block;
  return nullptr;
}

DeviceBlock *DeviceMemory::fresh(size_t bytes, void *stream, bool isCapturing) {
  Allocate allocator;
  {
    std::lock_guard lock(mutex);
    allocator = outerAllocate;
  }
  if (allocator == nullptr && isCapturing) {
    noteFailure("a graph is being captured, for which memory comes from torch's allocator, and torch is not there");
    return nullptr;
  }
  void *memory = allocator != nullptr ? allocator(bytes, stream) : device.allocate(bytes);
  if (memory == nullptr) return nullptr;
  return new DeviceBlock{memory, bytes, stream, &device, allocator != nullptr, isCapturing};
}

void DeviceMemory::discard(DeviceBlock *block) {
  Free allocator;
  {
    std::lock_guard lock(mutex);
    allocator = outerFree;
  }
  if (!block->isOuter) {
    device.free(block->memory);
  } else if (allocator != nullptr) {
    allocator(block->memory, block->stream);
  }
  delete block;
}

DeviceBlock *DeviceMemory::allocate(size_t bytes, void *stream, Call *call, bool isCapturing) {
  if (bytes > kLargest) return nullptr;
  if (device.keepsMemory()) bytes = roundedUp(bytes);
  DeviceBlock *block = nullptr;
  if (!isCapturing) {
    std::lock_guard lock(mutex);
    if (const auto found = kept.find({stream, bytes}); found != kept.end()) {
      block = found->second;
      kept.erase(found);
      keptTotal -= bytes;
    }
  }
  if (block == nullptr) block = fresh(bytes, stream, isCapturing);
  if (block == nullptr && *pit_device_failure() == '\0') {
    trim();
    block = fresh(bytes, stream, isCapturing);
  }
  if (block == nullptr) return nullptr;
  attach(block, call);
  std::lock_guard lock(mutex);
  liveTotal += bytes;
  return block;
}

void DeviceMemory::release(DeviceBlock *block) {
  detach(block);
  {
    std::lock_guard lock(mutex);
    liveTotal -= block->bytes;
    if (!block->isCaptured && device.keepsMemory()) {
      kept.emplace(std::pair{block->stream, block->bytes}, block);
      keptTotal += block->bytes;
      return;
    }
  }
  discard(block);
}

void DeviceMemory::trim() {
  decltype(kept) taken;
  {
    std::lock_guard lock(mutex);
    taken.swap(kept);
    keptTotal = 0;
  }
  for (const auto &[place, block] : taken) discard(block);
}

void DeviceMemory::setAllocator(Allocate allocate, Free free) {
  std::lock_guard lock(mutex);
  outerAllocate = allocate;
  outerFree = free;
}

uint64_t DeviceMemory::liveBytes() const {
  std::lock_guard lock(mutex);
  return liveTotal;
}

uint64_t DeviceMemory::cachedBytes() const {
  std::lock_guard lock(mutex);
  return keptTotal;
}

}  // namespace pit
