// A CUDA driver without a GPU: memory is that of the host, kernels are functions of the test, all that happens is
// written down, and any function fails on demand.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <string>

namespace {

struct Failure {
  int code, after;
};

struct Kernel {
  std::string name;
  int sharedBytes = 48 << 10;
};

std::mutex mutex;
std::ostringstream written;
std::map<std::string, Failure> failures;
std::set<void *> allocated;
std::string log_text;
void (*on_launch)(const char *name, void **parameters) = nullptr;
int chip_major = 9, chip_minor = 0, devices = 1, capturing = 0;
long limit_bytes = -1;
thread_local void *contexts[16];
thread_local int depth = 0;
char context_of_device[16];
constexpr intptr_t kFirstStream = 99;

// What `function` answers now.
int answer(const char *function) {
  const auto found = failures.find(function);
  if (found == failures.end() || found->second.after-- > 0) return 0;
  return found->second.code;
}

template <typename... Words>
void note(const Words &...words) {
  ((written << words << ' '), ...);
  written << '\n';
}

int stream_number(void *stream) { return static_cast<int>(reinterpret_cast<intptr_t>(stream)); }

}  // namespace

#define ANSWER(function)                             \
  std::lock_guard lock(mutex);                       \
  if (const int code = answer(function)) return code

extern "C" {

// For the test.
void stub_reset() {
  std::lock_guard lock(mutex);
  written.str("");
  failures.clear();
  on_launch = nullptr;
  chip_major = 9, chip_minor = 0, devices = 1, capturing = 0, limit_bytes = -1;
}
void stub_fail(const char *function, int code, int after) {
  std::lock_guard lock(mutex);
  failures[function] = {code, after};
}
void stub_chip(int major, int minor) { chip_major = major, chip_minor = minor; }
void stub_devices(int count) { devices = count; }
void stub_capture(int status) { capturing = status; }
void stub_limit(long bytes) { limit_bytes = bytes; }
void stub_on_launch(void (*callback)(const char *, void **)) { on_launch = callback; }
int stub_allocated() { return static_cast<int>(allocated.size()); }
int stub_depth() { return depth; }
const char *stub_log() {
  std::lock_guard lock(mutex);
  log_text = written.str();
  written.str("");
  return log_text.c_str();
}

int cuInit(unsigned) {
  ANSWER("cuInit");
  return 0;
}
int cuDriverGetVersion(int *version) {
  *version = 13000;
  return 0;
}
int cuDeviceGetCount(int *count) {
  ANSWER("cuDeviceGetCount");
  *count = devices;
  return 0;
}
int cuDeviceGet(int *device, int ordinal) {
  ANSWER("cuDeviceGet");
  if (devices == 0) return 100;
  if (ordinal < 0 || ordinal >= devices) return 101;
  *device = ordinal;
  return 0;
}
int cuDeviceGetName(char *name, int bytes, int device) {
  std::snprintf(name, bytes, "stub %d", device);
  return 0;
}
int cuDeviceGetAttribute(int *value, int attribute, int) {
  ANSWER("cuDeviceGetAttribute");
  *value = attribute == 75 ? chip_major : attribute == 76 ? chip_minor : attribute == 97 ? 227 << 10 : 132;
  return 0;
}
int cuDeviceTotalMem_v2(size_t *bytes, int) {
  *bytes = size_t{80} << 30;
  return 0;
}
int cuDevicePrimaryCtxRetain(void **context, int device) {
  ANSWER("cuDevicePrimaryCtxRetain");
  *context = &context_of_device[device];
  return 0;
}
int cuCtxGetCurrent(void **context) {
  ANSWER("cuCtxGetCurrent");
  *context = depth == 0 ? nullptr : contexts[depth - 1];
  return 0;
}
int cuCtxPushCurrent_v2(void *context) {
  ANSWER("cuCtxPushCurrent");
  contexts[depth++] = context;
  return 0;
}
int cuCtxPopCurrent_v2(void **context) {
  *context = contexts[--depth];
  return 0;
}
int cuCtxSynchronize() {
  ANSWER("cuCtxSynchronize");
  return 0;
}
int cuMemAlloc_v2(uint64_t *memory, size_t bytes) {
  ANSWER("cuMemAlloc");
  if (depth == 0) return 201;
  if (limit_bytes >= 0 && static_cast<long>(bytes) > limit_bytes) return 2;
  void *found = std::aligned_alloc(512, (bytes + 511) / 512 * 512);
  std::memset(found, 0xff, bytes);
  allocated.insert(found);
  *memory = reinterpret_cast<uint64_t>(found);
  note("alloc", bytes);
  return 0;
}
int cuMemFree_v2(uint64_t memory) {
  ANSWER("cuMemFree");
  if (allocated.erase(reinterpret_cast<void *>(memory)) == 0) return 1;
  std::free(reinterpret_cast<void *>(memory));
  note("free");
  return 0;
}
int cuMemHostAlloc(void **memory, size_t bytes, unsigned) {
  ANSWER("cuMemHostAlloc");
  *memory = std::malloc(bytes);
  return 0;
}
int cuMemFreeHost(void *memory) {
  std::free(memory);
  return 0;
}
int cuMemcpyAsync(uint64_t to, uint64_t from, size_t bytes, void *stream) {
  ANSWER("cuMemcpyAsync");
  if (depth == 0) return 201;
  note("copy", bytes, stream_number(stream));
  std::memcpy(reinterpret_cast<void *>(to), reinterpret_cast<void *>(from), bytes);
  return 0;
}
int cuMemsetD8Async(uint64_t to, unsigned char value, size_t count, void *stream) {
  ANSWER("cuMemsetD8Async");
  note("fill", count, stream_number(stream));
  std::memset(reinterpret_cast<void *>(to), value, count);
  return 0;
}
int cuStreamCreate(void **stream, unsigned) {
  ANSWER("cuStreamCreate");
  *stream = reinterpret_cast<void *>(kFirstStream);
  return 0;
}
int cuStreamSynchronize(void *) {
  ANSWER("cuStreamSynchronize");
  return 0;
}
int cuStreamIsCapturing(void *, int *status) {
  ANSWER("cuStreamIsCapturing");
  *status = capturing;
  return 0;
}
int cuThreadExchangeStreamCaptureMode(int *) { return 0; }
int cuModuleLoadDataEx(void **module, const void *image, unsigned options, int *names, void **values) {
  const int code = [&] {
    ANSWER("cuModuleLoadDataEx");
    return 0;
  }();
  if (code != 0) {
    for (unsigned i = 0; i < options; ++i)
      if (names[i] == 5) std::strcpy(static_cast<char *>(values[i]), "ptxas fatal: line 7");
    return code;
  }
  note("load", static_cast<const char *>(image));
  *module = new int(0);
  return 0;
}
int cuModuleUnload(void *module) {
  ANSWER("cuModuleUnload");
  note("unload");
  delete static_cast<int *>(module);
  return 0;
}
int cuModuleGetFunction(void **function, void *, const char *name) {
  ANSWER("cuModuleGetFunction");
  if (std::strcmp(name, "missing") == 0) return 500;
  *function = new Kernel{name};
  return 0;
}
int cuFuncSetAttribute(void *function, int attribute, int value) {
  ANSWER("cuFuncSetAttribute");
  if (attribute != 8 || value > 227 << 10) return 1;
  static_cast<Kernel *>(function)->sharedBytes = value;
  note("shared", value);
  return 0;
}
int cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z, unsigned u, unsigned v, unsigned w,
                   unsigned shared, void *stream, void **parameters, void **) {
  const auto &kernel = *static_cast<Kernel *>(function);
  {
    ANSWER("cuLaunchKernel");
    if (depth == 0) return 201;
    if (static_cast<int>(shared) > kernel.sharedBytes) return 1;
    note("launch", kernel.name, x, y, z, u, v, w, shared, stream_number(stream));
  }
  if (on_launch != nullptr) on_launch(kernel.name.c_str(), parameters);
  return 0;
}
// A map holds what it was made of: address, dimensions, element, swizzle, sizes, strides, box, from the start on.
int cuTensorMapEncodeTiled(void *map, int element, uint32_t dimensions, void *address, const uint64_t *sizes,
                           const uint64_t *strides, const uint32_t *box, const uint32_t *steps, int interleave,
                           int swizzle, int, int fill) {
  ANSWER("cuTensorMapEncodeTiled");
  if (reinterpret_cast<uintptr_t>(map) % 64 != 0 || reinterpret_cast<uintptr_t>(address) % 16 != 0) return 1;
  if (interleave != 0 || fill != 0 || dimensions < 1 || dimensions > 5) return 1;
  int64_t words[16] = {reinterpret_cast<int64_t>(address), dimensions, element, swizzle};
  int64_t *next = words + 4;
  for (uint32_t i = 0; i < dimensions; ++i) {
    if (sizes[i] == 0 || box[i] == 0 || box[i] > 256 || steps[i] != 1) return 1;
    *next++ = sizes[i];
  }
  for (uint32_t i = 0; i + 1 < dimensions; ++i) {
    if (strides[i] % 16 != 0) return 1;
    *next++ = strides[i];
  }
  for (uint32_t i = 0; i < dimensions && next < words + 16; ++i) *next++ = box[i];
  std::memcpy(map, words, sizeof(words));
  return 0;
}
int cuGetErrorName(int code, const char **name) {
  *name = code == 2     ? "CUDA_ERROR_OUT_OF_MEMORY"
          : code == 100 ? "CUDA_ERROR_NO_DEVICE"
          : code == 719 ? "CUDA_ERROR_LAUNCH_FAILED"
                        : "CUDA_ERROR_OF_A_STUB";
  return code == 999 ? 1 : 0;
}
int cuGetErrorString(int code, const char **text) {
  *text = code == 2 ? "out of memory" : code == 719 ? "unspecified launch failure" : "the stub's own words";
  return code == 999 ? 1 : 0;
}
}
