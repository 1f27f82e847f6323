// Fibers: each goes on where it was, with its own variables, and may begin anew in the middle.
#include "emulator/fiber.h"

#include "check.h"

using pit::emulator::Fiber;

namespace {

struct Counter {
  Fiber fiber;
  double sum = 0;
  bool isOnStack = false;
};

void count(void *argument) {
  auto &counter = *static_cast<Counter *>(argument);
  double local = 0;
  counter.isOnStack = counter.fiber.holds(&local);
  for (int i = 1;; ++i) {
    local += i * 0.5;
    counter.sum = local;
    counter.fiber.suspend();
  }
}

}  // namespace

int main() {
  constexpr int kFibers = 100, kTurns = 50;
  static Counter counters[kFibers];
  for (Counter &counter : counters) CHECK(counter.fiber.start(count, &counter));
  for (int turn = 0; turn < kTurns; ++turn)
    for (Counter &counter : counters) counter.fiber.resume();
  for (const Counter &counter : counters) CHECK(counter.sum == 0.5 * kTurns * (kTurns + 1) / 2 && counter.isOnStack);
  CHECK(counters[7].fiber.start(count, &counters[7]));
  counters[7].fiber.resume();
  CHECK(counters[7].sum == 0.5);
  counters[8].fiber.resume();
  CHECK(counters[8].sum == 0.5 * (kTurns + 1) * (kTurns + 2) / 2);
  int local = 0;
  CHECK(!counters[7].fiber.holds(&local));
}
