#include "memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "machine.h"

namespace pit::emulator {
namespace {

constexpr uint64_t kGranule = 4;       // bytes of global memory to a cell
constexpr uint32_t kManyReaders = 16;  // of a cell; where there are more, one of a warp stands for the others

uint64_t cellsOf(uint64_t bytes) { return bytes / kGranule + 2; }

}  // namespace

Cell *newCells(uint64_t count) {
  // Fresh pages are zero, and take memory when they are touched.
  void *mapped = mmap(nullptr, count * sizeof(Cell), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return mapped == MAP_FAILED ? nullptr : static_cast<Cell *>(mapped);
}

void deleteCells(Cell *cells, uint64_t count) { munmap(cells, count * sizeof(Cell)); }

bool Ranges::add(void *address, uint64_t bytes, bool initialized) {
  auto *begin = static_cast<char *>(address);
  char *end = begin + bytes;
  auto first = std::lower_bound(ranges_.begin(), ranges_.end(), begin,
                                [](const Range &range, char *at) { return range.begin + range.bytes <= at; });
  uint32_t uses = 1;
  auto last = first;
  for (; last != ranges_.end() && last->begin < end; ++last) {
    begin = std::min(begin, last->begin);
    end = std::max(end, last->begin + last->bytes);
    uses += last->uses;
    initialized |= last->initialized;
    deleteCells(last->cells, cellsOf(last->bytes));
  }
  first = ranges_.erase(first, last);
  const uint64_t size = end - begin;
  Cell *cells = newCells(cellsOf(size));
  if (cells == nullptr) return false;
  ranges_.insert(first, Range{begin, size, cells, initialized, uses});
  return true;
}

void Ranges::remove(void *begin) {
  for (auto range = ranges_.begin(); range != ranges_.end(); ++range) {
    if (begin < range->begin || begin >= range->begin + std::max<uint64_t>(range->bytes, 1)) continue;
    if (--range->uses > 0) return;
    deleteCells(range->cells, cellsOf(range->bytes));
    ranges_.erase(range);
    return;
  }
}

Range *Ranges::find(const void *address, uint64_t bytes) {
  if (last_ < ranges_.size() && ranges_[last_].holds(address, bytes)) return &ranges_[last_];
  auto after = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                [](const void *at, const Range &range) { return at < range.begin; });
  if (after == ranges_.begin() || !(after - 1)->holds(address, bytes)) return nullptr;
  last_ = after - 1 - ranges_.begin();
  return &ranges_[last_];
}

const Range *Ranges::nearest(const void *address) const {
  if (ranges_.empty()) return nullptr;
  auto after = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                [](const void *at, const Range &range) { return at < range.begin; });
  return after == ranges_.begin() ? &*after : &*(after - 1);
}

void Ranges::markWritten(void *begin, uint64_t bytes) {
  Range *range = bytes == 0 ? nullptr : find(begin, bytes);
  if (range == nullptr || range->initialized) return;
  if (bytes == range->bytes) {
    range->initialized = true;
    return;
  }
  const uint64_t offset = static_cast<char *>(begin) - range->begin;
  for (uint64_t i = offset; i < offset + bytes; ++i) range->cells[i / kGranule].written |= 1u << i % kGranule;
}

void Ranges::forget() {
  for (Range &range : ranges_)
    for (uint64_t i = 0; i < cellsOf(range.bytes); ++i) {
      const uint8_t written = range.cells[i].written;
      range.cells[i] = {};
      range.cells[i].written = written;
    }
}

namespace {

const char *verb(uint32_t touch, bool past) {
  if (touch & kAtomic) return past ? "changed" : "changes";
  if (touch & kWrites) return past ? "wrote" : "writes";
  return past ? "read" : "reads";
}

[[noreturn]] void raced(Thread &self, const void *address, uint32_t touch, uint32_t site, uint16_t other,
                        uint32_t time, uint16_t otherSite, uint32_t otherTouch, const char *space) {
  const Machine &machine = *self.machine;
  const Site &there = machine.kernel->sites[otherSite];
  fail(self, site, "race: it %s %s that %s %s (%s at %s), and nothing orders the two", verb(touch, false),
       machine.place(address, space).c_str(), machine.nameOf(other, time).c_str(), verb(otherTouch, true),
       there.operation, there.location);
}

bool ordered(const Thread &self, uint16_t other, uint32_t time) {
  const Machine &machine = *self.machine;
  if (time < machine.blockStart) return machine.isKnown(time);
  return time <= machine.floor || other == self.number || self.seen[other] >= time;
}

// An atomic access that orders what its thread did: it knows what those knew who came before it to this address.
void orderBlocks(Machine &machine, Thread &self, const void *address, uint32_t touch) {
  MeetingPoint &point = machine.meetingPoints[address];
  // Blocks run one after another: nobody else came since this one did.
  if (point.block != machine.blockStart)
    for (const auto &[from, to] : point.known) machine.learn(from, to);
  if (!self.fenced && !(touch & kOrders)) return;
  if (point.block != machine.blockStart || point.size != machine.known.size()) point.known = machine.known;
  point.block = machine.blockStart;
  point.size = machine.known.size();
  point.known[machine.blockStart] = machine.now;
}

// The reads of a cell since its last write become those that `self` has not seen, and `self`'s own.
void noteRead(Thread &self, Cell &cell, uint8_t mask, uint16_t site, bool atomic, uint32_t start) {
  Machine &machine = *self.machine;
  const uint8_t flags = (cell.flags & ~kAtomicRead) | (atomic ? kAtomicRead : 0);
  const bool alive = cell.readTime >= start;
  if (alive && cell.reader == self.number && cell.readTime >= machine.blockStart) {
    cell.readMask = cell.readTime == self.time ? cell.readMask | mask : mask;
  } else if (!alive || (cell.reader != kMany && ordered(self, cell.reader, cell.readTime))) {
    cell.readMask = mask;
  } else {
    if (cell.reader != kMany || cell.readTime < machine.blockStart) {
      machine.readers.push_back({cell.reader, cell.readSite, cell.readTime, 0});
      cell.readers = machine.readers.size();
      cell.reader = kMany;
    }
    cell.readTime = self.time;
    cell.readMask |= mask;
    cell.flags &= ~kAtomicRead;
    uint32_t length = 0, neighbour = 0;
    for (uint32_t i = cell.readers; i != 0; i = machine.readers[i - 1].next, ++length) {
      Reader &reader = machine.readers[i - 1];
      if (reader.time < machine.blockStart) continue;
      if (reader.thread == self.number) {
        reader.time = self.time;
        return;
      }
      if (reader.thread / kWarp == self.number / kWarp) neighbour = i;
    }
    if (length >= kManyReaders && neighbour != 0) {
      Reader &reader = machine.readers[neighbour - 1];
      reader.thread = self.number;
      reader.site = site;
      reader.time = self.time;
      return;
    }
    machine.readers.push_back({static_cast<uint16_t>(self.number), site, self.time, cell.readers});
    cell.readers = machine.readers.size();
    return;
  }
  cell.reader = self.number;
  cell.readTime = self.time;
  cell.readSite = site;
  cell.flags = flags;
}

// `start`: accesses before it do not count.
inline void touchCell(Thread &self, Cell &cell, uint8_t mask, uint32_t touch, uint32_t site, uint32_t start,
                      const void *address, const char *space) {
  Machine &machine = *self.machine;
  const bool atomic = touch & kAtomic;
  if (cell.writeTime >= start && (cell.writeMask & mask) && !(atomic && (cell.flags & kAtomicWrite)) &&
      !ordered(self, cell.writer, cell.writeTime))
    raced(self, address, touch, site, cell.writer, cell.writeTime, cell.writeSite,
          cell.flags & kAtomicWrite ? kAtomic : kWrites, space);
  if (!(touch & kWrites)) return noteRead(self, cell, mask, site, atomic, start);
  if (cell.readTime >= start && (cell.readMask & mask) && !(atomic && (cell.flags & kAtomicRead))) {
    if (cell.reader != kMany) {
      if (!ordered(self, cell.reader, cell.readTime))
        raced(self, address, touch, site, cell.reader, cell.readTime, cell.readSite, kReads, space);
    } else if (cell.readTime < machine.blockStart) {
      if (!machine.isKnown(cell.readTime))
        raced(self, address, touch, site, kMany, cell.readTime, cell.readSite, kReads, space);
    } else {
      for (uint32_t i = cell.readers; i != 0; i = machine.readers[i - 1].next) {
        const Reader &reader = machine.readers[i - 1];
        if (!ordered(self, reader.thread, reader.time))
          raced(self, address, touch, site, reader.thread, reader.time, reader.site, kReads, space);
      }
    }
  }
  const bool again = cell.writer == self.number && cell.writeTime == self.time;
  cell.writeMask = again ? cell.writeMask | mask : mask;
  cell.writer = self.number;
  cell.writeTime = self.time;
  cell.writeSite = site;
  cell.written |= mask;
  // Who wrote before, and then changes it atomically, still wrote.
  const bool isAtomic = atomic && (!again || (cell.flags & kAtomicWrite));
  cell.flags = (cell.flags & ~kAtomicWrite) | (isAtomic ? kAtomicWrite : 0);
  cell.readMask &= ~mask;
  if (cell.readMask == 0) cell.readTime = 0;
}

void touchShared(Thread &self, char *address, uint64_t bytes, uint32_t touch, uint32_t site) {
  Machine &machine = *self.machine;
  const uint64_t offset = address - machine.window;
  if (offset + bytes > machine.sharedBytes)
    fail(self, site, "out of bounds: it %s %s, and the block has %u bytes of it", verb(touch, false),
         machine.place(address, "shared").c_str(), machine.sharedBytes);
  if (!machine.checks) return;
  for (uint64_t i = 0; i < bytes; ++i) {
    Cell &cell = machine.sharedCells[offset + i];
    if (cell.writeTime < machine.blockStart) {
      if (cell.flags != 0) cell.flags = 0;
    } else if (cell.flags & kInFlight) {
      const Site &copy = machine.kernel->sites[cell.writeSite];
      fail(self, site, "not arrived: it %s %s, where data is under way (%s at %s) that nobody waited for",
           verb(touch, false), machine.place(address + i, "shared").c_str(), copy.operation, copy.location);
    }
    if ((touch & kReads) && cell.writeTime < machine.blockStart)
      fail(self, site, "not written: it reads %s, which nobody in the block wrote",
           machine.place(address + i, "shared").c_str());
    touchCell(self, cell, 1, touch, site, machine.blockStart, address + i, "shared");
  }
}

void touchGlobal(Thread &self, char *address, uint64_t bytes, uint32_t touch, uint32_t site) {
  Machine &machine = *self.machine;
  Range *range = machine.ranges.find(address, bytes);
  if (range == nullptr) {
    const Range *near = machine.ranges.nearest(address);
    if (near == nullptr) fail(self, site, "out of bounds: there is no global memory");
    const int64_t at = address - near->begin;
    fail(self, site, "out of bounds: it %s %llu bytes of global memory at %p: %lld bytes %s the begin of the nearest "
         "buffer, which has %llu bytes", verb(touch, false), static_cast<unsigned long long>(bytes), address,
         static_cast<long long>(at < 0 ? -at : at), at < 0 ? "before" : "behind",
         static_cast<unsigned long long>(near->bytes));
  }
  if (!machine.checks) return;
  const uint64_t offset = address - range->begin, end = offset + bytes;
  for (uint64_t i = offset; i < end;) {
    const uint64_t inCell = i % kGranule, count = std::min(kGranule - inCell, end - i);
    const uint8_t mask = ((1u << count) - 1) << inCell;
    Cell &cell = range->cells[i / kGranule];
    if ((touch & kReads) && !range->initialized && (cell.written & mask) != mask)
      fail(self, site, "not written: it reads %s, which nobody wrote",
           machine.place(range->begin + i, "global").c_str());
    touchCell(self, cell, mask, touch, site, machine.launchStart, range->begin + i, "global");
    i += count;
  }
  if ((touch & kAtomic) && machine.blockCount > 1) orderBlocks(machine, self, address, touch);
}

}  // namespace

void touchByEngine(Thread &self, char *address, uint64_t bytes, uint32_t site) {
  Machine &machine = *self.machine;
  touchMemory(self, address, bytes, bytes, kReads, site);
  if (!machine.checks) return;
  for (uint64_t i = 0; i < bytes; ++i) {
    const Cell &cell = machine.sharedCells[address - machine.window + i];
    if (cell.writer >= machine.count) continue;
    if (cell.writeTime <= machine.threads[cell.writer].proxyFence || cell.writeTime <= self.proxyFence) continue;
    const Site &write = machine.kernel->sites[cell.writeSite];
    fail(self, site, "not known to the engine: it reads %s, which %s wrote (%s at %s), with no fence.proxy.async since",
         machine.place(address + i, "shared").c_str(), machine.nameOf(cell.writer, cell.writeTime).c_str(),
         write.operation, write.location);
  }
}

void touchMemory(Thread &self, void *address, uint64_t bytes, uint32_t alignment, uint32_t touch, uint32_t site) {
  if (bytes == 0) return;
  auto *at = static_cast<char *>(address);
  Machine &machine = *self.machine;
  const bool shared = machine.isShared(at);
  if (!shared && self.fiber->holds(at)) return;
  if (reinterpret_cast<uintptr_t>(at) & (alignment - 1))
    fail(self, site, "misaligned: it %s %s, which must be a multiple of %u", verb(touch, false),
         machine.place(at, shared ? "shared" : "global").c_str(), alignment);
  if (shared) {
    touchShared(self, at, bytes, touch, site);
  } else {
    touchGlobal(self, at, bytes, touch, site);
  }
}

}  // namespace pit::emulator

void pit_emulate_touch(pit::emulator::Thread *self, void *address, uint64_t bytes, uint32_t alignment, uint32_t touch,
                       uint32_t site) {
  pit::emulator::touchMemory(*self, address, bytes, alignment, touch, site);
}
