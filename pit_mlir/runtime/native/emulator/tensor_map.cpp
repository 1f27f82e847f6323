#include "tensor_map.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "machine.h"

namespace pit::emulator {
namespace {

constexpr uint32_t kUnit = 16;       // bytes that swizzles keep together
constexpr uint32_t kAlignment = 128;  // of a box in shared memory

const TensorMap &mapAt(Thread &self, const void *address, uint32_t rank, uint32_t site) {
  const auto *map = static_cast<const TensorMap *>(address);
  if (reinterpret_cast<uintptr_t>(address) % alignof(TensorMap) != 0 || map->mark != TensorMap::kMark)
    fail(self, site, "there is no tensor map at %p", address);
  if (map->rank != rank) fail(self, site, "it gives %u coordinates for a tensor of rank %u", rank, map->rank);
  return *map;
}

// Calls `body(offset in the box, address, bytes of the tensor)` for each unit of the box at `at`.
template <class Body>
void forUnits(const TensorMap &map, const int32_t *at, Body body) {
  uint32_t index[kMaxRank] = {};
  const uint32_t row = map.box[0] * map.elementBytes;
  uint32_t offset = 0;
  while (true) {
    bool inside = true;
    int64_t place = 0;
    for (uint32_t d = 1; d < map.rank; ++d) {
      const int64_t coordinate = int64_t{at[d]} + index[d];
      inside &= coordinate >= 0 && coordinate < map.sizes[d];
      place += coordinate * static_cast<int64_t>(map.strides[d]);
    }
    for (uint32_t unit = 0; unit < row; unit += kUnit, offset += kUnit) {
      const int64_t first = int64_t{at[0]} * map.elementBytes + unit;
      const int64_t end = int64_t{map.sizes[0]} * map.elementBytes;
      // A unit that begins outside of the tensor is taken as outside: coordinates are multiples of it in practice.
      const int64_t given = !inside || first < 0 ? 0 : std::clamp<int64_t>(end - first, 0, kUnit);
      body(offset, map.address + place + first, static_cast<uint32_t>(given));
    }
    uint32_t d = 1;
    for (; d < map.rank && ++index[d] == map.box[d]; ++d) index[d] = 0;
    if (d >= map.rank) return;
  }
}

// Swizzles mix the units of a row by the number of the row, which they find in the address.
char *swizzled(const TensorMap &map, char *box, uint32_t offset) {
  const auto address = reinterpret_cast<uintptr_t>(box + offset);
  const uintptr_t mixed = map.swizzleBytes == 0 ? 0 : address >> 7 & (map.swizzleBytes / kUnit - 1);
  return reinterpret_cast<char *>(address ^ mixed << 4);
}

char *boxAt(Thread &self, char *address, uint32_t alignment, uint32_t site) {
  if (!self.machine->isShared(address)) fail(self, site, "%p is not in shared memory", address);
  if (reinterpret_cast<uintptr_t>(address) % alignment != 0)
    fail(self, site, "misaligned: %s must be a multiple of %u", self.machine->place(address, "shared").c_str(),
         alignment);
  return address;
}

void checkBulk(Thread &self, const void *global, uint32_t bytes, uint32_t site) {
  if (bytes % kUnit != 0) fail(self, site, "it copies %u bytes, which must be a multiple of %u", bytes, kUnit);
  if (reinterpret_cast<uintptr_t>(global) % kUnit != 0)
    fail(self, site, "misaligned: %s must be a multiple of %u", self.machine->place(global, "global").c_str(), kUnit);
}

// Units that are copied to shared memory, as soon as somebody waits for them.
void load(Thread &self, std::vector<Copy> data, char *barrier, uint32_t site) {
  for (const Copy &copy : data) depart(self, copy, 1, kUnwritten);
  bringLater(self, barrier, std::move(data), site);
}

void store(Thread &self, char *to, char *from, uint32_t bytes, uint32_t site) {
  readByEngine(self, self.bulkReads, self.bulkGroups, from, kUnit, site);
  if (bytes == 0) return;
  touchMemory(self, to, bytes, 1, kWrites, site);
  std::memcpy(to, from, bytes);
}

}  // namespace
}  // namespace pit::emulator

using namespace pit::emulator;

extern "C" {

bool pit_emulator_encode_tensor_map(void *map, uint32_t elementBytes, uint32_t rank, void *address,
                                    const uint64_t *sizes, const uint64_t *strides, const uint32_t *box,
                                    uint32_t swizzleBytes) {
  const uint32_t row = box[0] * elementBytes;
  if (rank == 0 || rank > kMaxRank || reinterpret_cast<uintptr_t>(address) % kUnit != 0 || row % kUnit != 0) return false;
  if (swizzleBytes != 0 && (row > swizzleBytes || (swizzleBytes != 32 && swizzleBytes != 64 && swizzleBytes != 128)))
    return false;
  TensorMap made{};
  made.mark = TensorMap::kMark;
  made.address = static_cast<char *>(address);
  for (uint32_t d = 0; d < rank; ++d) {
    if (box[d] == 0 || box[d] > 256 || sizes[d] == 0 || sizes[d] >> 32 != 0) return false;
    if (d > 0 && strides[d - 1] % kUnit != 0) return false;
    made.strides[d] = d == 0 ? elementBytes : strides[d - 1];
    made.sizes[d] = sizes[d];
    made.box[d] = box[d];
  }
  made.rank = rank;
  made.elementBytes = elementBytes;
  made.swizzleBytes = swizzleBytes;
  std::memcpy(map, &made, sizeof made);
  return true;
}

// cp.async.bulk.tensor from global to shared memory.
void pit_emulate_load_box(Thread *self, char *to, const void *map, const int32_t *at, uint32_t rank, char *barrier,
                          uint32_t site) {
  const TensorMap &tensor = mapAt(*self, map, rank, site);
  boxAt(*self, to, kAlignment, site);
  std::vector<Copy> data;
  forUnits(tensor, at, [&](uint32_t offset, const char *from, uint32_t given) {
    data.push_back({swizzled(tensor, to, offset), from, kUnit, given, site, 0});
  });
  load(*self, std::move(data), barrier, site);
}

// cp.async.bulk.tensor from shared to global memory.
void pit_emulate_store_box(Thread *self, const void *map, char *from, const int32_t *at, uint32_t rank,
                           uint32_t site) {
  const TensorMap &tensor = mapAt(*self, map, rank, site);
  boxAt(*self, from, kAlignment, site);
  beginReads(*self);
  forUnits(tensor, at, [&](uint32_t offset, char *to, uint32_t given) {
    store(*self, to, swizzled(tensor, from, offset), given, site);
  });
}

// cp.async.bulk of bytes that lie together.
void pit_emulate_load_bulk(Thread *self, char *to, const char *from, uint32_t bytes, char *barrier, uint32_t site) {
  boxAt(*self, to, kUnit, site);
  checkBulk(*self, from, bytes, site);
  std::vector<Copy> data;
  for (uint32_t i = 0; i < bytes; i += kUnit) data.push_back({to + i, from + i, kUnit, kUnit, site, 0});
  load(*self, std::move(data), barrier, site);
}

void pit_emulate_store_bulk(Thread *self, char *to, char *from, uint32_t bytes, uint32_t site) {
  boxAt(*self, from, kUnit, site);
  checkBulk(*self, to, bytes, site);
  beginReads(*self);
  for (uint32_t i = 0; i < bytes; i += kUnit) store(*self, to + i, from + i, kUnit, site);
}

void pit_emulate_commit_bulk(Thread *self) { ++self->bulkGroups; }

void pit_emulate_wait_bulk(Thread *self, uint32_t but) { endReads(*self, self->bulkReads, self->bulkGroups, but); }
}
