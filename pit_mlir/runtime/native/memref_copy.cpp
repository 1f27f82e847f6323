// `memrefCopy`, which finalize-memref-to-llvm calls for copies between strided buffers.

#include <cstdint>
#include <cstring>

namespace {

struct Unranked {
  int64_t rank;
  int64_t *descriptor;  // allocated, aligned, offset, sizes, strides
};

struct Side {
  char *data;
  const int64_t *sizes, *strides;
};

Side sideOf(const Unranked &memref, int64_t itemBytes) {
  const int64_t *words = memref.descriptor;
  return {reinterpret_cast<char *>(words[1]) + words[2] * itemBytes, words + 3, words + 3 + memref.rank};
}

void copy(int64_t bytes, int64_t rank, const int64_t *sizes, const char *from, const int64_t *fromStrides, char *to,
          const int64_t *toStrides) {
  if (rank == 0) {
    std::memcpy(to, from, bytes);
    return;
  }
  if (rank == 1 && fromStrides[0] == 1 && toStrides[0] == 1) {
    std::memcpy(to, from, bytes * sizes[0]);
    return;
  }
  for (int64_t i = 0; i < sizes[0]; ++i)
    copy(bytes, rank - 1, sizes + 1, from + i * fromStrides[0] * bytes, fromStrides + 1,
         to + i * toStrides[0] * bytes, toStrides + 1);
}

}  // namespace

extern "C" void memrefCopy(int64_t itemBytes, Unranked *source, Unranked *target) {
  const Side from = sideOf(*source, itemBytes), to = sideOf(*target, itemBytes);
  for (int64_t dim = 0; dim < source->rank; ++dim)
    if (from.sizes[dim] == 0) return;
  copy(itemBytes, source->rank, from.sizes, from.data, from.strides, to.data, to.strides);
}
