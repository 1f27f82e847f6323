// One call of a compiled program: descriptors in, blocks and failed checks out.
#pragma once

#include <atomic>
#include <csetjmp>
#include <cstdint>
#include <mutex>

#include "alloc.h"

namespace pit {

constexpr int64_t kDone = -1, kOutOfMemory = -2, kDeviceFailed = -3;

struct DeviceBlock;
struct Loaded;
struct Placement;

struct Call {
  std::mutex mutex;                  // guards `blocks`
  Block *blocks = nullptr;           // what the call allocated and did not free yet
  std::atomic<int64_t> failed{kDone};  // the first check that failed, by its number
  int32_t threads = 1;
  int64_t handedOver = 0;            // how many results the caller owns already
  std::jmp_buf exit;                 // where the call goes on when there is no memory for `missingBytes`
  std::atomic<size_t> missingBytes{0};

  // On a device:
  const Placement *placement = nullptr;
  DeviceBlock *deviceBlocks = nullptr;  // as `blocks`
  bool hasBegun = false;
  bool isCapturing = false;
  bool failedEarlier = false;  // `failed` is of an earlier call, this one does nothing
};

// The call this thread works for; threads of a team take it over from the thread that forked.
extern thread_local Call *currentCall;

// Ends a call which cannot go on: for lack of `missingBytes`, or as its device fails. No destructors are run.
[[noreturn]] void endCall(Call &call);

}  // namespace pit

extern "C" {
// Calls `entry`, the packed C interface of a function on memrefs (`_mlir__mlir_ciface_main`).
//
// signature: [arguments, results, (rank, its sizes, -1 for a dynamic one) of each argument ..,
//   (rank, DLPack's type code, bits of an element) of each result ..]; an argument of rank -1 is a scalar.
// values: the data pointer of each argument, or the scalar, then all dynamic sizes in order. All arguments are
//   contiguous.
// out: the status, the bytes that were missing, then for each result the block that owns it, its data pointer and all
//   its sizes; all results are contiguous. With a status other than `kDone` there are no results.
// Returns the status: `kDone`, `kOutOfMemory`, or the number of a check that failed.
int64_t pit_invoke(void (*entry)(void **), const int64_t *signature, const int64_t *values, int64_t *out,
                   int32_t threads);

// The same for the host code of a program on a device: all data lies there. `itemBytes` has the bytes of an element of
// each argument. The owner of a result is its `DeviceBlock`. A check that fails on the device is seen by a later call,
// which then does nothing else: 1 stands in the place of the missing bytes. After `kDeviceFailed`,
// `pit_device_failure` says why.
int64_t pit_invoke_on(void (*entry)(void **), const int64_t *signature, const int64_t *values, int64_t *out,
                      const int64_t *itemBytes, pit::Loaded *loaded, void *stream);

// Called by compiled code: check `number` does not hold.
void pit_check_failed(int64_t number);

// `pit_invoke` for Python: needs the interpreter's lock, and gives it away while the program runs.
// Returns a new reference to a tuple of DLPack capsules, one for each result, each of which owns its block; it is
// empty if the status in `out` is not `kDone`. Null with a Python error set.
void *pit_call(void (*entry)(void **), const int64_t *signature, const int64_t *values, int64_t *out,
               int32_t threads);
// `pit_invoke_on` in the same way.
void *pit_call_on(void (*entry)(void **), const int64_t *signature, const int64_t *values, int64_t *out,
                  const int64_t *itemBytes, pit::Loaded *loaded, void *stream);
}
