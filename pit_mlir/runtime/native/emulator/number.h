// Numbers as registers and memory hold them.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace pit::emulator {

enum class NumberKind : uint32_t { kF16, kBf16, kTf32, kF32, kF64, kS8, kU8, kS32 };

// How many of them a 32-bit register holds; 1 for those of 32 and 64 bits.
inline uint32_t perWord(NumberKind kind) {
  switch (kind) {
    case NumberKind::kF16:
    case NumberKind::kBf16: return 2;
    case NumberKind::kS8:
    case NumberKind::kU8: return 4;
    default: return 1;
  }
}

inline float halfToFloat(uint16_t half) {
  const uint32_t sign = uint32_t{half} >> 15, exponent = half >> 10 & 31, fraction = half & 1023;
  float magnitude;
  if (exponent == 31) {
    magnitude = fraction != 0 ? NAN : INFINITY;
  } else if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(fraction), -24);
  } else {
    magnitude = std::bit_cast<float>((exponent + 112) << 23 | fraction << 13);
  }
  return sign ? -magnitude : magnitude;
}

inline float bfloatToFloat(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

// Rounds to nearest, ties to even.
inline uint16_t doubleToHalf(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs(value);
  if (std::isnan(value)) return 0x7fff;
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < std::ldexp(1.0, -14)) return sign | static_cast<uint16_t>(std::nearbyint(std::ldexp(magnitude, 24)));
  int exponent;
  const double fraction = std::frexp(magnitude, &exponent);  // in [1/2, 1)
  const auto digits = static_cast<uint32_t>(std::nearbyint(std::ldexp(fraction, 11)));  // 1024 .. 2048
  return sign | static_cast<uint16_t>(((exponent + 13) << 10) + digits);
}

// What an operation on tf32 reads of a float: the lowest 13 bits do not count.
inline float tf32(float value) { return std::bit_cast<float>(std::bit_cast<uint32_t>(value) & 0xffffe000); }

// Element `i` of what lies at `words`.
inline double numberAt(const void *words, uint32_t i, NumberKind kind) {
  const auto *bytes = static_cast<const char *>(words);
  const auto read = [&](auto number) {
    std::memcpy(&number, bytes + i * sizeof number, sizeof number);
    return number;
  };
  switch (kind) {
    case NumberKind::kF16: return halfToFloat(read(uint16_t{}));
    case NumberKind::kBf16: return bfloatToFloat(read(uint16_t{}));
    case NumberKind::kTf32: return tf32(read(float{}));
    case NumberKind::kF32: return read(float{});
    case NumberKind::kF64: return read(double{});
    case NumberKind::kS8: return read(int8_t{});
    case NumberKind::kU8: return read(uint8_t{});
    default: return read(int32_t{});
  }
}

inline void setNumberAt(void *words, uint32_t i, NumberKind kind, double value) {
  auto *bytes = static_cast<char *>(words);
  const auto write = [&](auto number) { std::memcpy(bytes + i * sizeof number, &number, sizeof number); };
  switch (kind) {
    case NumberKind::kF16: return write(doubleToHalf(value));
    case NumberKind::kF32: return write(static_cast<float>(value));
    case NumberKind::kF64: return write(value);
    default:  // sums of integers wrap
      return write(static_cast<uint32_t>(static_cast<int64_t>(value)));
  }
}

}  // namespace pit::emulator
