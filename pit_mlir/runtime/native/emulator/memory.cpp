#include "memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "machine.h"

namespace pit::emulator {
namespace {

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

const char *verb(uint32_t touch, bool past) {
  if (touch & kAtomic) return past ? "changed" : "changes";
  if (touch & kWrites) return past ? "wrote" : "writes";
  return past ? "read" : "reads";
}

namespace {

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

// Calls `body(cell, mask, address)` for each cell of `bytes` bytes at `offset`; `cells` begins with that of `begin`.
template <class Body>
void forCells(Cell *cells, char *begin, uint64_t offset, uint64_t bytes, Body body) {
  for (uint64_t i = offset, end = offset + bytes; i < end;) {
    const uint64_t inCell = i % kGranule, count = std::min(kGranule - inCell, end - i);
    body(cells[i / kGranule], static_cast<uint8_t>(((1u << count) - 1) << inCell), begin + i);
    i += count;
  }
}

void touchShared(Thread &self, char *address, uint64_t bytes, uint32_t touch, uint32_t site) {
  Machine &machine = *self.machine;
  const uint64_t offset = address - machine.window;
  if (offset + bytes > machine.sharedBytes)
    fail(self, site, "out of bounds: it %s %s, and the block has %u bytes of it", verb(touch, false),
         machine.place(address, "shared").c_str(), machine.sharedBytes);
  if (!machine.checks) return;
  forCells(machine.sharedCells, machine.window, offset, bytes, [&](Cell &cell, uint8_t mask, char *at) {
    if (cell.writeTime < machine.blockStart) {
      cell.written = cell.flags = 0;
    } else if (cell.flags & kInFlight) {
      const Site &copy = machine.kernel->sites[cell.writeSite];
      fail(self, site, "not arrived: it %s %s, where data is under way (%s at %s) that nobody waited for",
           verb(touch, false), machine.place(at, "shared").c_str(), copy.operation, copy.location);
    }
    if ((touch & kReads) && (cell.written & mask) != mask)
      fail(self, site, "not written: it reads %s, which nobody in the block wrote",
           machine.place(at, "shared").c_str());
    touchCell(self, cell, mask, touch, site, machine.blockStart, at, "shared");
  });
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
  forCells(range->cells, range->begin, address - range->begin, bytes, [&](Cell &cell, uint8_t mask, char *at) {
    if ((touch & (kReads | kUnwritten)) == kReads && !range->initialized && (cell.written & mask) != mask)
      fail(self, site, "not written: it reads %s, which nobody wrote", machine.place(at, "global").c_str());
    touchCell(self, cell, mask, touch, site, machine.launchStart, at, "global");
  });
  if ((touch & kAtomic) && machine.blockCount > 1) orderBlocks(machine, self, address, touch);
}

}  // namespace

void beginReads(Thread &self) { self.time = ++self.machine->now; }

void readByEngine(Thread &self, std::vector<PendingRead> &reads, uint32_t group, char *address, uint32_t bytes,
                  uint32_t site) {
  Machine &machine = *self.machine;
  touchMemory(self, address, bytes, bytes, kReads, site);
  if (!machine.checks) return;
  reads.push_back({address, bytes, site, group, self.time});
  forCells(machine.sharedCells, machine.window, address - machine.window, bytes, [&](Cell &cell, uint8_t, char *at) {
    if (cell.writer >= machine.count) return;
    if (cell.writeTime <= machine.threads[cell.writer].proxyFence || cell.writeTime <= self.proxyFence) return;
    const Site &write = machine.kernel->sites[cell.writeSite];
    fail(self, site, "not known to the engine: it reads %s, which %s wrote (%s at %s), with no fence.proxy.async since",
         machine.place(at, "shared").c_str(), machine.nameOf(cell.writer, cell.writeTime).c_str(), write.operation,
         write.location);
  });
}

void endReads(Thread &self, std::vector<PendingRead> &reads, uint32_t groups, uint32_t but) {
  Machine &machine = *self.machine;
  const uint32_t end = groups > but ? groups - but : 0;
  const auto isOver = [&](const PendingRead &read) { return read.group < end; };
  for (const PendingRead &read : reads) {
    if (!isOver(read)) continue;
    const auto check = [&](Cell &cell, uint8_t, char *at) {
      if (cell.writeTime < read.time) return;
      const Site &write = machine.kernel->sites[cell.writeSite];
      fail(self, read.site, "race: while it was reading %s, %s wrote there (%s at %s)",
           machine.place(at, "shared").c_str(), machine.nameOf(cell.writer, cell.writeTime).c_str(), write.operation,
           write.location);
    };
    forCells(machine.sharedCells, machine.window, read.address - machine.window, read.bytes, check);
  }
  std::erase_if(reads, isOver);
}

namespace {

// A thread that asks memory again and again may wait for another one, which must run for it.
void askAgain(Thread &self, uint32_t site) {
  constexpr uint32_t kPatience = 1024, kMost = 1u << 28;
  if (++self.asks % kPatience != 0) return;
  if (self.machine->kernel->meets) self.machine->yield(self, site);
  if (self.asks == kMost)
    fail(self, site, "divergent: it asks again and again; blocks run one after another, and none may wait for a later one");
}

}  // namespace

void touchMemory(Thread &self, void *address, uint64_t bytes, uint32_t alignment, uint32_t touch, uint32_t site) {
  if (bytes == 0) return;
  auto *at = static_cast<char *>(address);
  Machine &machine = *self.machine;
  const bool shared = machine.isShared(at);
  if (!shared && self.fiber->holds(at)) return;
  if (reinterpret_cast<uintptr_t>(at) & (alignment - 1))
    fail(self, site, "misaligned: it %s %s, which must be a multiple of %u", verb(touch, false),
         machine.place(at, shared ? "shared" : "global").c_str(), alignment);
  if (touch & kAtomic) askAgain(self, site);
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
