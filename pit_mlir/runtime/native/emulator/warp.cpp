// What the lanes of a warp do together: shuffles, votes, matrices. Layouts are those of the PTX manual.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "machine.h"

namespace pit::emulator {
namespace {

constexpr uint32_t kUndefined = 0xffffffff;  // what a lane gets from one that takes no part

struct Shuffle {
  uint32_t value, offset, clamp, kind;
};
enum ShuffleKind : uint32_t { kButterfly, kUp, kDown, kIndex };

template <class Input>
const Input &inputOf(const Thread &lane) {
  return *static_cast<const Input *>(lane.input);
}

template <class Output>
Output &outputOf(const Thread &lane) {
  return *static_cast<Output *>(lane.output);
}

template <class Body>
void forLanes(uint32_t mask, Body body) {
  for (; mask != 0; mask &= mask - 1) body(static_cast<uint32_t>(std::countr_zero(mask)));
}

// "shfl.sync": where lane `lane` reads, and whether that is in range.
bool sourceLane(const Shuffle &in, uint32_t lane, uint32_t &source) {
  const uint32_t segment = in.clamp >> 8 & 31, bound = in.clamp & 31, offset = in.offset & 31;
  const uint32_t least = lane & segment, most = least | (bound & ~segment);
  int32_t from = 0;
  bool inRange = false;
  switch (in.kind) {
    case kUp: from = static_cast<int32_t>(lane - offset); inRange = from >= static_cast<int32_t>(most); break;
    case kDown: from = lane + offset; inRange = from <= static_cast<int32_t>(most); break;
    case kButterfly: from = lane ^ offset; inRange = from <= static_cast<int32_t>(most); break;
    default: from = least | (offset & ~segment); inRange = from <= static_cast<int32_t>(most); break;
  }
  source = inRange ? from : lane;
  return inRange;
}

void shuffle(Thread *lanes, uint32_t mask, uint32_t) {
  forLanes(mask, [&](uint32_t lane) {
    uint32_t source;
    const bool inRange = sourceLane(inputOf<Shuffle>(lanes[lane]), lane, source);
    const uint32_t value = mask >> source & 1 ? inputOf<Shuffle>(lanes[source]).value : kUndefined;
    outputOf<uint64_t>(lanes[lane]) = uint64_t{inRange} << 32 | value;
  });
}

struct Vote {
  uint32_t predicate, kind;
};
enum VoteKind : uint32_t { kAny, kAll, kBallot, kUniform };

void vote(Thread *lanes, uint32_t mask, uint32_t) {
  uint32_t ballot = 0;
  forLanes(mask, [&](uint32_t lane) { ballot |= (inputOf<Vote>(lanes[lane]).predicate & 1) << lane; });
  forLanes(mask, [&](uint32_t lane) {
    uint32_t &out = outputOf<uint32_t>(lanes[lane]);
    switch (inputOf<Vote>(lanes[lane]).kind) {
      case kAny: out = ballot != 0; break;
      case kAll: out = ballot == mask; break;
      case kBallot: out = ballot; break;
      default: out = ballot == 0 || ballot == mask; break;
    }
  });
}

struct Match {
  uint64_t value;
  uint32_t all;
};

void match(Thread *lanes, uint32_t mask, uint32_t) {
  forLanes(mask, [&](uint32_t lane) {
    const Match &in = inputOf<Match>(lanes[lane]);
    uint32_t same = 0;
    forLanes(mask, [&](uint32_t other) {
      same |= static_cast<uint32_t>(inputOf<Match>(lanes[other]).value == in.value) << other;
    });
    const bool holds = !in.all || same == mask;
    outputOf<uint64_t>(lanes[lane]) = uint64_t{holds} << 32 | (holds ? same : 0);
  });
}

struct Reduce {
  uint32_t value, kind;
};
enum ReduceKind : uint32_t { kAdd, kAnd, kMax, kMin, kOr, kUnsignedMax, kUnsignedMin, kXor, kFloatMin, kFloatMax };

uint32_t reduced(uint32_t a, uint32_t b, uint32_t kind) {
  const auto x = static_cast<int32_t>(a), y = static_cast<int32_t>(b);
  switch (kind) {
    case kAdd: return a + b;
    case kAnd: return a & b;
    case kMax: return std::max(x, y);
    case kMin: return std::min(x, y);
    case kOr: return a | b;
    case kUnsignedMax: return std::max(a, b);
    case kUnsignedMin: return std::min(a, b);
    case kXor: return a ^ b;
    case kFloatMin: return std::bit_cast<uint32_t>(std::fmin(std::bit_cast<float>(a), std::bit_cast<float>(b)));
    default: return std::bit_cast<uint32_t>(std::fmax(std::bit_cast<float>(a), std::bit_cast<float>(b)));
  }
}

void reduce(Thread *lanes, uint32_t mask, uint32_t) {
  const uint32_t first = std::countr_zero(mask);
  uint32_t value = inputOf<Reduce>(lanes[first]).value;
  forLanes(mask & (mask - 1), [&](uint32_t lane) {
    const Reduce &in = inputOf<Reduce>(lanes[lane]);
    value = reduced(value, in.value, in.kind);
  });
  forLanes(mask, [&](uint32_t lane) { outputOf<uint32_t>(lanes[lane]) = value; });
}

void elect(Thread *lanes, uint32_t mask, uint32_t) {
  const uint32_t leader = std::countr_zero(mask);
  forLanes(mask, [&](uint32_t lane) { outputOf<uint64_t>(lanes[lane]) = uint64_t{lane == leader} << 32 | leader; });
}

void synchronize(Thread *lanes, uint32_t mask, uint32_t) {
  Machine &machine = *lanes[0].machine;
  static std::vector<uint32_t> seen;
  seen.assign(machine.width, 0);
  forLanes(mask, [&](uint32_t lane) { machine.release(lanes[lane], seen); });
  forLanes(mask, [&](uint32_t lane) { machine.acquire(lanes[lane], seen); });
}

// ldmatrix and stmatrix: matrix i has its rows at the addresses of lanes 8 i to 8 i + 7.
struct Matrices {
  char *row;
  uint32_t count, transposed;
  uint32_t *registers;  // those to store
};

constexpr uint32_t kRowBytes = 16;

// The lane and half of its register where element (row, column) of a matrix is.
struct Place {
  uint32_t lane, half;
};
Place placeOf(uint32_t row, uint32_t column, bool transposed) {
  if (transposed) std::swap(row, column);
  return {row * 4 + column / 2, column % 2};
}

void loadMatrices(Thread *lanes, uint32_t, uint32_t site) {
  const Matrices &in = inputOf<Matrices>(lanes[0]);
  for (uint32_t matrix = 0; matrix < in.count; ++matrix)
    for (uint32_t row = 0; row < 8; ++row) {
      Thread &owner = lanes[8 * matrix + row];
      const char *source = inputOf<Matrices>(owner).row;
      touchMemory(owner, const_cast<char *>(source), kRowBytes, kRowBytes, kReads, site);
      uint16_t elements[8];
      std::memcpy(elements, source, kRowBytes);
      for (uint32_t column = 0; column < 8; ++column) {
        const Place place = placeOf(row, column, in.transposed);
        static_cast<uint16_t *>(lanes[place.lane].output)[2 * matrix + place.half] = elements[column];
      }
    }
}

void storeMatrices(Thread *lanes, uint32_t, uint32_t site) {
  const Matrices &in = inputOf<Matrices>(lanes[0]);
  for (uint32_t matrix = 0; matrix < in.count; ++matrix)
    for (uint32_t row = 0; row < 8; ++row) {
      Thread &owner = lanes[8 * matrix + row];
      char *target = inputOf<Matrices>(owner).row;
      touchMemory(owner, target, kRowBytes, kRowBytes, kWrites, site);
      uint16_t elements[8];
      for (uint32_t column = 0; column < 8; ++column) {
        const Place place = placeOf(row, column, in.transposed);
        const uint32_t word = inputOf<Matrices>(lanes[place.lane]).registers[matrix];
        elements[column] = word >> 16 * place.half;
      }
      std::memcpy(target, elements, kRowBytes);
    }
}

// Matrices and mma need each lane of the warp.
void meetWhole(Thread &self, uint32_t site, Perform perform, const void *input, void *output) {
  if ((self.number / kWarp + 1) * kWarp > self.machine->count)
    fail(self, site, "divergent: it needs 32 lanes, and the last warp of the block has %u", self.machine->count % kWarp);
  meet(self, ~0u, site, perform, input, output);
}

// As `meet`: what the lane gets where it brings `in`.
template <class Output, class Input>
Output met(Thread *self, uint32_t mask, uint32_t site, Perform perform, const Input &in) {
  Output out = 0;
  meet(*self, mask, site, perform, &in, &out);
  return out;
}

}  // namespace
}  // namespace pit::emulator

using namespace pit::emulator;

extern "C" {

Thread *pit_emulate_self() { return machine().current; }

void pit_emulate_trap(Thread *self, uint32_t site) { fail(*self, site, "the kernel gave up"); }

// Before a division of integers: the processor of the host stops the process for what a GPU answers with anything.
void pit_emulate_divisor(Thread *self, uint64_t divisor, uint32_t site) {
  if (divisor == 0) fail(*self, site, "division by zero");
}

uint32_t pit_emulate_barrier(Thread *self, uint32_t number, uint32_t expected, uint32_t how, uint32_t predicate,
                             uint32_t site) {
  return arrive(*self, number, expected, static_cast<Arrival>(how), predicate & 1, site);
}

void pit_emulate_warp_barrier(Thread *self, uint32_t mask, uint32_t site) {
  meet(*self, mask, site, synchronize, nullptr, nullptr);
}

// The value in the low half, whether the lane it was asked of is in range in the high half.
uint64_t pit_emulate_shuffle(Thread *self, uint32_t mask, uint32_t value, uint32_t offset, uint32_t clamp,
                             uint32_t kind, uint32_t site) {
  return met<uint64_t>(self, mask, site, shuffle, Shuffle{value, offset, clamp, kind});
}

uint32_t pit_emulate_vote(Thread *self, uint32_t mask, uint32_t predicate, uint32_t kind, uint32_t site) {
  return met<uint32_t>(self, mask, site, vote, Vote{predicate, kind});
}

uint64_t pit_emulate_match(Thread *self, uint32_t mask, uint64_t value, uint32_t all, uint32_t site) {
  return met<uint64_t>(self, mask, site, match, Match{value, all});
}

uint32_t pit_emulate_reduce(Thread *self, uint32_t mask, uint32_t value, uint32_t kind, uint32_t site) {
  return met<uint32_t>(self, mask, site, reduce, Reduce{value, kind});
}

// The leader in the low half, whether it is this lane in the high half.
uint64_t pit_emulate_elect(Thread *self, uint32_t mask, uint32_t site) {
  uint64_t out = 0;
  meet(*self, mask, site, elect, nullptr, &out);
  return out;
}

void pit_emulate_load_matrix(Thread *self, char *row, uint32_t count, uint32_t transposed, uint32_t *registers,
                             uint32_t site) {
  const Matrices in{row, count, transposed, nullptr};
  meetWhole(*self, site, loadMatrices, &in, registers);
}

void pit_emulate_store_matrix(Thread *self, char *row, uint32_t count, uint32_t transposed, uint32_t *registers,
                              uint32_t site) {
  const Matrices in{row, count, transposed, registers};
  meetWhole(*self, site, storeMatrices, &in, nullptr);
}
}
