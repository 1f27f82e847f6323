#include "alloc.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "call.h"
#include "device.h"
#include "team.h"

// Under AddressSanitizer the bytes of a block that nobody may touch are poisoned, else it would see nothing wrong in
// the use of a block that waits for its next owner.
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

namespace pit {
namespace {

// Four classes an octave: at most a quarter of a block is unused.
constexpr uint32_t kSteps = 4;
constexpr uint32_t kClasses = 64 * kSteps;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kLargest = size_t{1} << 56;  // beyond any address space; sizes up to it round up without overflow

// For tests: each block ends at a page that nobody may touch, and is unmapped when it is freed, so that code which reads
// or writes behind a buffer, or uses one that was freed, ends at once. What is new holds ones: NaN, or indices of -1.
#if defined(PIT_GUARD_PAGES)
constexpr bool kGuarded = true;
#else
constexpr bool kGuarded = false;
#endif
constexpr size_t kPage = 4096;

struct Cache {
  std::mutex mutex;
  Block *heads[kClasses] = {};
  size_t kept = 0;
  size_t limit = kGuarded ? 0 : size_t{4} << 30;
};

// Never destroyed: tensors may be freed while the process ends.
Cache &cache() {
  static Cache *instance = new Cache;
  return *instance;
}

// Nobody holds the lock at the moment of a fork: the child could not release it.
[[gnu::constructor]] void guardForks() {
  pthread_atfork([] { cache().mutex.lock(); }, [] { cache().mutex.unlock(); }, [] { cache().mutex.unlock(); });
}

std::atomic<uint64_t> liveBytes{0};
std::atomic<uint64_t> peakBytes{0};

void countAsLive(uint64_t bytes) {
  const uint64_t now = liveBytes.fetch_add(bytes) + bytes;
  uint64_t peak = peakBytes.load(std::memory_order_relaxed);
  while (now > peak && !peakBytes.compare_exchange_weak(peak, now)) {
  }
}

// The class that holds `bytes`, and the size of its blocks.
uint32_t classOf(size_t bytes, size_t &size) {
  if (bytes < kAlignment) bytes = kAlignment;
  // 2^octave < bytes <= 2^(octave + 1)
  const uint32_t octave = static_cast<uint32_t>(std::bit_width(bytes - 1)) - 1;
  const size_t base = size_t{1} << octave, step = base / kSteps;
  const size_t steps = (bytes - base + step - 1) / step;
  size = (base + steps * step + kAlignment - 1) / kAlignment * kAlignment;
  return octave * kSteps + static_cast<uint32_t>(steps) - 1;
}

// Ends the call of this thread; inside a region, when the other threads have left that too.
[[noreturn]] void outOfMemory(size_t bytes) {
  if (currentCall != nullptr) {
    currentCall->missingBytes = bytes;
    if (member.team != nullptr) leaveTeam();
    endCall(*currentCall);
  }
  std::fprintf(stderr, "pit_mlir: out of memory: cannot allocate %zu bytes\n", bytes);
  std::abort();
}

size_t pagesOf(size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

// A block at the end of its pages, between two that nobody may touch.
Block *guarded(size_t total) {
  const size_t pages = pagesOf(total);
  void *mapped = mmap(nullptr, pages + 2 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char *memory = static_cast<char *>(mapped) + kPage;
  if (mprotect(memory, pages, PROT_READ | PROT_WRITE) != 0) {
    munmap(mapped, pages + 2 * kPage);
    return nullptr;
  }
  std::memset(memory, 0xff, pages);
  return reinterpret_cast<Block *>(memory + pages - total);
}

// Null if the system has no memory left.
Block *fresh(size_t size) {
  const size_t total = size + sizeof(Block);
  if (kGuarded) return guarded(total);
  const bool large = total >= kHugePage;
  const size_t alignment = large ? kHugePage : kAlignment;
  const size_t rounded = (total + alignment - 1) / alignment * alignment;
  void *memory = std::aligned_alloc(alignment, rounded);
  // Whole ones: a weight of 2.25 MiB would take 4, for as long as it lives.
  if (memory != nullptr && large) madvise(memory, total / kHugePage * kHugePage, MADV_HUGEPAGE);
  return static_cast<Block *>(memory);
}

// Gives `block` back to the system.
void discard(Block *block) {
  const size_t total = block->bytes + sizeof(Block), pages = pagesOf(total);
  if (!kGuarded) {
    // The C library may keep it: then its address, but not its pages.
    if (total >= kHugePage) madvise(block, total / kPage * kPage, MADV_DONTNEED);
    return std::free(block);
  }
  munmap(reinterpret_cast<char *>(block) + total - pages - kPage, pages + 2 * kPage);
}

void attach(Block *block, Call *call) {
  block->call = call;
  if (call == nullptr) return;
  std::lock_guard lock(call->mutex);
  block->previous = nullptr;
  block->next = call->blocks;
  if (block->next != nullptr) block->next->previous = block;
  call->blocks = block;
}

}  // namespace

void *allocate(size_t bytes) {
  if (bytes > kLargest) outOfMemory(bytes);
  size_t size;
  const uint32_t sizeClass = classOf(bytes, size);
  if (kGuarded) size = (std::max<size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  Cache &store = cache();
  Block *block;
  {
    std::lock_guard lock(store.mutex);
    block = store.heads[sizeClass];
    if (block != nullptr) {
      store.heads[sizeClass] = block->next;
      store.kept -= block->bytes;
    }
  }
  if (block == nullptr) {
    block = fresh(size);
    if (block == nullptr) outOfMemory(size);
    block->bytes = size;
    block->sizeClass = sizeClass;
    block->isLasting = false;
  }
  ASAN_UNPOISON_MEMORY_REGION(block->payload(), bytes);
  ASAN_POISON_MEMORY_REGION(static_cast<char *>(block->payload()) + bytes, size - bytes);
  countAsLive(size);
  attach(block, currentCall);
  return block->payload();
}

void detach(Block *block) {
  Call *call = block->call;
  if (call == nullptr) return;
  std::lock_guard lock(call->mutex);
  if (block->previous != nullptr) block->previous->next = block->next;
  if (block->next != nullptr) block->next->previous = block->previous;
  if (call->blocks == block) call->blocks = block->next;
  block->call = nullptr;
}

void release(void *payload) {
  if (payload == nullptr) return;
  Block *block = Block::of(payload);
  detach(block);
  liveBytes -= block->bytes;
  ASAN_POISON_MEMORY_REGION(payload, block->bytes);
  Cache &store = cache();
  {
    std::lock_guard lock(store.mutex);
    if (!block->isLasting && store.kept + block->bytes <= store.limit) {
      block->next = store.heads[block->sizeClass];
      store.heads[block->sizeClass] = block;
      store.kept += block->bytes;
      return;
    }
  }
  discard(block);
}

}  // namespace pit

extern "C" {

void *pit_alloc(uint64_t bytes) { return pit::allocate(bytes); }
void pit_free(void *payload) { pit::release(payload); }
void pit_make_lasting(void *payload) { pit::Block::of(payload)->isLasting = true; }
uint64_t pit_live_bytes() { return pit::liveBytes; }
uint64_t pit_peak_bytes() { return pit::peakBytes; }
void pit_reset_peak_bytes() { pit::peakBytes = pit::liveBytes.load(); }

uint64_t pit_cached_bytes() {
  std::lock_guard lock(pit::cache().mutex);
  return pit::cache().kept;
}

uint64_t pit_set_cache_limit(uint64_t bytes) {
  pit::Cache &store = pit::cache();
  std::lock_guard lock(store.mutex);
  const uint64_t before = store.limit;
  store.limit = bytes;
  for (auto &head : store.heads) {
    while (head != nullptr && store.kept > store.limit) {
      pit::Block *block = head;
      head = block->next;
      store.kept -= block->bytes;
      pit::discard(block);
    }
  }
  return before;
}

// Buffers of compiled code: memory of the device, if the call runs on one.
void *_mlir_memref_to_llvm_alloc(uint64_t bytes) {
  pit::Call *call = pit::currentCall;
  return call == nullptr || call->placement == nullptr ? pit::allocate(bytes) : pit::allocateOnDevice(*call, bytes);
}

void *_mlir_memref_to_llvm_aligned_alloc(uint64_t alignment, uint64_t bytes) {
  if (alignment > pit::kAlignment) {
    std::fprintf(stderr, "pit_mlir: buffers are aligned to 64 bytes, the program asks for %llu\n",
                 static_cast<unsigned long long>(alignment));
    std::abort();
  }
  return _mlir_memref_to_llvm_alloc(bytes);
}

void _mlir_memref_to_llvm_free(void *payload) {
  pit::Call *call = pit::currentCall;
  if (call == nullptr || call->placement == nullptr) return pit::release(payload);
  if (pit::DeviceBlock *block = pit::blockAt(*call, payload)) pit::releaseOnDevice(block);
}
}
