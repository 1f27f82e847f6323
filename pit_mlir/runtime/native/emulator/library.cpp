// What the emulated kernels call beside the machine itself: functions of libdevice that the C library lacks, text.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "machine.h"

using namespace pit::emulator;

extern "C" {

float pit_emulate_rsqrtf(float value) { return 1.0f / std::sqrt(value); }
double pit_emulate_rsqrt(double value) { return 1.0 / std::sqrt(value); }
int32_t pit_emulate_isnanf(float value) { return std::isnan(value); }
int32_t pit_emulate_isnan(double value) { return std::isnan(value); }
int32_t pit_emulate_isinff(float value) { return std::isinf(value); }
int32_t pit_emulate_isinf(double value) { return std::isinf(value); }
int32_t pit_emulate_isfinitef(float value) { return std::isfinite(value); }
int32_t pit_emulate_isfinite(double value) { return std::isfinite(value); }
int32_t pit_emulate_abs(int32_t value) { return std::abs(value); }
int64_t pit_emulate_llabs(int64_t value) { return std::llabs(value); }

uint64_t pit_emulate_clock(Thread *self) { return self->machine->now; }

// CUDA's vprintf: `values` are packed as C packs a struct.
int32_t pit_emulate_printf(const char *format, const char *values) {
  int32_t conversions = 0;
  size_t offset = 0;
  const auto take = [&](auto value) {
    offset = (offset + sizeof value - 1) / sizeof value * sizeof value;
    std::memcpy(&value, values + offset, sizeof value);
    offset += sizeof value;
    return value;
  };
  for (const char *at = format; *at != '\0';) {
    if (*at != '%' || at[1] == '%') {
      std::putchar(*at);
      at += *at == '%' ? 2 : 1;
      continue;
    }
    const char *end = at + 1 + std::strcspn(at + 1, "diouxXcsfFeEgGaAp");
    if (*end == '\0') break;
    const std::string one(at, end + 1);
    const bool wide = one.find("ll") != std::string::npos || one.find('l') != std::string::npos;
    if (std::strchr("fFeEgGaA", *end)) {
      std::printf(one.c_str(), take(double{}));
    } else if (*end == 's' || *end == 'p') {
      std::printf(one.c_str(), take(static_cast<const char *>(nullptr)));
    } else if (wide) {
      std::printf(one.c_str(), take(int64_t{}));
    } else {
      std::printf(one.c_str(), take(int32_t{}));
    }
    ++conversions;
    at = end + 1;
  }
  std::fflush(stdout);
  return conversions;
}

void pit_emulate_assertion_failed(const char *text, const char *file, int32_t line, const char *function, uint64_t) {
  fail(*machine().current, 0, "assertion failed: %s (%s:%d, %s)", text, file, line, function);
}
}
