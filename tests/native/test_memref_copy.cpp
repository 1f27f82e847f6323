// memrefCopy on random shapes and strides, against a copy element by element; buffers are as large as they must be.

#include <algorithm>
#include <cstring>
#include <numeric>

#include "check.h"

extern "C" void memrefCopy(int64_t itemBytes, void *source, void *target);

namespace {

struct View {
  std::vector<int64_t> words;  // allocated, aligned, offset, sizes, strides
  std::vector<unsigned char> memory;
  int64_t itemBytes;
  struct {
    int64_t rank;
    int64_t *descriptor;
  } unranked;

  int64_t *sizes() { return words.data() + 3; }
  int64_t *strides() { return words.data() + 3 + unranked.rank; }

  unsigned char *at(const std::vector<int64_t> &place) {
    int64_t offset = words[2];
    for (size_t dim = 0; dim < place.size(); ++dim) offset += place[dim] * strides()[dim];
    return memory.data() + offset * itemBytes;
  }
};

// Sizes are laid out in a random order of axes, with gaps, and forwards or backwards; a source may repeat elements.
void layOut(View &view, const std::vector<int64_t> &sizes, int64_t itemBytes, Random &random, bool mayRepeat) {
  const auto rank = static_cast<int64_t>(sizes.size());
  view.itemBytes = itemBytes;
  view.words.assign(static_cast<size_t>(3 + 2 * rank), 0);
  view.unranked = {rank, view.words.data()};
  std::copy(sizes.begin(), sizes.end(), view.sizes());
  std::vector<int64_t> order(sizes.size());
  std::iota(order.begin(), order.end(), 0);
  const bool plain = below(random, 3) == 0;
  if (!plain) std::shuffle(order.begin(), order.end(), random);
  int64_t extent = 1, first = 0;
  bool empty = false;
  for (auto dim = order.rbegin(); dim != order.rend(); ++dim) {
    const int64_t size = sizes[static_cast<size_t>(*dim)];
    int64_t stride = plain ? extent : extent + below(random, 2);
    if (mayRepeat && below(random, 6) == 0) stride = 0;
    empty |= size == 0;
    const int64_t span = size == 0 ? 0 : (size - 1) * stride;
    if (!plain && below(random, 3) == 0) {
      stride = -stride;
      first += span;
    }
    view.strides()[*dim] = stride;
    extent += span;
  }
  view.words[2] = first;
  view.memory.resize(static_cast<size_t>(empty ? 0 : extent * itemBytes));
  for (auto &byte : view.memory) byte = static_cast<unsigned char>(random());
  view.words[0] = view.words[1] = reinterpret_cast<int64_t>(view.memory.data());
}

// Calls `visit` with each place of a tensor of `sizes`.
template <typename Visit>
void forEachPlace(const std::vector<int64_t> &sizes, Visit visit) {
  int64_t count = 1;
  for (int64_t size : sizes) count *= size;
  std::vector<int64_t> place(sizes.size());
  for (int64_t number = 0; number < count; ++number) {
    int64_t rest = number;
    for (size_t dim = sizes.size(); dim-- > 0; rest /= sizes[dim]) place[dim] = rest % sizes[dim];
    visit(place);
  }
}

void randomCopies() {
  Random random(0);
  for (int turn = 0; turn < 4000; ++turn) {
    std::vector<int64_t> sizes(static_cast<size_t>(below(random, 6)));
    for (auto &size : sizes) size = below(random, 12) == 0 ? 0 : 1 + below(random, 4);
    const int64_t itemBytes = int64_t{1} << below(random, 5);
    View source, target;
    layOut(source, sizes, itemBytes, random, true);
    layOut(target, sizes, itemBytes, random, false);
    const auto before = target.memory;
    memrefCopy(itemBytes, &source.unranked, &target.unranked);
    const auto after = target.memory;
    target.memory = before;
    forEachPlace(sizes, [&](const auto &place) {
      std::memcpy(target.at(place), source.at(place), static_cast<size_t>(itemBytes));
    });
    CHECK(after == target.memory);  // so nothing between the elements was touched
  }
}

void ontoItself() {
  Random random(1);
  View view;
  for (int turn = 0; turn < 100; ++turn) {
    layOut(view, {3, 1 + below(random, 4), 2}, 4, random, false);
    const auto before = view.memory;
    memrefCopy(4, &view.unranked, &view.unranked);
    CHECK(view.memory == before);
  }
}

}  // namespace

int main() {
  randomCopies();
  ontoItself();
}
