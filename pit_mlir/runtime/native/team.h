// A team of threads that runs one piece of work; the OpenMP entry points of compiled code stand on it.
//
// With torch in the process its libgomp runs the teams, so that two pools never fight for the cores; without it, and
// in a child that was forked, a pool of our own does. Regions inside a region run on one thread.
#pragma once

#include <atomic>
#include <csetjmp>
#include <cstdint>

#include "call.h"

namespace pit {

// One worksharing loop with a dynamic schedule.
struct Dispatch {
  std::atomic<int64_t> sequence{-1};
  std::atomic<uint64_t> next{0};
  uint64_t upper = 0, chunk = 1;
  std::atomic<int32_t> finished{0};
};

struct Team {
  void (*work)(void *context);
  void *context;
  Call *call;
  std::atomic<int32_t> size{1};
  std::atomic<int32_t> arrived{0};
  std::atomic<uint32_t> phase{0};
  std::atomic<bool> isLeft{false};  // a thread could not go on: no other may wait for it
  Dispatch dispatches[4] = {};

  // Returns when all threads of the team have come here; leaves the team where one of them never will.
  void barrier();
};

// What this thread is in its innermost team.
struct Member {
  Team *team = nullptr;
  int32_t number = 0;
  int64_t dispatchSequence = -1;
  Dispatch *dispatch = nullptr;
  std::jmp_buf *exit = nullptr;  // where this thread leaves the team
};
extern thread_local Member member;

// Runs `work(context)` on up to `threads` threads, the calling one among them; returns when all are done. Where one has
// left, it ends the call instead, which says what is missing.
void runTeam(int32_t threads, void (*work)(void *), void *context);

// Ends the work of this thread in its team, and that of the others when they next wait for each other. No destructors
// are run.
[[noreturn]] void leaveTeam();

}  // namespace pit

extern "C" {
// Looks for a libgomp in the process; true if teams run on one from now on. Never in a forked child.
bool pit_use_openmp_runtime();
// Calls `work(context, thread)` on each thread of a team; returns how many there were (for tests).
int32_t pit_run_team(int32_t threads, void (*work)(void *, int32_t), void *context);
}
