// Faults that the sanitizers must see, in the runtime itself: proof that `make sanitize` would find one.

#include <cstring>

#include "alloc.h"
#include "check.h"
#include "team.h"

extern "C" void memrefCopy(int64_t itemBytes, void *source, void *target);
extern "C" void __kmpc_for_static_init_8(void *, int32_t, int32_t, int32_t *, int64_t *, int64_t *, int64_t *, int64_t,
                                         int64_t);

namespace {

struct Unranked {
  int64_t rank;
  int64_t *descriptor;
};

void copy(void *from, void *to, int64_t size) {
  int64_t source[] = {0, reinterpret_cast<int64_t>(from), 0, size, 1};
  int64_t target[] = {0, reinterpret_cast<int64_t>(to), 0, size, 1};
  Unranked sides[] = {{1, source}, {1, target}};
  memrefCopy(1, &sides[0], &sides[1]);
}

char buffer[200];

void pastTheEnd() {
  void *block = pit_alloc(100);
  copy(buffer, block, 101);
}

void afterFree() {
  void *block = pit_alloc(100);
  pit_free(block);
  copy(block, buffer, 100);
}

void lostMemory() {
  auto *lost = static_cast<char *>(pit_alloc(100));
  std::memset(lost, 0, 100);
}

void misaligned() {
  alignas(8) char words[24] = {};
  int32_t last;
  int64_t upper = 9, stride;
  __kmpc_for_static_init_8(nullptr, 0, 34, &last, reinterpret_cast<int64_t *>(words + 1), &upper, &stride, 1, 1);
}

void race() {
  char target[8];
  inThreads(2, [&](int) { copy(buffer, target, 8); });
}

void raceInATeam() {
  // Several times: of two accesses at the very same moment the sanitizer may miss both.
  int count = 0;
  for (int i = 0; i < 20; ++i)
    pit_run_team(2, [](void *count, int32_t) { ++*static_cast<int *>(count); }, &count);
}

}  // namespace

int main(int, char **arguments) {
  const struct {
    const char *name;
    void (*commit)();
  } faults[] = {{"past-the-end", pastTheEnd}, {"after-free", afterFree}, {"lost-memory", lostMemory},
                {"misaligned", misaligned},   {"race", race},            {"race-in-a-team", raceInATeam}};
  for (const auto &fault : faults)
    if (std::strcmp(arguments[1], fault.name) == 0) {
      fault.commit();
      return 0;
    }
  return 2;
}
