#include "cuda_driver.h"

#include <dlfcn.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

#include "device.h"

namespace pit::cuda {
namespace {

const char *adviceFor(Result code) {
  switch (code) {
    case kOutOfMemory:
      return "free tensors, or call torch.cuda.empty_cache(), or pass smaller batches";
    case kNotInitialized:
    case kDeinitialized:
      return "CUDA does not survive a fork, nor the end of the process: start workers by spawn";
    case kNoDevice:
      return "this machine has no GPU, or CUDA_VISIBLE_DEVICES hides it; target=\"cpu\" and target=\"emulator\" "
             "need none";
    case kInvalidDevice:
      return "there is no GPU of this number; see nvidia-smi";
    case kInvalidImage:
    case kNoBinaryForGpu:
      return "the kernels were compiled for another chip; compile again with target=\"cuda\" on this machine";
    case kInvalidPtx:
    case kUnsupportedPtxVersion:
      return "the driver is older than the kernels: update it, or compile with a target that names this chip";
    case kIllegalAddress:
    case kContextIsDestroyed:
    case kAssert:
    case kHardwareStackError:
    case kLaunchFailed:
      return "a kernel failed before, maybe one of somebody else, and nothing works on this device any more: start "
             "the process again; CUDA_LAUNCH_BLOCKING=1 shows which, target=\"emulator\" why";
    case kOutOfResources:
      return "the kernel needs more registers or shared memory than the chip has: this is a fault of ours, please "
             "report it";
    case kDriverMismatch:
      return "the driver's library and its kernel module are of different versions: boot again";
    default:
      return code >= kFirstCaptureError && code <= kLastCaptureError
                 ? "a graph is being captured, in which this is not allowed; call the program once before capturing"
                 : nullptr;
  }
}

bool resolve(void *library, const char *path, Driver &found) {
#define PIT_RESOLVE(name, symbol, parameters)                                     \
  found.name = reinterpret_cast<decltype(found.name)>(dlsym(library, symbol));    \
  if (found.name == nullptr)                                                      \
    return noteFailure("the driver %s has no function " symbol ": it is too old, update it", path);
  PIT_CUDA_FUNCTIONS(PIT_RESOLVE)
#undef PIT_RESOLVE
  return true;
}

bool open(const std::string &path, Driver &found) {
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    return noteFailure("there is no NVIDIA driver: %s; install one, or use target=\"cpu\" or target=\"emulator\"",
                       dlerror());
  return resolve(library, path.c_str(), found) && found.check(found.init(0), "starting CUDA");
}

}  // namespace

bool Driver::check(Result code, const char *doing, ...) const {
  if (code == kSuccess) return true;
  char what[4608];
  va_list arguments;
  va_start(arguments, doing);
  std::vsnprintf(what, sizeof(what), doing, arguments);
  va_end(arguments);
  const char *name = nullptr, *text = nullptr, *advice = adviceFor(code);
  if (errorName(code, &name) != kSuccess || name == nullptr) name = "an unknown error";
  if (errorText(code, &text) != kSuccess || text == nullptr) text = "the driver has no text for it";
  return noteFailure("%s: %s (%d): %s%s%s", what, name, code, text, advice != nullptr ? "; " : "",
                     advice != nullptr ? advice : "");
}

const Driver *driver() {
  static std::mutex mutex;
  static std::map<std::string, Driver> opened;  // nothing is removed: devices refer to their driver
  const char *chosen = std::getenv("PIT_CUDA_DRIVER");
  const std::string path = chosen != nullptr && *chosen != '\0' ? chosen : "libcuda.so.1";
  std::lock_guard lock(mutex);
  if (const auto found = opened.find(path); found != opened.end()) return &found->second;
  // What fails may succeed later: nothing is kept of it.
  Driver driver;
  return open(path, driver) ? &opened.emplace(path, driver).first->second : nullptr;
}

}  // namespace pit::cuda
