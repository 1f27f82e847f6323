// Races: which accesses to a cell are ordered, and which of them must be remembered.
#include "memory.h"

#include <algorithm>
#include <bit>

#include "machine.h"

namespace pit::emulator {
namespace {

[[noreturn]] void raced(Thread &self, const void *address, uint32_t touch, uint32_t site, uint16_t other,
                        uint32_t time, uint16_t otherSite, uint32_t otherTouch, const char *space) {
  const Machine &machine = *self.machine;
  const Site &there = machine.kernel->sites[otherSite];
  fail(self, site, "race: it %s %s that %s %s (%s at %s), and nothing orders the two", verb(touch, false),
       machine.place(address, space).c_str(), machine.nameOf(other, time).c_str(), verb(otherTouch, true),
       there.operation, there.location);
}

// One thread reads the cell, and all reads before are ordered before it.
void noteOnlyRead(const Thread &self, Cell &cell, uint8_t mask, uint16_t site, bool atomic) {
  const bool again = cell.reader == self.number && cell.readTime == self.time;
  cell.readMask = again ? cell.readMask | mask : mask;
  cell.reader = self.number;
  cell.readTime = self.time;
  cell.readSite = site;
  cell.flags = (cell.flags & ~(kAtomicRead | kForeign)) | (atomic ? kAtomicRead : 0);
}

// The reads of a cell since its last write become those that `self` has not seen, and `self`'s own.
void noteRead(Thread &self, Cell &cell, uint8_t mask, uint16_t site, bool atomic, uint32_t start) {
  Machine &machine = *self.machine;
  const bool isForeign = cell.readTime < machine.blockStart;
  if (cell.readTime < start || (!isForeign && cell.readTime <= machine.floor && !(cell.flags & kForeign)) ||
      (cell.reader != kMany && ordered(self, cell.reader, cell.readTime)))
    return noteOnlyRead(self, cell, mask, site, atomic);
  ReaderSets &sets = machine.readers;
  if (isForeign || cell.reader != kMany) {
    const uint32_t set = sets.add(cell.readTime, cell.readSite, 0);
    if (isForeign) {
      cell.flags |= kForeign;
    } else {
      sets.insert(set, cell.reader);
    }
    cell.readers = set;
    cell.reader = kMany;
  }
  cell.readMask |= mask;
  if (!atomic) cell.flags &= ~kAtomicRead;
  cell.readTime = std::max(cell.readTime, self.time);
  uint32_t set = cell.readers;
  while (set != 0 && sets[set].time != self.time) set = sets[set].next;
  if (set == 0) set = cell.readers = sets.add(self.time, site, cell.readers);
  sets.insert(set, self.number);
}

// A write: it must come after each of the reads.
void checkReads(Thread &self, const Cell &cell, const void *address, uint32_t touch, uint32_t site,
                const char *space) {
  Machine &machine = *self.machine;
  if (cell.reader != kMany || cell.readTime < machine.blockStart) {
    if (!ordered(self, cell.reader, cell.readTime))
      raced(self, address, touch, site, cell.reader, cell.readTime, cell.readSite, kReads, space);
    return;
  }
  if (cell.readTime <= machine.floor && !(cell.flags & kForeign)) return;
  for (uint32_t set = cell.readers; set != 0; set = machine.readers[set].next) {
    const ReaderSets::Set &readers = machine.readers[set];
    if (readers.time < machine.blockStart && !machine.isKnown(readers.time))
      raced(self, address, touch, site, kMany, readers.time, readers.site, kReads, space);
    for (uint32_t i = 0; i < machine.readers.words(); ++i)
      for (uint64_t bits = readers.threads[i]; bits != 0; bits &= bits - 1) {
        const uint16_t reader = 64 * i + std::countr_zero(bits);
        if (!ordered(self, reader, readers.time))
          raced(self, address, touch, site, reader, readers.time, readers.site, kReads, space);
      }
  }
}

}  // namespace

bool ordered(const Thread &self, uint16_t other, uint32_t time) {
  const Machine &machine = *self.machine;
  if (time < machine.blockStart) return machine.isKnown(time);
  return time <= machine.floor || other == self.number || self.seen[other] >= time;
}

void touchCell(Thread &self, Cell &cell, uint8_t mask, uint32_t touch, uint32_t site, uint32_t start,
               const void *address, const char *space) {
  const bool atomic = touch & kAtomic;
  if (cell.writeTime >= start && (cell.writeMask & mask) && !(atomic && (cell.flags & kAtomicWrite)) &&
      !ordered(self, cell.writer, cell.writeTime))
    raced(self, address, touch, site, cell.writer, cell.writeTime, cell.writeSite,
          cell.flags & kAtomicWrite ? kAtomic : kWrites, space);
  if (!(touch & kWrites)) return noteRead(self, cell, mask, site, atomic, start);
  if (cell.readTime >= start && (cell.readMask & mask) && !(atomic && (cell.flags & kAtomicRead)))
    checkReads(self, cell, address, touch, site, space);
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

}  // namespace pit::emulator
