// Calls, with functions in the place of compiled programs: ownership of results, failed checks, no memory, threads.

#include <algorithm>
#include <array>
#include <cstring>

#include "alloc.h"
#include "call.h"
#include "check.h"
#include "team.h"

extern "C" {
void __kmpc_fork_call(void *, int32_t count, void *microtask, ...);
void __kmpc_barrier(void *, int32_t);
void __kmpc_dispatch_init_8u(void *, int32_t, int32_t, uint64_t lower, uint64_t upper, int64_t, int64_t chunk);
int32_t __kmpc_dispatch_next_8u(void *, int32_t, int32_t *last, uint64_t *lower, uint64_t *upper, int64_t *stride);
}

namespace {

constexpr int64_t kFloat = 2;

// The descriptor of a tensor of rank 1.
struct Vector {
  float *allocated, *aligned;
  int64_t offset, size, stride;
};

Vector fresh(int64_t size) {
  auto *data = static_cast<float *>(_mlir_memref_to_llvm_alloc(static_cast<uint64_t>(size) * sizeof(float)));
  return {data, data, 0, size, 1};
}

template <typename T>
T &parameter(void **packed, int place) {
  return **static_cast<T **>(packed[place]);
}

// x -> (x + 1, x, x + 1 again): one result of its own, one that is the argument, one that is another result.
struct Three {
  Vector first, same, again;
};
void addOne(void **packed) {
  auto &results = parameter<Three>(packed, 0);
  const Vector x = parameter<Vector>(packed, 1);
  Vector unused = fresh(33);  // the call gives it back
  unused.aligned[0] = 1;
  Vector sum = fresh(x.size);
  for (int64_t i = 0; i < x.size; ++i) sum.aligned[i] = x.aligned[x.offset + i] + 1;
  results = {sum, x, sum};
}

struct Outcome {
  int64_t status, missing;
  struct {
    int64_t owner;
    float *data;
    int64_t size;
  } results[3];
};

constexpr int64_t kAddOne[] = {1, 3, 1, -1, 1, kFloat, 32, 1, kFloat, 32, 1, kFloat, 32};

void resultsHaveMemoryOfTheirOwn() {
  for (int64_t size : {0, 1, 1000}) {
    std::vector<float> x(static_cast<size_t>(size), 2.0f);
    const int64_t values[] = {reinterpret_cast<int64_t>(x.data()), size};
    Outcome outcome;
    CHECK(pit_invoke(addOne, kAddOne, values, &outcome.status, 2) == pit::kDone);
    for (int number = 0; number < 3; ++number) {
      const auto &result = outcome.results[number];
      CHECK(result.size == size && result.data != x.data());
      for (int64_t i = 0; i < size; ++i) CHECK(result.data[i] == (number == 1 ? 2.0f : 3.0f));
      std::fill_n(result.data, size, 9.0f);
    }
    for (const auto &result : outcome.results) pit_free(reinterpret_cast<void *>(result.owner));
    CHECK(pit_live_bytes() == 0);
  }
}

// The last argument is a scalar: the number of the check that fails, the bytes to ask for, or what to return.
void failCheck(void **packed) {
  parameter<Vector>(packed, 0) = fresh(10);
  pit_check_failed(*static_cast<int64_t *>(packed[1]));
  pit_check_failed(99);
}
void askFor(void **packed) {
  fresh(10);
  parameter<Vector>(packed, 0) = {nullptr, nullptr, 0, 0, 1};
  _mlir_memref_to_llvm_alloc(static_cast<uint64_t>(*static_cast<int64_t *>(packed[1])));
}
// A result of its own, and one that would have to be copied and is too large for that.
void returnLarge(void **packed) {
  auto &results = parameter<std::array<Vector, 2>>(packed, 0);
  static float constant;
  results = {fresh(10), Vector{&constant, &constant, 0, *static_cast<int64_t *>(packed[1]), 1}};
}

void whatGoesWrong() {
  const int64_t one[] = {1, 1, -1, 1, kFloat, 32}, two[] = {1, 2, -1, 1, kFloat, 32, 1, kFloat, 32};
  Outcome outcome;
  int64_t value = 5;
  CHECK(pit_invoke(failCheck, one, &value, &outcome.status, 1) == 5);
  CHECK(pit_live_bytes() == 0);
  for (int64_t bytes : {int64_t{1} << 55, int64_t{1} << 60, int64_t{-1}, INT64_MIN}) {
    CHECK(pit_invoke(askFor, one, &bytes, &outcome.status, 1) == pit::kOutOfMemory);
    CHECK(static_cast<uint64_t>(outcome.missing) >= static_cast<uint64_t>(bytes) && pit_live_bytes() == 0);
  }
  value = int64_t{1} << 53;
  CHECK(pit_invoke(returnLarge, two, &value, &outcome.status, 1) == pit::kOutOfMemory);
  CHECK(pit_live_bytes() == 0 && pit::currentCall == nullptr);
  value = 100;
  CHECK(pit_invoke(askFor, one, &value, &outcome.status, 1) == pit::kDone);
  pit_free(reinterpret_cast<void *>(outcome.results[0].owner));
  CHECK(pit_live_bytes() == 0);
}

// A program whose body is a parallel region, of which the first member has no memory while the others wait for it: at
// a barrier, at a fifth dynamic loop, or not at all; or a region inside of it has none.
struct Short {
  int32_t at;
  uint64_t bytes;
};
void ask(int32_t *, int32_t *, void *opaque) { _mlir_memref_to_llvm_alloc(static_cast<Short *>(opaque)->bytes); }
void cannotGoOn(int32_t *number, int32_t *, void *opaque) {
  const Short &wanted = *static_cast<Short *>(opaque);
  fresh(10);
  if (*number == 0 && wanted.at == 3) __kmpc_fork_call(nullptr, 1, reinterpret_cast<void *>(ask), opaque);
  if (*number == 0) ask(nullptr, nullptr, opaque);
  if (wanted.at == 0) __kmpc_barrier(nullptr, *number);
  for (int loop = 0; wanted.at == 1 && loop < 6; ++loop) {
    __kmpc_dispatch_init_8u(nullptr, *number, 35, 0, 3, 1, 1);
    uint64_t lower, upper;
    int64_t stride;
    int32_t last;
    while (__kmpc_dispatch_next_8u(nullptr, *number, &last, &lower, &upper, &stride) != 0) fresh(7);
  }
}
void cannotGoOnTogether(void **packed) {
  Short wanted{*static_cast<int32_t *>(packed[1]), *static_cast<uint64_t *>(packed[2])};
  parameter<Vector>(packed, 0) = fresh(3);
  __kmpc_fork_call(nullptr, 1, reinterpret_cast<void *>(cannotGoOn), &wanted);
}

void noMemoryInARegion() {
  const int64_t signature[] = {2, 1, -1, -1, 1, kFloat, 32};
  for (int turn = 0; turn < 400; ++turn) {
    for (int32_t threads : {1, 2, 5}) {
      Outcome outcome;
      const int64_t values[] = {turn % 4, int64_t{1} << 55};
      CHECK(pit_invoke(cannotGoOnTogether, signature, values, &outcome.status, threads) == pit::kOutOfMemory);
      CHECK(outcome.missing >= int64_t{1} << 55 && pit_live_bytes() == 0);
      CHECK(pit::member.team == nullptr && pit::currentCall == nullptr);
      const int64_t enough[] = {turn % 4, 100};
      CHECK(pit_invoke(cannotGoOnTogether, signature, enough, &outcome.status, threads) == pit::kDone);
      pit_free(reinterpret_cast<void *>(outcome.results[0].owner));
    }
  }
}

// A program whose body is a parallel region: each member allocates and frees; one of them fails a check if told to.
struct Shared {
  Vector x, y;
  bool fails;
};
void member(int32_t *number, int32_t *, void *opaque) {
  auto &shared = *static_cast<Shared *>(opaque);
  for (int turn = 0; turn < 10; ++turn) {
    const Vector scratch = fresh(50 + turn);
    std::fill_n(scratch.aligned, scratch.size, 1.0f);
    if (turn % 2 == 0) _mlir_memref_to_llvm_free(scratch.allocated);
  }
  if (*number == 0) std::copy_n(shared.x.aligned, shared.x.size, shared.y.aligned);
  if (shared.fails) pit_check_failed(3);
}
void parallel(void **packed) {
  const Vector x = parameter<Vector>(packed, 1);
  Shared shared{x, fresh(x.size), x.aligned[0] < 0};
  __kmpc_fork_call(nullptr, 1, reinterpret_cast<void *>(&member), &shared);
  parameter<Vector>(packed, 0) = shared.y;
}

void manyCallers() {
  const int64_t signature[] = {1, 1, 1, -1, 1, kFloat, 32};
  inThreads(6, [&](int number) {
    for (int turn = 0; turn < 150; ++turn) {
      std::vector<float> x(static_cast<size_t>(1 + turn), static_cast<float>(turn % 5 == 4 ? -1 : number));
      const int64_t values[] = {reinterpret_cast<int64_t>(x.data()), static_cast<int64_t>(x.size())};
      Outcome outcome;
      const int64_t status = pit_invoke(parallel, signature, values, &outcome.status, 3);
      CHECK(status == (turn % 5 == 4 ? 3 : pit::kDone));
      if (status != pit::kDone) continue;
      CHECK(std::memcmp(outcome.results[0].data, x.data(), x.size() * sizeof(float)) == 0);
      pit_free(reinterpret_cast<void *>(outcome.results[0].owner));
    }
  });
  CHECK(pit_live_bytes() == 0);
}

void inForkedChildren() {
  inChild(resultsHaveMemoryOfTheirOwn);
  inChild(manyCallers);
}

}  // namespace

int main() {
  resultsHaveMemoryOfTheirOwn();
  whatGoesWrong();
  noMemoryInARegion();
  manyCallers();
  inForkedChildren();
  manyCallers();
}
