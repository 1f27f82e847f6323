// What is known about each byte of the emulated machine's memory: whose it is, who wrote it, who read it, and when.
//
// Time is a counter that every synchronisation moves on. An access is kept as (thread, time of the thread); it is
// ordered before what a thread does now if that thread has seen the other's time (FastTrack: Flanagan and Freund, 2009).
// Blocks run one after another, so that a time also tells the block.
#pragma once

#include <cstdint>
#include <vector>

namespace pit::emulator {

struct Thread;

// How memory is touched: any of these together.
enum Touch : uint32_t { kReads = 1, kWrites = 2, kAtomic = 4, kOrders = 8 };

constexpr uint16_t kMany = 0xffff;  // in place of a reader: several, in a list

// The last write and the reads since then of one byte of shared memory, or of up to four bytes of global memory.
struct Cell {
  uint32_t writeTime, readTime;
  uint16_t writer, reader;
  uint16_t writeSite, readSite;
  uint32_t readers;        // the first of several, in the block's list
  uint8_t writeMask, readMask;  // which of the bytes
  uint8_t written;         // which of the bytes anybody ever wrote (global memory)
  uint8_t flags;
};
enum CellFlag : uint8_t { kAtomicWrite = 1, kAtomicRead = 2, kInFlight = 4 };

// Memory that kernels may touch: an argument of a call, an allocation, a constant.
struct Range {
  char *begin;
  uint64_t bytes;
  Cell *cells;       // one for four bytes
  bool initialized;  // all of it was written
  uint32_t uses;

  bool holds(const void *address, uint64_t count) const {
    const auto *first = static_cast<const char *>(address);
    return first >= begin && count <= bytes && first - begin <= static_cast<int64_t>(bytes - count);
  }
};

// The ranges of global memory. Those that overlap, as arguments may, are one.
class Ranges {
 public:
  // False without memory.
  bool add(void *begin, uint64_t bytes, bool initialized);
  void remove(void *begin);
  // The range that has `bytes` at `address`; null if there is none.
  Range *find(const void *address, uint64_t bytes);
  // The range that begins last before `address`, or the first of all; null if there is none.
  const Range *nearest(const void *address) const;
  void markWritten(void *begin, uint64_t bytes);
  // Forgets all accesses.
  void forget();

 private:
  std::vector<Range> ranges_;  // sorted, none overlaps another
  uint32_t last_ = 0;          // the range found last
};

// `count` cells that nobody touched; null without memory.
Cell *newCells(uint64_t count);
void deleteCells(Cell *cells, uint64_t count);

}  // namespace pit::emulator

extern "C" {
// Called before each access of a kernel. They end the launch where it is not allowed.
void pit_emulate_touch(pit::emulator::Thread *self, void *address, uint64_t bytes, uint32_t alignment, uint32_t touch,
                       uint32_t site);
}
