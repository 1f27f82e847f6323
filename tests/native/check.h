// What the native tests share: a check that ends the test, threads that run together, a child process.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#define CHECK(condition)                                                             \
  do {                                                                               \
    if (!(condition)) {                                                              \
      std::fprintf(stderr, "%s:%d: CHECK(%s)\n", __FILE__, __LINE__, #condition);    \
      std::_Exit(1);                                                                 \
    }                                                                                \
  } while (false)

// Runs `work(number)` on so many threads at a time.
template <typename Work>
void inThreads(int count, Work work) {
  std::vector<std::thread> threads;
  for (int number = 0; number < count; ++number) threads.emplace_back(work, number);
  for (auto &thread : threads) thread.join();
}

// Runs `work` in a forked child, which must end well. ThreadSanitizer knows no threads in children of processes with
// several (it dies of "dup thread"): nothing happens with it.
template <typename Work>
void inChild(Work work) {
#if defined(__SANITIZE_THREAD__)
  (void)work;
  return;
#endif
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(20);
    work();
    std::_Exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

using Random = std::mt19937_64;
inline int64_t below(Random &random, int64_t end) { return static_cast<int64_t>(random() % static_cast<uint64_t>(end)); }
