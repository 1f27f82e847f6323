// Copies to shared memory that are under way while their thread goes on. Each arrives as late as it may: when somebody
// waits for it, and nobody else can run.
#include <algorithm>
#include <cstring>

#include "machine.h"

namespace pit::emulator {

// What the destination was given at the start of a copy is now there.
void land(Machine &machine, const Copy &copy, uint32_t writer, uint32_t time) {
  std::memcpy(copy.to, copy.from, copy.given);
  std::memset(copy.to + copy.given, 0, copy.bytes - copy.given);
  if (!machine.checks) return;
  Cell *cells = machine.sharedCells + (copy.to - machine.window) / kGranule;
  for (uint32_t i = 0; i < copy.bytes / kGranule; ++i) {
    cells[i].flags &= ~kInFlight;
    cells[i].writer = writer;
    cells[i].writeTime = time;
  }
}

void depart(Thread &self, const Copy &copy, uint32_t alignment, uint32_t touch) {
  Machine &machine = *self.machine;
  if (copy.given > 0)
    touchMemory(self, const_cast<char *>(copy.from), copy.given, alignment, kReads | touch, copy.site);
  if (!machine.isShared(copy.to)) fail(self, copy.site, "it copies to %p, which is not shared memory", copy.to);
  touchMemory(self, copy.to, copy.bytes, alignment, kWrites, copy.site);
  if (machine.checks)
    for (uint32_t i = 0; i < copy.bytes; i += kGranule)
      machine.sharedCells[(copy.to - machine.window + i) / kGranule].flags |= kInFlight;
}

void landCopies(Thread &thread, size_t count) {
  count = std::min(count, thread.copies.size());
  for (size_t i = 0; i < count; ++i) land(*thread.machine, thread.copies[i], thread.number, thread.time);
  thread.copies.erase(thread.copies.begin(), thread.copies.begin() + count);
  thread.landed += count;
}

}  // namespace pit::emulator

using namespace pit::emulator;

extern "C" {

void pit_emulate_copy(Thread *self, char *to, const char *from, uint32_t bytes, uint32_t given, uint32_t site) {
  const Copy copy{to, from, bytes, std::min(bytes, given), site, self->groups};
  depart(*self, copy, bytes);
  self->copies.push_back(copy);
}

// From now on other blocks may know what the thread did so far.
void pit_emulate_fence(Thread *self) { self->fenced = true; }

void pit_emulate_commit_copies(Thread *self) { ++self->groups; }

void pit_emulate_wait_copies(Thread *self, uint32_t but) {
  const uint32_t end = self->groups > but ? self->groups - but : 0;
  landCopies(*self, std::count_if(self->copies.begin(), self->copies.end(),
                                  [&](const Copy &copy) { return copy.group < end; }));
}
}
