// Memory of a device for the buffers of programs, kept for reuse by the streams that used it.
//
// A block that is freed may still be read by kernels under way. It is given out again on the same stream only, where
// the kernels of its next owner come after those. While a graph is captured nothing is kept: blocks come from the
// allocator and go back to it, which keeps them for that graph.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>

namespace pit {

class Device;
struct Call;

struct DeviceBlock {
  void *memory;
  size_t bytes;
  void *stream;  // that it may be reused on
  Device *device;
  bool isOuter;     // comes from the allocator that was set
  bool isCaptured;  // belongs to a graph
  DeviceBlock *previous = nullptr, *next = nullptr;  // of the same call
  Call *call = nullptr;                              // that owns it, null for a block of the caller
};

class DeviceMemory {
 public:
  using Allocate = void *(*)(uint64_t bytes, void *stream);
  using Free = void (*)(void *memory, void *stream);

  explicit DeviceMemory(Device &device) : device(device) {}

  // A block of at least `bytes` bytes that `call` owns; null where there is no memory left, or with a failure noted.
  DeviceBlock *allocate(size_t bytes, void *stream, Call *call, bool isCapturing);
  void release(DeviceBlock *block);
  // Gives back all blocks that nobody uses.
  void trim();
  // With null, blocks of the old allocator that come back later are let go: the process ends.
  void setAllocator(Allocate allocate, Free free);
  uint64_t liveBytes() const;
  uint64_t cachedBytes() const;

 private:
  DeviceBlock *fresh(size_t bytes, void *stream, bool isCapturing);
  void discard(DeviceBlock *block);

  Device &device;
  mutable std::mutex mutex;  // guards all below; nobody holds it while an allocator is called
  Allocate outerAllocate = nullptr;
  Free outerFree = nullptr;
  std::multimap<std::pair<void *, size_t>, DeviceBlock *> kept;  // by stream and size
  uint64_t liveTotal = 0, keptTotal = 0;
};

// Takes a block out of the call that made it: its caller owns it now.
void detach(DeviceBlock *block);
// The block of `call` at `memory`; null if there is none.
DeviceBlock *blockAt(const Call &call, const void *memory);

}  // namespace pit
