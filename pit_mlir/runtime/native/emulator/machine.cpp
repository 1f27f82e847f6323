#include "machine.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace pit::emulator {
namespace {

constexpr uint32_t kAgents = 16;                        // what moves data on its own has a time too
constexpr uint32_t kWidth = kMaxThreads + kAgents;
constexpr uint32_t kEndOfTime = 0xf0000000;
constexpr uint32_t kMostIdle = 10000;

std::string format(const char *text, va_list values) {
  va_list again;
  va_copy(again, values);
  const int size = std::vsnprintf(nullptr, 0, text, again);
  va_end(again);
  std::string result(size, '\0');
  std::vsnprintf(result.data(), size + 1, text, values);
  return result;
}

[[gnu::format(printf, 1, 2)]] std::string print(const char *text, ...) {
  va_list values;
  va_start(values, text);
  std::string result = format(text, values);
  va_end(values);
  return result;
}

std::string triple(const uint32_t *of) { return print("(%u, %u, %u)", of[0], of[1], of[2]); }

[[noreturn]] void outOfMemory() {
  std::fputs("pit_mlir: out of memory in the emulator\n", stderr);
  std::abort();
}

// The lanes of one warp of a block of `count` threads.
uint32_t lanesOf(uint32_t warp, uint32_t count) {
  const uint32_t lanes = std::min(count - warp * kWarp, kWarp);
  return lanes == kWarp ? ~0u : (1u << lanes) - 1;
}

void runThread(void *argument) {
  auto &self = *static_cast<Thread *>(argument);
  self.machine->kernel->entry(self.machine->parameters);
  self.doing = Doing::kDone;
  self.fiber->suspend();
}

// Threads that never wait for each other need no fibers of their own.
void runThreadsInOrder(void *argument) {
  auto &machine = *static_cast<Machine *>(argument);
  for (uint32_t i = 0; i < machine.count; ++i) {
    machine.current = &machine.threads[i];
    machine.kernel->entry(machine.parameters);
    machine.threads[i].doing = Doing::kDone;
  }
  machine.done = machine.count;
  machine.threads[0].fiber->suspend();
}

}  // namespace

Machine &machine() {
  // Never destroyed: tensors on the device may be freed while the process ends.
  static Machine *instance = new Machine;
  return *instance;
}

Machine::Machine()
    : threads(new Thread[kMaxThreads]),
      fibers_(new Fiber[kMaxThreads]),
      seen_(new uint32_t[static_cast<size_t>(kMaxThreads) * kWidth]()) {
  void *mapped = mmap(nullptr, 2 * kWindow, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) outOfMemory();
  window = reinterpret_cast<char *>((reinterpret_cast<uintptr_t>(mapped) + kWindow - 1) / kWindow * kWindow);
  sharedCells = newCells(kWindow / kGranule);
  if (sharedCells == nullptr) outOfMemory();
}

Machine::~Machine() = default;

bool Machine::run(const Kernel &kernel, const Grid &grid, void **parameters) {
  this->kernel = &kernel;
  this->parameters = parameters;
  failed = false;
  if (!prepare(kernel, grid)) return false;
  uint32_t block[3];
  for (block[2] = 0; block[2] < grid.blocks[2]; ++block[2])
    for (block[1] = 0; block[1] < grid.blocks[1]; ++block[1])
      for (block[0] = 0; block[0] < grid.blocks[0]; ++block[0])
        if (!runBlock(block)) return false;
  return true;
}

bool Machine::prepare(const Kernel &kernel, const Grid &grid) {
  const auto refuse = [&](std::string reason) {
    message = print("kernel @%s: ", kernel.name) + reason;
    location.clear();
    failed = true;
    return false;
  };
  grid_ = grid;
  uint64_t size = 1;
  for (uint32_t extent : grid.threads) size *= extent;
  if (size == 0 || size > kMaxThreads)
    return refuse(print("a block of %s threads: 1 to %u are possible", triple(grid.threads).c_str(), kMaxThreads));
  if (kernel.maxThreads != 0 && size > kernel.maxThreads)
    return refuse(print("a block of %s threads: it was compiled for up to %u", triple(grid.threads).c_str(),
                        kernel.maxThreads));
  count = size;
  width = count + kAgents;
  sharedBytes = kernel.staticShared + grid.sharedBytes;
  if (sharedBytes > kMaxShared)
    return refuse(print("%u bytes of shared memory: a block has %u", sharedBytes, kMaxShared));
  if (now > kEndOfTime) {
    ranges.forget();
    std::fill_n(sharedCells, kWindow / kGranule, Cell{});
    std::fill_n(seen_.get(), static_cast<size_t>(kMaxThreads) * kWidth, 0);
    now = 0;
  }
  launchStart = ++now;
  blockStarts.clear();
  blockCount = uint64_t{grid.blocks[0]} * grid.blocks[1] * grid.blocks[2];
  meetingPoints.clear();
  for (uint32_t i = 0; i < count; ++i) {
    Thread &thread = threads[i];
    thread.machine = this;
    thread.number = i;
    thread.shared = window;
    thread.fiber = &fibers_[kernel.meets ? i : 0];
    thread.seen = &seen_[static_cast<size_t>(i) * kWidth];
    uint32_t *registers = thread.registers;
    registers[kThreadId] = i % grid.threads[0];
    registers[kThreadId + 1] = i / grid.threads[0] % grid.threads[1];
    registers[kThreadId + 2] = i / grid.threads[0] / grid.threads[1];
    std::copy_n(grid.threads, 3, registers + kBlockSize);
    std::copy_n(grid.blocks, 3, registers + kGridSize);
    const uint32_t lane = i % kWarp, bit = 1u << lane;
    registers[kLane] = lane;
    registers[kWarpId] = i / kWarp;
    registers[kWarps] = (count + kWarp - 1) / kWarp;
    registers[kDynamicShared] = grid.sharedBytes;
    registers[kTotalShared] = sharedBytes;
    registers[kMaskEqual] = bit;
    registers[kMaskLess] = bit - 1;
    registers[kMaskLessEqual] = (bit - 1) | bit;
    registers[kMaskGreater] = ~((bit - 1) | bit);
    registers[kMaskGreaterEqual] = ~(bit - 1);
  }
  return true;
}

bool Machine::runBlock(const uint32_t *block) {
  blockStart = ++now;
  floor = blockStart - 1;
  ++now;
  blockStarts.push_back(blockStart);
  known.clear();
  readers.clear(count);
  meetings.clear();
  ready_.clear();
  idle_ = 0;
  for (Barrier &barrier : barriers) {
    barrier.arrived = 0;
    barrier.waiting.clear();
    barrier.seen.assign(kernel->meets ? width : 0, 0);
  }
  startAsync();
  // Old bytes would look like results.
  std::memset(window, 0xff, sharedBytes);
  done = 0;
  for (uint32_t i = 0; i < count; ++i) {
    Thread &thread = threads[i];
    std::copy_n(block, 3, thread.registers + kBlockId);
    thread.time = now;
    thread.doing = Doing::kRunning;
    thread.groups = 0;
    thread.copies.clear();
    thread.landed = 0;
    thread.reads.clear();
    thread.bulkReads.clear();
    thread.readGroups = thread.bulkGroups = 0;
    thread.proxyFence = 0;
    thread.mayMultiply = false;
    thread.fenced = false;
    thread.asks = 0;
    if (!kernel->meets) continue;
    if (!thread.fiber->start(runThread, &thread)) outOfMemory();
    ready_.push_back(&thread);
  }
  if (kernel->meets) return runInTurn();
  if (!threads[0].fiber->start(runThreadsInOrder, this)) outOfMemory();
  threads[0].fiber->resume();
  return !failed;
}

bool Machine::runInTurn() {
  while (done < count) {
    if (ready_.empty()) {
      if (moveData()) continue;
      reportDeadlock();
      return false;
    }
    Thread *thread = ready_.front();
    ready_.pop_front();
    current = thread;
    thread->fiber->resume();
    if (failed) return false;
    if (thread->doing == Doing::kDone) ++done;
  }
  return true;
}

void Machine::wake(Thread *thread) {
  idle_ = 0;
  thread->doing = Doing::kRunning;
  ready_.push_back(thread);
}

void Machine::yield(Thread &thread, uint32_t site) {
  if (ready_.empty() && !moveData() && ++idle_ > kMostIdle)
    fail(thread, site, "divergent: it asks again and again, and nobody else can go on");
  ready_.push_back(&thread);
  thread.fiber->suspend();
}

void Machine::wait(Thread &thread, Doing doing, uint32_t site, uint32_t waitsFor) {
  thread.doing = doing;
  thread.site = site;
  thread.waitsFor = waitsFor;
  thread.fiber->suspend();
}

void Machine::release(Thread &thread, std::vector<uint32_t> &seen) {
  for (uint32_t i = 0; i < width; ++i) seen[i] = std::max(seen[i], thread.seen[i]);
  seen[thread.number] = std::max(seen[thread.number], thread.time);
  thread.time = ++now;
}

void Machine::acquire(Thread &thread, const std::vector<uint32_t> &seen) {
  for (uint32_t i = 0; i < width; ++i) thread.seen[i] = std::max(seen[i], thread.seen[i]);
}

bool Machine::isKnown(uint32_t time) const {
  if (time < launchStart || known.empty()) return time < launchStart;
  const uint32_t block = *(std::upper_bound(blockStarts.begin(), blockStarts.end(), time) - 1);
  const auto found = known.find(block);
  return found != known.end() && time <= found->second;
}

std::string Machine::nameOf(uint32_t number, uint32_t time) const {
  if (number >= count && number != kMany) return "the copy engine";
  if (time >= blockStart) return "thread " + triple(threads[number].registers + kThreadId);
  const uint32_t block = std::upper_bound(blockStarts.begin(), blockStarts.end(), time) - blockStarts.begin() - 1;
  const uint32_t at[3] = {block % grid_.blocks[0], block / grid_.blocks[0] % grid_.blocks[1],
                          block / grid_.blocks[0] / grid_.blocks[1]};
  const std::string who = number < count ? "thread " + triple(threads[number].registers + kThreadId) : "a thread";
  return who + " of block " + triple(at);
}

std::string Machine::place(const void *address, const char *space) const {
  const auto *at = static_cast<const char *>(address);
  if (isShared(at)) return print("byte %td of shared memory", at - window);
  const Range *near = ranges.nearest(at);
  if (near == nullptr) return print("%s memory at %p", space, address);
  return print("byte %td of a buffer of %llu bytes in %s memory", at - near->begin,
               static_cast<unsigned long long>(near->bytes), space);
}

namespace {

std::string count(uint32_t number, const char *what) {
  return number == 1 ? print("1 %s", what) : print("%u %ss", number, what);
}

}  // namespace

void Machine::reportDeadlock() {
  // Those who wait at the same operation for the same thing are told together.
  std::string others;
  const Thread *first = nullptr;
  uint32_t exited = 0;
  std::vector<const Thread *> told;
  for (uint32_t i = 0; i < count; ++i) {
    const Thread &thread = threads[i];
    if (thread.doing == Doing::kDone) {
      ++exited;
      continue;
    }
    if (first == nullptr) first = &thread;
    const auto alike = [&](const Thread *other) {
      return other->doing == thread.doing && other->site == thread.site &&
             (thread.doing == Doing::kAtWarp || other->waitsFor == thread.waitsFor);
    };
    if (std::any_of(told.begin(), told.end(), alike)) continue;
    told.push_back(&thread);
    uint32_t together = 0;
    for (uint32_t k = 0; k < count; ++k) together += alike(&threads[k]);
    const Site &site = kernel->sites[thread.site];
    others += print("; %s from %s on wait%s at %s (%s)", emulator::count(together, "thread").c_str(),
                    triple(thread.registers + kThreadId).c_str(), together == 1 ? "s" : "", site.operation,
                    site.location);
    if (thread.doing == Doing::kAtBarrier)
      others += print(" for barrier %u, where %u of %u have arrived", thread.waitsFor,
                      barriers[thread.waitsFor].arrived, barriers[thread.waitsFor].expected);
    if (thread.doing == Doing::kAtWarp) others += print(" for the lanes 0x%08x", thread.waitsFor);
    if (thread.doing == Doing::kAtTransaction) others += " for " + transactionText(thread.waitsFor);
  }
  if (exited > 0) others += "; " + emulator::count(exited, "thread") + (exited == 1 ? " has" : " have") + " exited";
  noteFailure(*first, first->site, "divergent: no thread of the block can go on" + others);
}

void Machine::noteFailure(const Thread &thread, uint32_t site, const std::string &text) {
  failed = true;
  const Site &at = kernel->sites[site];
  message = print("kernel @%s, block %s, thread %s, %s: ", kernel->name, triple(thread.registers + kBlockId).c_str(),
                  triple(thread.registers + kThreadId).c_str(), at.operation) +
            text;
  location = at.location;
}

void fail(Thread &self, uint32_t site, const char *text, ...) {
  va_list values;
  va_start(values, text);
  self.machine->noteFailure(self, site, format(text, values));
  va_end(values);
  // The thread that runs may do this for another, as the last of a warp.
  self.machine->current->fiber->suspend();
  std::abort();  // nobody resumes a thread that failed
}

void meet(Thread &self, uint32_t mask, uint32_t site, Perform perform, const void *input, void *output) {
  Machine &machine = *self.machine;
  const uint32_t warp = self.number / kWarp, bit = 1u << self.number % kWarp;
  Thread *lanes = &machine.threads[warp * kWarp];
  const uint32_t present = lanesOf(warp, machine.count);
  if (!(mask & bit)) fail(self, site, "divergent: lane %u is not among the lanes 0x%08x it gives", self.number % kWarp, mask);
  // Lanes that the warp does not have are as good as arrived.
  mask &= present;
  self.input = input;
  self.output = output;
  auto meeting = std::find_if(machine.meetings.begin(), machine.meetings.end(), [&](const Meeting &other) {
    return other.warp == warp && other.mask == mask && other.site == site;
  });
  if (meeting == machine.meetings.end()) {
    for (const Meeting &other : machine.meetings)
      if (other.warp == warp && (other.mask & mask)) {
        const Site &there = machine.kernel->sites[other.site];
        fail(self, site, "divergent: it is for the lanes 0x%08x, but lanes of them wait for 0x%08x at %s (%s)", mask,
             other.mask, there.operation, there.location);
      }
    for (uint32_t lane = 0; lane < kWarp; ++lane)
      if ((mask >> lane & 1) && lanes[lane].doing == Doing::kDone)
        fail(self, site, "divergent: it is for the lanes 0x%08x, but lane %u has exited", mask, lane);
    machine.meetings.push_back({warp, mask, 0, site});
    meeting = machine.meetings.end() - 1;
  }
  meeting->arrived |= bit;
  if (meeting->arrived != mask) {
    machine.wait(self, Doing::kAtWarp, site, mask);
    return;
  }
  machine.meetings.erase(meeting);
  perform(lanes, mask, site);
  for (uint32_t lane = 0; lane < kWarp; ++lane)
    if ((mask >> lane & 1) && &lanes[lane] != &self) machine.wake(&lanes[lane]);
}

namespace {

// Everybody who waits goes on, and knows what all who arrived did before.
void complete(Machine &machine, Barrier &barrier) {
  if (barrier.waiting.size() == machine.count) {
    machine.floor = machine.now++;
    for (Thread *thread : barrier.waiting) thread->time = machine.now;
  } else {
    for (Thread *thread : barrier.waiting) machine.release(*thread, barrier.seen);
    for (Thread *thread : barrier.waiting) machine.acquire(*thread, barrier.seen);
    std::fill(barrier.seen.begin(), barrier.seen.end(), 0);
  }
  barrier.arrived = 0;
  barrier.ones = barrier.passed;
  barrier.passed = 0;
  for (Thread *thread : barrier.waiting) machine.wake(thread);
  barrier.waiting.clear();
}

// Lanes of one warp must come to a barrier together: at one operation.
void checkWarp(const Barrier &barrier, Thread &self, uint32_t site) {
  for (const Thread *other : barrier.waiting)
    if (other->number / kWarp == self.number / kWarp && other->site != site) {
      const Site &there = self.machine->kernel->sites[other->site];
      fail(self, site, "divergent: lane %u of its warp waits at another operation: %s (%s)", other->number % kWarp,
           there.operation, there.location);
    }
}

}  // namespace

uint32_t arrive(Thread &self, uint32_t number, uint32_t expected, Arrival how, bool predicate, uint32_t site) {
  Machine &machine = *self.machine;
  if (number >= kBarriers) fail(self, site, "there is no barrier %u: they are numbered from 0 to 15", number);
  if (expected == 0) expected = machine.count;
  if (expected % kWarp != 0 && expected != machine.count)
    fail(self, site, "barrier %u is for %u threads, which must be a multiple of %u", number, expected, kWarp);
  expected = std::min(expected, machine.count);
  Barrier &barrier = machine.barriers[number];
  if (barrier.arrived == 0) {
    barrier.expected = expected;
  } else if (barrier.expected != expected) {
    fail(self, site, "barrier %u is for %u threads, but those who arrived before said %u", number, expected,
         barrier.expected);
  }
  if (how == Arrival::kAligned) checkWarp(barrier, self, site);
  ++barrier.arrived;
  barrier.passed += predicate;
  if (how == Arrival::kPassing) {
    machine.release(self, barrier.seen);
    if (barrier.arrived == barrier.expected) complete(machine, barrier);
    return 0;
  }
  barrier.waiting.push_back(&self);
  self.doing = Doing::kAtBarrier;
  self.site = site;
  self.waitsFor = number;
  if (barrier.arrived == barrier.expected) complete(machine, barrier);
  // The last to arrive waits its turn like all.
  self.fiber->suspend();
  return barrier.ones;
}

}  // namespace pit::emulator
