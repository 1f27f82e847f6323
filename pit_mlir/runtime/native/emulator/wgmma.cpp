// wgmma: a group of four warps multiplies matrices that lie in shared memory, while its threads go on. Matrices are
// given by descriptors; see the PTX manual, "Asynchronous Warpgroup Level Matrix Instructions".
#include <algorithm>
#include <cstring>
#include <vector>

#include "machine.h"
#include "number.h"

namespace pit::emulator {
namespace {

// One operation; all from the compiler of kernels, in this order.
struct Wgmma {
  uint32_t n, k;
  NumberKind a, b, accumulator;
  uint32_t transposedA, transposedB;  // whether neighbours in memory are neighbours in a column of A, a row of B
  uint32_t negativeA, negativeB, fresh;
};

struct Operands {
  const Wgmma *operation;
  uint64_t a, b;          // descriptors
  const uint32_t *words;  // accumulators
};

constexpr uint32_t kUnit = 16;  // bytes that swizzles keep together

struct Descriptor {
  uint32_t start, leading, stride;  // in bytes
  uint32_t row;                     // units that swizzles mix: 1 for none

  explicit Descriptor(uint64_t bits)
      : start((bits & 0x3fff) << 4), leading((bits >> 16 & 0x3fff) << 4), stride((bits >> 32 & 0x3fff) << 4) {
    constexpr uint32_t kRows[] = {1, 8, 4, 2};
    row = kRows[bits >> 62];
  }

  // Swizzles move units within a row by the number of the row, which they find in the address.
  uint32_t swizzled(uint32_t offset) const { return offset ^ ((offset >> 7 & (row - 1)) << 4); }

  // Where the unit is that holds element (`at` along M or N, `depth` along K) of `bytes` bytes.
  uint32_t unitOf(uint32_t at, uint32_t depth, uint32_t bytes, bool transposed) const {
    uint32_t offset;
    if (transposed) {
      const uint32_t unit = at * bytes / kUnit;
      offset = row == 1 ? unit * stride + depth / 8 * leading
                        : unit % row * kUnit + unit / row * leading + depth / 8 * stride;
      offset += depth % 8 * row * kUnit;
    } else {
      const uint32_t unit = depth * bytes / kUnit;
      offset = unit * (row == 1 ? leading : kUnit) + at % 8 * row * kUnit + at / 8 * stride;
    }
    return swizzled(start + offset);
  }
};

uint32_t bytesOf(NumberKind kind) { return 4 / perWord(kind); }

// Reads `extent` x k elements, from `first` on along M or N.
void read(Thread &reader, uint64_t bits, NumberKind kind, bool transposed, bool negative, uint32_t first,
          uint32_t extent, uint32_t k, uint32_t site, std::vector<double> &out) {
  Machine &machine = *reader.machine;
  const Descriptor descriptor(bits);
  const uint32_t bytes = bytesOf(kind), together = kUnit / bytes;
  out.resize(extent * k);
  for (uint32_t i = 0; i < extent; i += transposed ? together : 1)
    for (uint32_t d = 0; d < k; d += transposed ? 1 : together) {
      char *unit = machine.window + descriptor.unitOf(first + i, d, bytes, transposed);
      readByEngine(reader, reader.reads, reader.readGroups, unit, kUnit, site);
      for (uint32_t e = 0; e < together; ++e) {
        const double value = numberAt(unit, e, kind);
        out[transposed ? (i + e) * k + d : i * k + d + e] = negative ? -value : value;
      }
    }
}

void multiply(Thread *lanes, uint32_t, uint32_t site) {
  const auto &first = *static_cast<const Operands *>(lanes[0].input);
  const Wgmma &op = *first.operation;
  static std::vector<double> a, b;
  beginReads(lanes[0]);
  const uint32_t row = lanes[0].number / kWarp % 4 * 16;
  read(lanes[0], first.a, op.a, op.transposedA, op.negativeA, row, 16, op.k, site, a);
  read(lanes[0], first.b, op.b, op.transposedB, op.negativeB, 0, op.n, op.k, site, b);
  for (uint32_t lane = 0; lane < kWarp; ++lane) {
    const uint32_t *words = static_cast<const Operands *>(lanes[lane].input)->words;
    auto *out = static_cast<uint32_t *>(lanes[lane].output);
    for (uint32_t i = 0; i < op.n / 2; ++i) {
      const double *left = &a[(lane / 4 + i / 2 % 2 * 8) * op.k];
      const double *right = &b[(i / 4 * 8 + lane % 4 * 2 + i % 2) * op.k];
      double sum = op.fresh ? 0 : numberAt(words, i, op.accumulator);
      for (uint32_t k = 0; k < op.k; ++k) sum += left[k] * right[k];
      setNumberAt(out, i, op.accumulator, sum);
    }
  }
}

}  // namespace
}  // namespace pit::emulator

using namespace pit::emulator;

extern "C" {

void pit_emulate_wgmma(Thread *self, const Wgmma *operation, uint64_t a, uint64_t b, const uint32_t *words,
                       uint32_t *out, uint32_t site) {
  if (self->machine->count % (4 * kWarp) != 0)
    fail(*self, site, "divergent: it needs groups of 128 threads, and the block has %u threads", self->machine->count);
  if (!self->mayMultiply) fail(*self, site, "no wgmma.fence stands between its registers' last use and this product");
  const Operands in{operation, a, b, words};
  meet(*self, ~0u, site, multiply, &in, out);
}

void pit_emulate_fence_wgmma(Thread *self) { self->mayMultiply = true; }

void pit_emulate_commit_wgmma(Thread *self) { ++self->readGroups; }

void pit_emulate_wait_wgmma(Thread *self, uint32_t but) {
  endReads(*self, self->reads, self->readGroups, but);
  if (but == 0) self->mayMultiply = false;
}

// Writes of the thread are known to engines beside the threads from now on.
void pit_emulate_fence_proxy(Thread *self) {
  self->proxyFence = self->time;
  self->time = ++self->machine->now;
}
}
