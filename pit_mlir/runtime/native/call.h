// One call of a compiled program: descriptors in, blocks and failed checks out.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "alloc.h"

namespace pit {

struct Call {
  std::mutex mutex;                  // guards `blocks`
  Block *blocks = nullptr;           // what the call allocated and did not free yet
  std::atomic<int64_t> failed{-1};   // the first check that failed, by its number
  int32_t threads = 1;
};

// The call this thread works for; threads of a team take it over from the thread that forked.
extern thread_local Call *currentCall;

}  // namespace pit

extern "C" {
// Calls `entry`, the packed C interface of a function on memrefs (`_mlir__mlir_ciface_main`).
//
// signature: [arguments, results, (rank, its sizes, -1 for a dynamic one) of each argument ..,
//   (rank, bytes of an element) of each result ..]; an argument of rank -1 is a scalar.
// values: the data pointer of each argument, or the scalar, then all dynamic sizes in order. All arguments are
//   contiguous.
// out: for each result the block that owns it, its data pointer and all its sizes; all results are contiguous.
// Returns -1, or the number of a check that failed; then there are no results to give back.
int64_t pit_invoke(void (*entry)(void **), const int64_t *signature, const int64_t *values, int64_t *out,
                   int32_t threads);

// Called by compiled code: check `number` does not hold.
void pit_check_failed(int64_t number);

// A DLPack capsule, which owns the block, of a result that `pit_invoke` wrote to `out`.
// Needs the interpreter's lock. Returns a new reference to a PyCapsule, null with a Python error set.
void *pit_capsule(const int64_t *out, int32_t rank, int32_t typeCode, int32_t bits);
}
