// Teams on the pool of our own: sizes, nesting, several callers at a time, barriers, uneven work, forked children.

#include <atomic>
#include <cstring>

#include "check.h"
#include "team.h"

namespace {

using Work = void (*)(void *, int32_t);

struct Seen {
  std::vector<int> times;
  std::atomic<int> inner{0};
};

// Each member of a team comes once; each writes a place of its own, which the caller reads without further ado.
void eachMemberOnce() {
  for (int32_t threads : {1, 2, 3, 8, 16, 2}) {
    for (int turn = 0; turn < 100; ++turn) {
      Seen seen;
      seen.times.resize(16);
      const Work work = [](void *opaque, int32_t number) { ++static_cast<Seen *>(opaque)->times[static_cast<size_t>(number)]; };
      const int32_t size = pit_run_team(threads, work, &seen);
      CHECK(size == threads);
      for (int32_t number = 0; number < 16; ++number) CHECK(seen.times[static_cast<size_t>(number)] == (number < size));
    }
  }
}

void nested() {
  Seen seen;
  const Work inner = [](void *opaque, int32_t number) {
    CHECK(number == 0);
    ++static_cast<Seen *>(opaque)->inner;
  };
  static Work innerWork;
  innerWork = inner;
  const Work outer = [](void *opaque, int32_t number) {
    CHECK(pit_run_team(4, innerWork, opaque) == 1);
    CHECK(pit::member.number == number);
  };
  const int32_t size = pit_run_team(4, outer, &seen);
  CHECK(seen.inner == size);
}

// What a member wrote before a barrier, all others may read after it.
struct Phases {
  std::vector<int64_t> places = std::vector<int64_t>(16);
  int64_t rounds;
};

void phasesBetweenBarriers(int32_t threads, int64_t rounds) {
  Phases phases;
  phases.rounds = rounds;
  const Work work = [](void *opaque, int32_t number) {
    auto &phases = *static_cast<Phases *>(opaque);
    const auto size = static_cast<size_t>(pit::member.team->size.load());
    for (int64_t round = 1; round <= phases.rounds; ++round) {
      if (round % 7 == number) usleep(100);
      phases.places[static_cast<size_t>(number)] = round;
      pit::member.team->barrier();
      for (size_t other = 0; other < size; ++other) CHECK(phases.places[other] == round);
      pit::member.team->barrier();
    }
  };
  pit_run_team(threads, work, &phases);
}

// One caller gets the pool, the others work alone; all of it gets done.
void severalCallers() {
  inThreads(8, [](int) {
    for (int turn = 0; turn < 300; ++turn) {
      std::atomic<int> ran{0};
      const Work work = [](void *opaque, int32_t number) {
        if (number == 1) usleep(50);
        ++*static_cast<std::atomic<int> *>(opaque);
      };
      const int32_t size = pit_run_team(3, work, &ran);
      CHECK(ran == size && (size == 1 || size == 3));
    }
  });
}

void forkedChild() {
  inChild([] { eachMemberOnce(); });
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) phasesBetweenBarriers(3, 2);
  });
  for (int turn = 0; turn < 10; ++turn) inChild([] { phasesBetweenBarriers(3, 20); });
  stop = true;
  other.join();
}

}  // namespace

int main() {
  CHECK(!pit_use_openmp_runtime());
  eachMemberOnce();
  nested();
  for (int32_t threads : {2, 3, 16}) phasesBetweenBarriers(threads, 200);
  severalCallers();
  forkedChild();
  eachMemberOnce();
}
