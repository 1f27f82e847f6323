// The allocator behind every buffer of a compiled program.
//
// Freed blocks are kept by size class, so that a large buffer that comes back on the next call has its pages
// already. Blocks made during a call belong to it until they are freed or handed to the caller.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace pit {

constexpr size_t kAlignment = 64;

struct Call;

// Stands in the 64 bytes before the payload.
struct alignas(kAlignment) Block {
  Block *previous;
  Block *next;
  Call *call;         // the call that owns the block, null for a block of the caller
  size_t bytes;       // of the payload
  uint32_t sizeClass;
  bool isLasting;     // of what lives long: not kept for reuse

  void *payload() { return this + 1; }
  static Block *of(void *payload) { return static_cast<Block *>(payload) - 1; }
};
static_assert(sizeof(Block) == kAlignment);

// A payload of at least `bytes` bytes (64 for 0), 64-byte aligned. When the system has no memory left, it ends the
// call of this thread, which `pit_invoke` reports, or aborts where there is none.
void *allocate(size_t bytes);
// Gives a payload back; null is ignored.
void release(void *payload);
// Takes a payload out of the call that made it: its caller owns it now.
void detach(Block *block);

}  // namespace pit

extern "C" {
void *pit_alloc(uint64_t bytes);
void pit_free(void *payload);
// From now on `payload` is of what lives long, such as a weight: when it is freed, the system has it back.
void pit_make_lasting(void *payload);
// Bytes kept for reuse, and bytes handed out.
uint64_t pit_cached_bytes();
uint64_t pit_live_bytes();
// The most bytes that were handed out at a time since the last reset; blocks count with their full size.
uint64_t pit_peak_bytes();
void pit_reset_peak_bytes();
// At most so many bytes are kept for reuse from now on; returns the limit that held before.
uint64_t pit_set_cache_limit(uint64_t bytes);

void *_mlir_memref_to_llvm_alloc(uint64_t bytes);
void *_mlir_memref_to_llvm_aligned_alloc(uint64_t alignment, uint64_t bytes);
void _mlir_memref_to_llvm_free(void *payload);
}
