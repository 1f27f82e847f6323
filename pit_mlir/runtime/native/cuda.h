// GPUs of NVIDIA.
#pragma once

#include "device.h"

extern "C" {
// GPU number `ordinal`, which lives until the process ends; null with a failure.
pit::Device *pit_cuda_device(int32_t ordinal);
// How many there are; negative with a failure.
int32_t pit_cuda_device_count();
// Writes its compute capability (major, minor), multiprocessors, bytes of shared memory of a block, bytes of memory,
// the driver's version; then its name, ended by a zero. False with a failure.
bool pit_cuda_describe(int32_t ordinal, int64_t *numbers, char *name, int32_t nameBytes);
}
