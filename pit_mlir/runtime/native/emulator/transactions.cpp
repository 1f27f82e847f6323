// mbarriers: barriers in shared memory that count arrivals and bytes, phase by phase.
#include <algorithm>
#include <utility>

#include "machine.h"

namespace pit::emulator {
namespace {

constexpr uint64_t kObject = 8;  // bytes in shared memory, which nobody looks into

Transaction *find(Machine &machine, uint32_t offset) {
  for (Transaction &transaction : machine.transactions)
    if (transaction.offset == offset) return &transaction;
  return nullptr;
}

uint32_t offsetOf(Thread &self, char *address, uint32_t site) {
  if (!self.machine->isShared(address)) fail(self, site, "an mbarrier lies in shared memory, not at %p", address);
  return address - self.machine->window;
}

// The mbarrier at `address`, which the thread must know to be ready.
Transaction &use(Thread &self, char *address, uint32_t site, bool changes = true) {
  const uint32_t offset = offsetOf(self, address, site);
  touchMemory(self, address, kObject, kObject, kReads | kAtomic | kWrites * changes, site);
  Transaction *transaction = find(*self.machine, offset);
  if (transaction == nullptr) fail(self, site, "nobody made an mbarrier of byte %u of shared memory", offset);
  return *transaction;
}

void completeIfFull(Machine &machine, Transaction &transaction) {
  if (transaction.pending != 0 || transaction.bytes != 0) return;
  ++transaction.phase;
  transaction.pending = transaction.expected;
  for (uint32_t i = 0; i < machine.width; ++i)
    transaction.seen[i] = std::max(transaction.seen[i], std::exchange(transaction.arriving[i], 0));
  for (Thread *thread : transaction.waiting) {
    machine.acquire(*thread, transaction.seen);
    machine.wake(thread);
  }
  transaction.waiting.clear();
}

void countArrivals(Thread &self, Transaction &transaction, uint32_t arrivals, uint32_t site) {
  if (arrivals > transaction.pending)
    fail(self, site, "more arrive at the mbarrier at byte %u of shared memory than the %u it is for",
         transaction.offset, transaction.expected);
  transaction.pending -= arrivals;
  completeIfFull(*self.machine, transaction);
}

// Data of the copy engine arrives. Who waits for its bytes knows of it.
void bring(Machine &machine, const LateArrival &arrival) {
  Transaction *transaction = find(machine, arrival.offset);
  const uint32_t engine = machine.count, time = ++machine.now;
  uint32_t bytes = 0;
  for (const Copy &copy : arrival.data) {
    land(machine, copy, engine, time);
    bytes += copy.bytes;
  }
  if (transaction == nullptr) return;
  transaction->arriving[engine] = time;
  transaction->bytes -= bytes;
  completeIfFull(machine, *transaction);
}

bool isOver(const Transaction &transaction, uint64_t state, bool isParity) {
  return isParity ? (transaction.phase & 1) != (state & 1) : transaction.phase != state;
}

}  // namespace

void bringLater(Thread &self, char *address, std::vector<Copy> data, uint32_t site) {
  const uint32_t offset = use(self, address, site).offset;
  self.machine->lateArrivals.push_back({&self, 0, offset, site, std::move(data)});
}

void Machine::startAsync() {
  transactions.clear();
  lateArrivals.clear();
}

bool Machine::moveData() {
  if (lateArrivals.empty()) return false;
  const LateArrival arrival = lateArrivals.front();
  lateArrivals.pop_front();
  Thread &thread = *arrival.thread;
  if (!arrival.data.empty()) {
    bring(*this, arrival);
    return true;
  }
  if (arrival.copies > thread.landed) landCopies(thread, arrival.copies - thread.landed);
  Transaction *transaction = find(*this, arrival.offset);
  if (transaction == nullptr) return true;
  uint32_t &seen = transaction->arriving[thread.number];
  seen = std::max(seen, thread.time);
  thread.time = ++now;
  countArrivals(thread, *transaction, 1, arrival.site);
  return true;
}

std::string Machine::transactionText(uint32_t offset) const {
  for (const Transaction &transaction : transactions)
    if (transaction.offset == offset)
      return "the mbarrier at byte " + std::to_string(offset) + " of shared memory, which waits for " +
             std::to_string(transaction.pending) + " more to arrive and " + std::to_string(transaction.bytes) +
             " more bytes";
  return "an mbarrier";
}

}  // namespace pit::emulator

using namespace pit::emulator;

extern "C" {

void pit_emulate_transaction_init(Thread *self, char *address, uint32_t expected, uint32_t site) {
  Machine &machine = *self->machine;
  const uint32_t offset = offsetOf(*self, address, site);
  touchMemory(*self, address, kObject, kObject, kWrites, site);
  if (expected == 0) fail(*self, site, "an mbarrier is for one thread at least");
  if (find(machine, offset) == nullptr) machine.transactions.push_back({});
  Transaction *transaction = find(machine, offset);
  if (transaction == nullptr) transaction = &machine.transactions.back();
  const std::vector<uint32_t> nothing(machine.width, 0);
  *transaction = {offset, expected, expected, 0, 0, nothing, nothing, {}};
}

void pit_emulate_transaction_end(Thread *self, char *address, uint32_t site) {
  Machine &machine = *self->machine;
  const uint32_t offset = use(*self, address, site).offset;
  std::erase_if(machine.transactions, [&](const Transaction &other) { return other.offset == offset; });
}

// `bytes` are expected in addition, `arrivals` arrive, `dropped` of them for the last time. Gives the phase's number.
uint64_t pit_emulate_transaction_arrive(Thread *self, char *address, uint32_t arrivals, uint32_t bytes,
                                        uint32_t dropped, uint32_t site) {
  Transaction &transaction = use(*self, address, site);
  const uint64_t phase = transaction.phase;
  transaction.bytes += bytes;
  transaction.expected -= dropped;
  if (arrivals > 0) {
    self->machine->release(*self, transaction.arriving);
    countArrivals(*self, transaction, arrivals, site);
  }
  return phase;
}

// An arrival when all copies that the thread began so far are there; `counted` if the mbarrier expects it already.
void pit_emulate_transaction_arrive_late(Thread *self, char *address, uint32_t counted, uint32_t site) {
  Transaction &transaction = use(*self, address, site);
  if (!counted) ++transaction.pending;
  self->machine->lateArrivals.push_back({self, self->landed + self->copies.size(), transaction.offset, site, {}});
}

void pit_emulate_transaction_complete(Thread *self, char *address, uint32_t bytes, uint32_t site) {
  Transaction &transaction = use(*self, address, site);
  transaction.bytes -= bytes;
  completeIfFull(*self->machine, transaction);
}

void pit_emulate_wait_transaction(Thread *self, char *address, uint64_t state, uint32_t parity, uint32_t site) {
  Machine &machine = *self->machine;
  const uint32_t offset = use(*self, address, site, false).offset;
  Transaction &transaction = *find(machine, offset);
  if (isOver(transaction, state, parity)) return machine.acquire(*self, transaction.seen);
  transaction.waiting.push_back(self);
  machine.wait(*self, Doing::kAtTransaction, site, offset);
}

// Whether the phase is over; the others run first.
uint32_t pit_emulate_test_transaction(Thread *self, char *address, uint64_t state, uint32_t parity, uint32_t site) {
  Machine &machine = *self->machine;
  Transaction &transaction = use(*self, address, site, false);
  if (!isOver(transaction, state, parity)) {
    machine.yield(*self, site);
    return 0;
  }
  machine.acquire(*self, transaction.seen);
  return 1;
}
}
