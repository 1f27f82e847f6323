// Tensor maps: how a tensor lies in global memory, for copies of boxes of it (TMA). What a driver makes of them is
// opaque; this is what the emulator makes.
#pragma once

#include <cstdint>

namespace pit::emulator {

constexpr uint32_t kMaxRank = 5;

struct alignas(64) TensorMap {
  static constexpr uint64_t kMark = 0x70616d5f74697030;
  uint64_t mark;
  char *address;
  uint64_t strides[kMaxRank];  // in bytes, the innermost dimension first
  uint32_t sizes[kMaxRank];
  uint16_t box[kMaxRank];
  uint8_t rank, elementBytes;
  uint8_t swizzleBytes;  // of a row that is mixed: 0, 32, 64, 128
};
static_assert(sizeof(TensorMap) == 128);

}  // namespace pit::emulator

extern "C" {
// As cuTensorMapEncodeTiled: writes 128 bytes to `map`. `strides` are those of all dimensions but the innermost. False
// if the tensor or the box cannot be described: an address or stride that is no multiple of 16 bytes, a box of more
// than 256 elements in a dimension, of a row of other than a multiple of 16 bytes, or of one longer than the swizzle's.
bool pit_emulator_encode_tensor_map(void *map, uint32_t elementBytes, uint32_t rank, void *address,
                                    const uint64_t *sizes, const uint64_t *strides, const uint32_t *box,
                                    uint32_t swizzleBytes);
}
