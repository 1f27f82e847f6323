// What is known about each byte of the emulated machine's memory: whose it is, who wrote it, who read it, and when.
//
// Time is a counter that every synchronisation moves on. An access is kept as (thread, time of the thread); it is
// ordered before what a thread does now if that thread has seen the other's time (FastTrack: Flanagan and Freund, 2009).
// Blocks run one after another, so that a time also tells the block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pit::emulator {

struct Thread;

// How memory is touched: any of these together.
// `kUnwritten`: what nobody wrote may be read. Boxes have more than the kernel wants of them.
enum Touch : uint32_t { kReads = 1, kWrites = 2, kAtomic = 4, kOrders = 8, kUnwritten = 16 };

constexpr uint16_t kMany = 0xffff;  // in place of a reader: several, in sets

constexpr uint64_t kGranule = 4;    // bytes to a cell

// The last write to four bytes, and the reads since then. Of two threads that touch different bytes of them at a time,
// the later one is remembered.
struct Cell {
  uint32_t writeTime, readTime;
  uint16_t writer, reader;
  uint16_t writeSite, readSite;
  uint32_t readers;        // the last of several sets
  uint8_t writeMask, readMask;  // which of the bytes
  uint8_t written;         // which of the bytes anybody ever wrote
  uint8_t flags;
};
// `kForeign`: another block is among several readers.
enum CellFlag : uint8_t { kAtomicWrite = 1, kAtomicRead = 2, kInFlight = 4, kForeign = 8 };

// Memory that kernels may touch: an argument of a call, an allocation, a constant.
struct Range {
  char *begin;
  uint64_t bytes;
  Cell *cells;
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

// Threads of a block that read a cell, by the time at which they did.
class ReaderSets {
 public:
  struct Set {
    uint32_t time, next;  // 0 for none
    uint32_t site, unused;
    uint64_t threads[1];  // bits, as many words as `words` says
  };

  // Forgets all sets; blocks have `threads` threads from now on.
  void clear(uint32_t threads) {
    words_ = (threads + 63) / 64;
    stride_ = sizeof(Set) / sizeof(uint64_t) - 1 + words_;
    memory_.assign(stride_, 0);
  }
  uint32_t words() const { return words_; }
  Set &operator[](uint32_t set) { return *reinterpret_cast<Set *>(&memory_[set * stride_]); }
  uint32_t add(uint32_t time, uint32_t site, uint32_t next) {
    const uint32_t set = memory_.size() / stride_;
    memory_.resize(memory_.size() + stride_, 0);
    (*this)[set].time = time;
    (*this)[set].next = next;
    (*this)[set].site = site;
    return set;
  }
  void insert(uint32_t set, uint32_t thread) { (*this)[set].threads[thread / 64] |= uint64_t{1} << thread % 64; }

 private:
  std::vector<uint64_t> memory_;
  uint32_t words_ = 0;
  size_t stride_ = 1;
};

// "reads", "wrote", ..
const char *verb(uint32_t touch, bool past);
// Whether what `other` did at `time` is ordered before what `self` does now.
bool ordered(const Thread &self, uint16_t other, uint32_t time);
// Checks an access to some bytes of a cell, and remembers it. Accesses before `start` do not count.
void touchCell(Thread &self, Cell &cell, uint8_t mask, uint32_t touch, uint32_t site, uint32_t start,
               const void *address, const char *space);

// `count` cells that nobody touched; null without memory.
Cell *newCells(uint64_t count);
void deleteCells(Cell *cells, uint64_t count);

}  // namespace pit::emulator

extern "C" {
// Called before each access of a kernel. They end the launch where it is not allowed.
void pit_emulate_touch(pit::emulator::Thread *self, void *address, uint64_t bytes, uint32_t alignment, uint32_t touch,
                       uint32_t site);
}
