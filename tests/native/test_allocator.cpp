// The allocator: blocks of all sizes, handed from thread to thread, while the cache shrinks and processes fork.

#include <atomic>
#include <cstring>
#include <mutex>

#include "alloc.h"
#include "check.h"

namespace {

void sizes() {
  for (uint64_t base : {uint64_t{0}, uint64_t{64}, uint64_t{80}, uint64_t{4096}, uint64_t{1} << 21, uint64_t{5} << 20})
    for (int64_t off : {-1, 0, 1}) {
      if (base == 0 && off < 0) continue;
      const uint64_t bytes = base + static_cast<uint64_t>(off);
      void *block = pit_alloc(bytes);
      CHECK(reinterpret_cast<uintptr_t>(block) % pit::kAlignment == 0);
      std::memset(block, 0x5A, bytes);
      pit_free(block);
      void *again = pit_alloc(bytes);
      CHECK(again == block);
      std::memset(again, 0xA5, bytes);
      pit_free(again);
    }
  pit_free(nullptr);
}

// What lives long is not kept for others.
void lasting() {
  for (uint64_t bytes : {100, 5 << 20}) {
    const uint64_t before = pit_cached_bytes();
    void *block = pit_alloc(bytes);
    const uint64_t without = pit_cached_bytes();
    pit_make_lasting(block);
    pit_free(block);
    CHECK(pit_cached_bytes() == without && without <= before);
    block = pit_alloc(bytes);
    pit_free(block);
    CHECK(pit_cached_bytes() >= without + bytes);
  }
}

// Each thread fills blocks and puts them on a shared shelf; whoever takes one checks what is in it and frees it.
void handedFromThreadToThread() {
  struct Item {
    unsigned char *block;
    size_t bytes;
    unsigned char mark;
  };
  std::mutex mutex;
  std::vector<Item> shelf;
  inThreads(6, [&](int number) {
    Random random(static_cast<uint64_t>(number));
    for (int turn = 0; turn < 3000; ++turn) {
      Item item{nullptr, static_cast<size_t>(below(random, 9000)), static_cast<unsigned char>(number * 37 + turn)};
      item.block = static_cast<unsigned char *>(pit_alloc(item.bytes));
      std::memset(item.block, item.mark, item.bytes);
      {
        std::lock_guard lock(mutex);
        std::swap(item, shelf.empty() ? shelf.emplace_back() : shelf[static_cast<size_t>(below(random, 50)) % shelf.size()]);
      }
      for (size_t i = 0; i < item.bytes && item.block != nullptr; ++i) CHECK(item.block[i] == item.mark);
      pit_free(item.block);
      if (number == 0 && turn % 100 == 0) pit_set_cache_limit(turn % 200 == 0 ? 1 << 16 : uint64_t{4} << 30);
      if (turn % 64 == 0) CHECK(pit_cached_bytes() < uint64_t{1} << 32);
    }
  });
  for (Item &item : shelf) pit_free(item.block);
}

// The peak is that of the most blocks held at a time, on whatever threads, and falls by a reset alone.
void peakOfAllThreads() {
  constexpr uint64_t kBytes = uint64_t{1} << 16;
  const uint64_t before = pit_live_bytes();
  pit_reset_peak_bytes();
  CHECK(pit_peak_bytes() == before);
  std::atomic<int> holding{0};
  inThreads(4, [&](int) {
    for (int turn = 0; turn < 500; ++turn) pit_free(pit_alloc(kBytes));
    void *block = pit_alloc(kBytes);
    ++holding;
    while (holding < 4) std::this_thread::yield();
    pit_free(block);
  });
  CHECK(pit_live_bytes() == before);
  CHECK(pit_peak_bytes() == before + 4 * kBytes);
  pit_reset_peak_bytes();
  CHECK(pit_peak_bytes() == before);
}

void forkedWhileOthersAllocate() {
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) pit_free(pit_alloc(1000));
  });
  for (int turn = 0; turn < 20; ++turn)
    inChild([] {
      for (int i = 0; i < 100; ++i) pit_free(pit_alloc(1000));
    });
  stop = true;
  other.join();
}

}  // namespace

int main() {
  sizes();
  lasting();
  handedFromThreadToThread();
  peakOfAllThreads();
  forkedWhileOthersAllocate();
  CHECK(pit_live_bytes() == 0);
  pit_set_cache_limit(0);
  CHECK(pit_cached_bytes() == 0);
}
