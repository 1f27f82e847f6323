// The OpenMP entry points: whatever the bounds, step, schedule and team are, each iteration runs once.

#include <algorithm>
#include <atomic>
#include <limits>

#include "check.h"
#include "team.h"

extern "C" {
struct Ident;
int32_t __kmpc_global_thread_num(Ident *);
void __kmpc_push_num_threads(Ident *, int32_t, int32_t threads);
void __kmpc_fork_call(Ident *, int32_t count, void *microtask, ...);
void __kmpc_fork_call_if(Ident *, int32_t count, void *microtask, int32_t condition, void *argument);
void __kmpc_barrier(Ident *, int32_t);
void __kmpc_for_static_init_4(Ident *, int32_t, int32_t, int32_t *, int32_t *, int32_t *, int32_t *, int32_t, int32_t);
void __kmpc_for_static_init_4u(Ident *, int32_t, int32_t, int32_t *, uint32_t *, uint32_t *, int32_t *, int32_t, int32_t);
void __kmpc_for_static_init_8(Ident *, int32_t, int32_t, int32_t *, int64_t *, int64_t *, int64_t *, int64_t, int64_t);
void __kmpc_for_static_init_8u(Ident *, int32_t, int32_t, int32_t *, uint64_t *, uint64_t *, int64_t *, int64_t, int64_t);
void __kmpc_for_static_fini(Ident *, int32_t);
void __kmpc_dispatch_init_8u(Ident *, int32_t, int32_t, uint64_t lower, uint64_t upper, int64_t, int64_t chunk);
int32_t __kmpc_dispatch_next_8u(Ident *, int32_t, int32_t *last, uint64_t *lower, uint64_t *upper, int64_t *stride);
void __kmpc_dispatch_fini_8u(Ident *, int32_t);
}

namespace {

using Wide = __int128;
constexpr int32_t kChunked = 33, kStatic = 34, kDynamic = 35, kMonotonic = 1 << 29, kNonmonotonic = 1 << 30;

template <typename T>
struct StaticInit;
template <>
struct StaticInit<int32_t> { static constexpr auto call = __kmpc_for_static_init_4; };
template <>
struct StaticInit<uint32_t> { static constexpr auto call = __kmpc_for_static_init_4u; };
template <>
struct StaticInit<int64_t> { static constexpr auto call = __kmpc_for_static_init_8; };
template <>
struct StaticInit<uint64_t> { static constexpr auto call = __kmpc_for_static_init_8u; };

template <typename T>
struct Loop {
  int32_t schedule;
  T lower, upper;
  std::make_signed_t<T> step, chunk;
  Wide trips = 0;
  std::vector<std::pair<Wide, Wide>> parts = {};  // begin and length of what was handed out
  int lasts = 0;
};

// One member's share as it is given: [lower, upper] again every `stride` for chunks, cut at the end.
template <typename T>
void takeShare(Loop<T> &loop, int32_t number) {
  using Signed = std::make_signed_t<T>;
  int32_t last = 7;
  T lower = loop.lower, upper = loop.upper;
  Signed stride = 1;
  StaticInit<T>::call(nullptr, number, loop.schedule, &last, &lower, &upper, &stride, loop.step, loop.chunk);
  __kmpc_for_static_fini(nullptr, number);
  const auto threads = static_cast<Wide>(pit::member.team->size.load());
  const bool chunked = (loop.schedule & ~(kMonotonic | kNonmonotonic)) == kChunked;
  loop.lasts += last;
  if (loop.trips == 0) {
    CHECK(last == 0 && lower == loop.lower && upper == loop.upper);
    return;
  }
  // How compiled code counts: modulo the type. A part without iterations has upper = lower - step.
  using U = std::make_unsigned_t<T>;
  const bool up = loop.step > 0;
  const auto magnitude = up ? static_cast<U>(loop.step) : static_cast<U>(-static_cast<U>(loop.step));
  const Wide begin = up ? U(U(lower) - U(loop.lower)) / magnitude : U(U(loop.lower) - U(lower)) / magnitude;
  const bool none = last == 0 && U(upper) == U(U(lower) - U(loop.step));  // or all of a loop as long as the type
  const Wide count = none ? 0 : Wide{up ? U(U(upper) - U(lower)) : U(U(lower) - U(upper))} / magnitude + 1;
  if (!chunked) {
    if (count > 0) CHECK(begin + count <= loop.trips);
    CHECK(last == (count > 0 && begin + count == loop.trips));
    loop.parts.emplace_back(begin, count);
    return;
  }
  const Wide length = std::max<Wide>(loop.chunk, 1);
  CHECK(U(stride) == U(U(threads * length) * U(loop.step)));
  for (Wide from = static_cast<Wide>(number) * length; from < loop.trips; from += threads * length)
    loop.parts.emplace_back(from, std::min(length, loop.trips - from));
  CHECK(U(lower) == U(U(loop.lower) + U(static_cast<Wide>(number) * length) * U(loop.step)));
  CHECK(U(upper) == U(U(lower) + U(length - 1) * U(loop.step)));
}

template <typename T>
void checkLoop(int32_t threads, int32_t schedule, T lower, T upper, std::make_signed_t<T> step,
               std::make_signed_t<T> chunk) {
  Loop<T> loop{.schedule = schedule, .lower = lower, .upper = upper, .step = step, .chunk = chunk};
  const Wide span = step > 0 ? Wide{upper} - Wide{lower} : Wide{lower} - Wide{upper};
  const Wide magnitude = step > 0 ? Wide{step} : -Wide{step};
  loop.trips = span < 0 ? 0 : span / magnitude + 1;
  if (loop.trips > Wide{std::numeric_limits<std::make_unsigned_t<T>>::max()}) return;  // more than the type can count
  // One thread plays all members: there are a hundred thousand loops.
  pit::Team team{nullptr, nullptr, nullptr};
  team.size = threads;
  for (int32_t number = 0; number < threads; ++number) {
    pit::member = {&team, number};
    takeShare(loop, number);
  }
  pit::member = {};
  std::sort(loop.parts.begin(), loop.parts.end());
  Wide covered = 0;
  for (const auto &[begin, count] : loop.parts) {
    if (count > 0) CHECK(begin == covered);
    covered += count;
  }
  CHECK(covered == loop.trips);
  CHECK(loop.lasts == (loop.trips > 0));
}

template <typename T>
void staticLoops() {
  using Signed = std::make_signed_t<T>;
  constexpr T lowest = std::numeric_limits<T>::min(), highest = std::numeric_limits<T>::max();
  constexpr Signed farthest = std::numeric_limits<Signed>::max();
  const T bounds[] = {lowest, T(lowest + 1), T(lowest + 7), T(100), T(101), T(137), T(highest - 5), T(highest - 1), highest};
  const Signed steps[] = {1, 2, 3, 50, farthest, -1, -2, -7, -farthest};
  for (int32_t threads : {1, 2, 5})
    for (int32_t schedule : {kStatic, kStatic | kNonmonotonic, kChunked, kChunked | kMonotonic})
      for (T lower : bounds)
        for (T upper : bounds)
          for (Signed step : steps)
            for (Signed chunk : {Signed{0}, Signed{1}, Signed{4}, Signed{1000}}) {
              if ((schedule & kChunked) == kChunked) {
                // The parts of a long loop are too many to count one by one.
                const Wide trips = (step > 0 ? Wide{upper} - Wide{lower} : Wide{lower} - Wide{upper}) / (step > 0 ? Wide{step} : -Wide{step});
                if (trips > 100) continue;
              } else if (chunk > 0) {
                continue;
              }
              checkLoop<T>(threads, schedule, lower, upper, step, chunk);
            }
}

struct Dynamic {
  uint64_t lower, upper;
  int64_t chunk;
  int loops;
  std::vector<std::atomic<int>> times;
  std::atomic<int> lasts{0};
};

// Dynamic loops one after another with no barrier between them: a fast thread runs ahead of a slow one.
void dynamicLoops() {
  for (int32_t threads : {1, 2, 5})
    for (const auto &[lower, upper] : {std::pair<uint64_t, uint64_t>{1, 0}, {0, 0}, {1, 40}, {5, 104}})
      for (int64_t chunk : {int64_t{0}, int64_t{1}, int64_t{7}, int64_t{1} << 62}) {
        Dynamic loop{lower, upper, chunk, 20, std::vector<std::atomic<int>>(128), {}};
        pit_run_team(
            threads,
            [](void *opaque, int32_t number) {
              auto &loop = *static_cast<Dynamic *>(opaque);
              for (int turn = 0; turn < loop.loops; ++turn) {
                if (turn == number) usleep(200);
                uint64_t lower = 0, upper = 0;
                int64_t stride = 0;
                int32_t last = 0;
                __kmpc_dispatch_init_8u(nullptr, number, kDynamic, loop.lower, loop.upper, 1, loop.chunk);
                while (__kmpc_dispatch_next_8u(nullptr, number, &last, &lower, &upper, &stride) != 0) {
                  CHECK(stride == 1 && lower >= loop.lower && lower <= upper && upper <= loop.upper);
                  CHECK((last != 0) == (upper == loop.upper));
                  loop.lasts += last != 0;
                  for (uint64_t i = lower; i <= upper; ++i) ++loop.times[i];
                }
                __kmpc_dispatch_fini_8u(nullptr, number);
              }
            },
            &loop);
        const bool empty = upper < lower;
        CHECK(loop.lasts == (empty ? 0 : loop.loops));
        for (uint64_t i = 0; i < loop.times.size(); ++i)
          CHECK(loop.times[i] == (!empty && i >= lower && i <= upper ? loop.loops : 0));
      }
}

struct Region {
  std::atomic<int> members{0}, sum{0};
};

void microtask(int32_t *number, int32_t *, void *opaque) {
  auto &region = *static_cast<Region *>(opaque);
  CHECK(*number == __kmpc_global_thread_num(nullptr));
  ++region.members;
  region.sum += *number;
  __kmpc_barrier(nullptr, *number);
  CHECK(region.members == (pit::member.team == nullptr ? 1 : pit::member.team->size.load()));
}

std::atomic<int> withoutArgument{0};
void plainMicrotask(int32_t *, int32_t *) { ++withoutArgument; }

void regions() {
  pit::Call call;
  call.threads = 4;
  pit::currentCall = &call;
  const auto task = reinterpret_cast<void *>(&microtask);
  const auto expect = [&](Region &region, int members) {
    CHECK(region.members == members && region.sum == members * (members - 1) / 2);
  };
  for (int turn = 0; turn < 200; ++turn) {
    Region all, pushed, after, alone;
    __kmpc_fork_call(nullptr, 1, task, &all);
    expect(all, 4);
    __kmpc_push_num_threads(nullptr, 0, 2);
    __kmpc_fork_call(nullptr, 1, task, &pushed);
    expect(pushed, 2);
    __kmpc_fork_call_if(nullptr, 1, task, 1, &after);
    expect(after, 4);
    __kmpc_fork_call_if(nullptr, 1, task, 0, &alone);
    expect(alone, 1);
  }
  __kmpc_fork_call(nullptr, 0, reinterpret_cast<void *>(&plainMicrotask));
  CHECK(withoutArgument == 4);
  pit::currentCall = nullptr;
  __kmpc_barrier(nullptr, 0);
  Region outside;
  __kmpc_fork_call(nullptr, 1, task, &outside);
  expect(outside, 1);
}

}  // namespace

int main() {
  staticLoops<int32_t>();
  staticLoops<uint32_t>();
  staticLoops<int64_t>();
  staticLoops<uint64_t>();
  dynamicLoops();
  regions();
}
