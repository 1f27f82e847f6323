// mma.sync: products of small matrices that lie in the registers of a warp. The fragments are those of the PTX manual,
// "Matrix Fragments for mma". Sums are kept in double and rounded once.
#include <bit>
#include <cmath>
#include <cstring>

#include "machine.h"
#include "number.h"

namespace pit::emulator {
namespace {

// One operation as its instruction names it; all from the compiler of kernels, in this order.
struct Mma {
  uint32_t m, n, k;
  NumberKind a, b, accumulator;
  uint32_t wordsA, wordsB, wordsC;  // registers of a lane, in words
};

struct Operands {
  const Mma *operation;
  const uint32_t *words;  // A, B, C of the lane, one after another
};

// Where element `i` of a lane's part is.
struct At {
  uint32_t row, column;
};

// Elements of A that lie in one 32-bit register are neighbours in a row; registers go down by 8 rows, then to the right.
At placeOfA(uint32_t lane, uint32_t i, uint32_t perWord) {
  const uint32_t word = i / perWord, group = lane / 4, inGroup = lane % 4;
  return {group + word % 2 * 8, inGroup * perWord + i % perWord + word / 2 * 4 * perWord};
}

At placeOfB(uint32_t lane, uint32_t i, uint32_t perWord) {
  const uint32_t word = i / perWord, group = lane / 4, inGroup = lane % 4;
  return {inGroup * perWord + i % perWord + word * 4 * perWord, group};
}

At placeOfC(uint32_t lane, uint32_t i) { return {lane / 4 + i / 2 * 8, lane % 4 * 2 + i % 2}; }

void multiply(Thread *lanes, uint32_t, uint32_t) {
  const Mma &op = *static_cast<const Operands *>(lanes[0].input)->operation;
  double a[16][64], b[64][8];
  const uint32_t perWordA = perWord(op.a), perWordB = perWord(op.b);
  for (uint32_t lane = 0; lane < kWarp; ++lane) {
    const uint32_t *words = static_cast<const Operands *>(lanes[lane].input)->words;
    for (uint32_t i = 0; i < op.m * op.k / kWarp; ++i) {
      const At at = placeOfA(lane, i, perWordA);
      a[at.row][at.column] = numberAt(words, i, op.a);
    }
    words += op.wordsA;
    for (uint32_t i = 0; i < op.n * op.k / kWarp; ++i) {
      const At at = placeOfB(lane, i, perWordB);
      b[at.row][at.column] = numberAt(words, i, op.b);
    }
  }
  for (uint32_t lane = 0; lane < kWarp; ++lane) {
    const uint32_t *c = static_cast<const Operands *>(lanes[lane].input)->words + op.wordsA + op.wordsB;
    auto *out = static_cast<uint32_t *>(lanes[lane].output);
    for (uint32_t i = 0; i < op.m * op.n / kWarp; ++i) {
      const At at = placeOfC(lane, i);
      double sum = 0;
      for (uint32_t k = 0; k < op.k; ++k) sum += a[at.row][k] * b[k][at.column];
      setNumberAt(out, i, op.accumulator, sum + numberAt(c, i, op.accumulator));
    }
  }
}

}  // namespace
}  // namespace pit::emulator

using namespace pit::emulator;

extern "C" void pit_emulate_mma(Thread *self, const Mma *operation, const uint32_t *words, uint32_t *out,
                                uint32_t site) {
  if ((self->number / kWarp + 1) * kWarp > self->machine->count)
    fail(*self, site, "divergent: it needs 32 lanes, and the last warp of the block has %u",
         self->machine->count % kWarp);
  const Operands in{operation, words};
  meet(*self, ~0u, site, multiply, &in, out);
}
