// The emulated machine: blocks run one after another, each thread of a block as a fiber.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "../device.h"
#include "fiber.h"
#include "memory.h"

namespace pit::emulator {

constexpr uint32_t kWarp = 32, kMaxThreads = 1024, kMaxShared = 227 * 1024, kBarriers = 16;
constexpr size_t kWindow = size_t{1} << 20;  // shared memory starts at a multiple of it

// An operation of a kernel, and where it comes from in the source.
struct Site {
  const char *operation;
  const char *location;
};

// A kernel of an image. The host's code for it runs one thread.
struct Kernel {
  void (*entry)(void **parameters);
  const char *name;
  const Site *sites;
  uint32_t staticShared;  // bytes of shared memory that it declares
  uint32_t meets;         // whether its threads ever wait for each other
  uint32_t maxThreads;    // the block it was compiled for, 0 if any
  uint32_t reserved;
};

// Places in `Thread::registers`.
enum Register : uint32_t {
  kThreadId = 0, kBlockId = 3, kBlockSize = 6, kGridSize = 9, kLane = 12, kWarpId = 13, kWarps = 14,
  kDynamicShared = 15, kMaskEqual = 16, kMaskLess = 17, kMaskLessEqual = 18, kMaskGreater = 19, kMaskGreaterEqual = 20,
  kTotalShared = 21, kRegisters = 24,
};

enum class Doing : uint8_t { kRunning, kAtBarrier, kAtWarp, kAtTransaction, kDone };

// A copy to shared memory that is under way.
struct Copy {
  char *to;
  const char *from;
  uint32_t bytes;       // that arrive; from `given` on they are zero
  uint32_t given;
  uint32_t site;
  uint32_t group;       // of its thread
};

// What a product or a copy that is under way reads of shared memory.
struct PendingRead {
  char *address;
  uint32_t bytes;
  uint32_t site;
  uint32_t group;
  uint32_t time;  // of its begin
};

struct Machine;

// A thread of the block that runs. Kernels read the registers and `shared` themselves.
struct Thread {
  uint32_t registers[kRegisters];
  char *shared;
  // From here on the emulator's own.
  Machine *machine;
  Fiber *fiber;
  uint32_t number;    // in the block
  uint32_t time;
  uint32_t *seen;     // of each thread, the time up to which this one knows what it did
  Doing doing;
  uint32_t site;      // where it waits
  uint32_t waitsFor;  // the barrier's number, the lanes, or the address in shared memory
  const void *input;  // of an operation of a warp
  void *output;
  uint32_t groups;    // how many groups of copies were committed
  std::vector<Copy> copies;  // under way, in order
  size_t landed;      // how many are not any more
  std::vector<PendingRead> reads, bulkReads;  // of products, and of copies to global memory
  uint32_t readGroups, bulkGroups;            // how many groups of them were committed
  uint32_t proxyFence;  // the last time at which it made its writes known to engines beside the threads
  bool mayMultiply;     // whether products under way may use its registers
  uint32_t asks;        // how often it touched memory atomically
  bool fenced;          // whether it ever made its writes known to all blocks
};

// What the lanes of `mask` do together; `lanes` is the warp.
using Perform = void (*)(Thread *lanes, uint32_t mask, uint32_t site);

// Lanes that execute one operation together, as far as they have arrived.
struct Meeting {
  uint32_t warp, mask, arrived, site;
};

struct Barrier {
  uint32_t arrived = 0, expected = 0;
  uint32_t passed = 0, ones = 0;  // how many brought a predicate that holds: so far, and the last time
  std::vector<Thread *> waiting;
  std::vector<uint32_t> seen;  // what those know together who arrived
};

// An mbarrier: it counts arrivals and bytes of the phase that is under way.
struct Transaction {
  uint32_t offset;  // in shared memory
  uint32_t expected, pending;
  int64_t bytes;    // that are still to come
  uint64_t phase;
  std::vector<uint32_t> arriving, seen;  // what those know who arrived: in this phase, before
  std::vector<Thread *> waiting;
};

// What arrives at an mbarrier some time: a thread, when the first copies of it are there, or data of a copy engine.
struct LateArrival {
  Thread *thread;
  size_t copies;
  uint32_t offset;
  uint32_t site;
  std::vector<Copy> data;
};

// Blocks by the time of their start, and the time up to which is known what they did.
using Knowledge = std::unordered_map<uint32_t, uint32_t>;

// An address to which blocks come one after another with atomic accesses.
struct MeetingPoint {
  Knowledge known;     // to who comes next
  uint32_t block = 0;  // that brought it
  size_t size = 0;     // how much that knew
};

struct Machine {
  Machine();
  ~Machine();

  // Runs a kernel to its end; false after a failure, which `message` and `location` tell.
  bool run(const Kernel &kernel, const Grid &grid, void **parameters);

  bool isShared(const void *address) const {
    return static_cast<const char *>(address) >= window && static_cast<const char *>(address) < window + kWindow;
  }
  // A thread in words; its time tells its block.
  std::string nameOf(uint32_t number, uint32_t time) const;
  std::string place(const void *address, const char *space) const;
  // Whether what another block of the launch did at `time` is known to have happened before.
  bool isKnown(uint32_t time) const;
  void learn(uint32_t block, uint32_t time) { known[block] = std::max(known[block], time); }

  void noteFailure(const Thread &thread, uint32_t site, const std::string &text);
  // Lets some data arrive that is under way; false if there is none.
  bool moveData();
  void wake(Thread *thread);
  // Lets the others run first.
  void yield(Thread &thread, uint32_t site);
  // The thread waits until it is woken.
  void wait(Thread &thread, Doing doing, uint32_t site, uint32_t waitsFor);
  // Adds what `thread` knows and did to `seen`; what it does from now on is later.
  void release(Thread &thread, std::vector<uint32_t> &seen);
  void acquire(Thread &thread, const std::vector<uint32_t> &seen);

  std::mutex mutex;  // one launch at a time
  Ranges ranges;
  bool checks = true;
  const Kernel *kernel = nullptr;
  void **parameters = nullptr;
  Thread *current = nullptr;
  std::unique_ptr<Thread[]> threads;
  uint32_t count = 0;  // threads of a block
  uint32_t done = 0;
  uint32_t width = 0;  // of the vectors of times: threads, then agents
  char *window = nullptr;
  uint32_t sharedBytes = 0;
  Cell *sharedCells = nullptr;
  uint32_t now = 0, launchStart = 0, blockStart = 0, floor = 0;
  std::vector<uint32_t> blockStarts;
  uint64_t blockCount = 0;  // of the launch
  Knowledge known;          // of other blocks of the launch
  std::unordered_map<const void *, MeetingPoint> meetingPoints;
  ReaderSets readers;
  std::vector<Meeting> meetings;
  Barrier barriers[kBarriers];
  std::vector<Transaction> transactions;
  std::deque<LateArrival> lateArrivals;
  bool failed = false;
  std::string message, location;

 private:
  bool prepare(const Kernel &kernel, const Grid &grid);
  void startAsync();
  std::string transactionText(uint32_t offset) const;
  bool runBlock(const uint32_t *block);
  bool runInTurn();
  void reportDeadlock();

  std::unique_ptr<Fiber[]> fibers_;
  std::unique_ptr<uint32_t[]> seen_;
  std::deque<Thread *> ready_;
  uint32_t idle_ = 0;  // how often threads yielded since one did something else
  Grid grid_{};
};

Machine &machine();

// The launch ends here: kernel, block, thread and operation are put in front of the text.
[[noreturn, gnu::format(printf, 3, 4)]] void fail(Thread &self, uint32_t site, const char *format, ...);

// `self` begins a read of shared memory by an engine; what `self` did before is before it.
void beginReads(Thread &self);
void readByEngine(Thread &self, std::vector<PendingRead> &reads, uint32_t group, char *address, uint32_t bytes,
                  uint32_t site);
// What those reads saw must still be there. Ends the reads of all groups but the last `but`.
void endReads(Thread &self, std::vector<PendingRead> &reads, uint32_t groups, uint32_t but);

void touchMemory(Thread &self, void *address, uint64_t bytes, uint32_t alignment, uint32_t touch, uint32_t site);

// A copy to shared memory begins.
void depart(Thread &self, const Copy &copy, uint32_t alignment, uint32_t touch = 0);
// It ends, as a write of `writer` at `time`.
void land(Machine &machine, const Copy &copy, uint32_t writer, uint32_t time);
// Lets the first `count` copies of the thread arrive.
void landCopies(Thread &thread, size_t count);

enum class Arrival { kAligned, kAnyhow, kPassing };
// The thread arrives at a barrier of `expected` threads (0: the block), and waits unless it is passing. Gives how many
// of them brought a predicate that holds.
uint32_t arrive(Thread &self, uint32_t number, uint32_t expected, Arrival how, bool predicate, uint32_t site);

// The copy engine will bring `data` to the mbarrier at `address`.
void bringLater(Thread &self, char *address, std::vector<Copy> data, uint32_t site);

// The lanes of `mask` come together; the last of them does `perform` for all, on their inputs and outputs.
void meet(Thread &self, uint32_t mask, uint32_t site, Perform perform, const void *input, void *output);

}  // namespace pit::emulator
