// The OpenMP entry points that compiled code calls, on a `Team`. Names, arguments and schedule numbers are those
// of LLVM's OpenMP runtime (openmp/runtime/src/kmp.h, kmp_csupport.cpp, kmp_sched.cpp, kmp_dispatch.cpp).

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "team.h"

namespace {

using pit::Dispatch;
using pit::Member;
using pit::member;

using Microtask0 = void (*)(int32_t *, int32_t *);
using Microtask1 = void (*)(int32_t *, int32_t *, void *);

thread_local int32_t pushedThreads = 0;  // of `__kmpc_push_num_threads`, for the next region only

int32_t threadsOfCall() { return pit::currentCall == nullptr ? 1 : pit::currentCall->threads; }

void fork(void *microtask, bool hasArgument, void *argument, bool parallel) {
  struct Task {
    void *microtask;
    bool hasArgument;
    void *argument;
  } task{microtask, hasArgument, argument};
  int32_t threads = parallel ? threadsOfCall() : 1;
  if (pushedThreads > 0) threads = std::min(threads, pushedThreads);
  pushedThreads = 0;
  pit::runTeam(
      threads,
      [](void *opaque) {
        auto *task = static_cast<Task *>(opaque);
        int32_t number = member.number, bound = 0;
        if (task->hasArgument)
          reinterpret_cast<Microtask1>(task->microtask)(&number, &bound, task->argument);
        else
          reinterpret_cast<Microtask0>(task->microtask)(&number, &bound);
      },
      &task);
}

constexpr int32_t kStaticChunked = 33, kStatic = 34;
constexpr int32_t kModifiers = (1 << 29) | (1 << 30);

[[noreturn]] void unknownSchedule(int32_t schedule) {
  std::fprintf(stderr, "pit_mlir: OpenMP schedule %d is not known to the runtime\n", schedule);
  std::abort();
}

// Narrows [*lower, *upper], bounds included, to this thread's part. T is the type of the loop variable; what is
// computed in it may pass its ends, so it is computed without a sign. There are fewer than 2^64 iterations.
template <typename T>
void staticInit(int32_t schedule, int32_t *last, T *lower, T *upper, std::make_signed_t<T> *stride,
                std::make_signed_t<T> increment, std::make_signed_t<T> chunk) {
  using U = std::make_unsigned_t<T>;
  const bool up = increment > 0;
  const uint64_t number = static_cast<uint64_t>(member.number);
  const uint64_t threads = member.team == nullptr ? 1 : static_cast<uint64_t>(member.team->size.load());
  if (up ? *upper < *lower : *lower < *upper) {
    *last = 0;
    return;
  }
  const U first = static_cast<U>(*lower), end = static_cast<U>(*upper), step = static_cast<U>(increment);
  const uint64_t trips = (up ? U(end - first) / step : U(first - end) / U(-step)) + uint64_t{1};
  const auto at = [&](uint64_t trip) { return static_cast<T>(U(first + U(trip) * step)); };
  switch (schedule & ~kModifiers) {
    case kStatic: {
      // Equal parts; the first `trips % threads` threads have one more. A part of none ends before it begins.
      const uint64_t small = trips / threads, more = trips % threads;
      const uint64_t begin = number * small + std::min(number, more), count = small + (number < more ? 1 : 0);
      *last = count > 0 && begin + count == trips;
      *lower = at(begin);
      *upper = at(begin + count - 1);
      *stride = static_cast<std::make_signed_t<T>>(U(U(trips) * step));
      return;
    }
    case kStaticChunked: {
      const uint64_t length = chunk > 0 ? static_cast<uint64_t>(chunk) : 1, begin = number * length;
      *last = (trips - 1) / length % threads == number;
      *lower = at(begin);
      *upper = at(begin + length - 1);
      *stride = static_cast<std::make_signed_t<T>>(U(U(threads * length) * step));
      return;
    }
    default:
      unknownSchedule(schedule);
  }
}

Dispatch &enterDispatch(uint64_t lower, uint64_t upper, uint64_t chunk) {
  pit::Team &team = *member.team;
  const int64_t sequence = ++member.dispatchSequence;
  Dispatch &dispatch = team.dispatches[sequence % 4];
  // The first thread that comes to loop `sequence` sets it up, as soon as the loop before in this place is done.
  const int64_t before = sequence < 4 ? -1 : sequence - 4, settingUp = -2 - sequence;
  for (;;) {
    int64_t seen = dispatch.sequence.load(std::memory_order_acquire);
    if (seen == sequence) return dispatch;
    if (seen != before || (before >= 0 && dispatch.finished.load(std::memory_order_acquire) != team.size)) {
      if (team.isLeft) pit::leaveTeam();
      // Where there are more threads than cores, the one that is waited for needs this one's.
      std::this_thread::yield();
      continue;
    }
    if (!dispatch.sequence.compare_exchange_strong(seen, settingUp)) continue;
    dispatch.next = lower;
    dispatch.upper = upper;
    // Not longer than the loop: the sum of what is taken then stays in range.
    dispatch.chunk = std::clamp<uint64_t>(chunk, 1, std::max<uint64_t>(upper - lower + 1, 1));
    dispatch.finished = 0;
    dispatch.sequence.store(sequence, std::memory_order_release);
    return dispatch;
  }
}

}  // namespace

extern "C" {

struct Ident;

int32_t __kmpc_global_thread_num(Ident *) { return member.number; }

void __kmpc_push_num_threads(Ident *, int32_t, int32_t threads) { pushedThreads = threads; }

void __kmpc_fork_call(Ident *, int32_t count, void *microtask, ...) {
  if (count > 1) {
    std::fprintf(stderr, "pit_mlir: a parallel region with %d arguments; one at most is expected\n", count);
    std::abort();
  }
  va_list arguments;
  va_start(arguments, microtask);
  void *argument = count == 1 ? va_arg(arguments, void *) : nullptr;
  va_end(arguments);
  fork(microtask, count == 1, argument, true);
}

void __kmpc_fork_call_if(Ident *, int32_t count, void *microtask, int32_t condition, void *argument) {
  fork(microtask, count == 1, argument, condition != 0);
}

void __kmpc_barrier(Ident *, int32_t) {
  if (member.team != nullptr) member.team->barrier();
}

void __kmpc_for_static_init_4(Ident *, int32_t, int32_t schedule, int32_t *last, int32_t *lower, int32_t *upper,
                              int32_t *stride, int32_t increment, int32_t chunk) {
  staticInit<int32_t>(schedule, last, lower, upper, stride, increment, chunk);
}
void __kmpc_for_static_init_4u(Ident *, int32_t, int32_t schedule, int32_t *last, uint32_t *lower, uint32_t *upper,
                               int32_t *stride, int32_t increment, int32_t chunk) {
  staticInit<uint32_t>(schedule, last, lower, upper, stride, increment, chunk);
}
void __kmpc_for_static_init_8(Ident *, int32_t, int32_t schedule, int32_t *last, int64_t *lower, int64_t *upper,
                              int64_t *stride, int64_t increment, int64_t chunk) {
  staticInit<int64_t>(schedule, last, lower, upper, stride, increment, chunk);
}
void __kmpc_for_static_init_8u(Ident *, int32_t, int32_t schedule, int32_t *last, uint64_t *lower, uint64_t *upper,
                               int64_t *stride, int64_t increment, int64_t chunk) {
  staticInit<uint64_t>(schedule, last, lower, upper, stride, increment, chunk);
}
void __kmpc_for_static_fini(Ident *, int32_t) {}

// Dynamic loops: [lower, upper], bounds included, counted up by one.
void __kmpc_dispatch_init_8u(Ident *, int32_t, int32_t, uint64_t lower, uint64_t upper, int64_t, int64_t chunk) {
  member.dispatch = &enterDispatch(lower, upper, static_cast<uint64_t>(chunk));
}

int32_t __kmpc_dispatch_next_8u(Ident *, int32_t, int32_t *last, uint64_t *lower, uint64_t *upper, int64_t *stride) {
  Dispatch &dispatch = *member.dispatch;
  const uint64_t begin = dispatch.next.fetch_add(dispatch.chunk, std::memory_order_relaxed);
  if (begin > dispatch.upper || dispatch.upper == UINT64_MAX) {
    dispatch.finished.fetch_add(1, std::memory_order_acq_rel);
    return 0;
  }
  *lower = begin;
  *upper = std::min(begin + dispatch.chunk - 1, dispatch.upper);
  *last = *upper == dispatch.upper;
  *stride = 1;
  return 1;
}
void __kmpc_dispatch_fini_8u(Ident *, int32_t) {}
void __kmpc_dispatch_deinit(Ident *, int32_t) {}
}
