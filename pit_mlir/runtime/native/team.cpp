#include "team.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

namespace pit {

thread_local Member member;

namespace {

constexpr int kSpins = 4000;  // about 10 us: regions of one program follow each other faster than a wake-up

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

template <typename T>
void waitWhile(const std::atomic<T> &value, T old) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (value.load(std::memory_order_acquire) != old) return;
    relax();
  }
  value.wait(old, std::memory_order_acquire);
}

void runAs(Team &team, int32_t number) {
  const Member outer = member;
  Call *const outerCall = currentCall;
  std::jmp_buf exit;
  member = {&team, number, -1, nullptr, &exit};
  currentCall = team.call;
  if (setjmp(exit) == 0) team.work(team.context);
  member = outer;
  currentCall = outerCall;
}

// One thread of our own; it sleeps on `job` between regions and lives as long as the process.
struct Worker {
  const int32_t number;
  std::atomic<Team *> job{nullptr};

  [[noreturn]] void serve() {
    for (;;) {
      waitWhile<Team *>(job, nullptr);
      runAs(*job.load(std::memory_order_acquire), number);
      job.store(nullptr, std::memory_order_release);
      job.notify_all();
    }
  }
};

// Null if the system gives no more threads.
Worker *startWorker(int32_t number) {
  auto *worker = new Worker{number};
  // Signals are for the threads of the program that has loaded us.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const auto serve = [](void *started) -> void * { static_cast<Worker *>(started)->serve(); };
  const bool runs = pthread_create(&thread, nullptr, serve, worker) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (runs) {
    pthread_detach(thread);
    return worker;
  }
  delete worker;
  return nullptr;
}

class Pool {
 public:
  // False if another thread is using the pool: then the caller works alone.
  bool run(Team &team, int32_t threads) {
    std::unique_lock busy(mutex_, std::try_to_lock);
    if (!busy) return false;
    while (static_cast<int32_t>(workers_.size()) < threads - 1) {
      Worker *worker = startWorker(static_cast<int32_t>(workers_.size()) + 1);
      if (worker == nullptr) break;
      workers_.push_back(worker);
    }
    threads = std::min(threads, static_cast<int32_t>(workers_.size()) + 1);
    team.size = threads;
    for (int32_t i = 0; i < threads - 1; ++i) {
      workers_[i]->job.store(&team, std::memory_order_release);
      workers_[i]->job.notify_all();
    }
    runAs(team, 0);
    for (int32_t i = 0; i < threads - 1; ++i) waitWhile(workers_[i]->job, &team);
    return true;
  }

 private:
  std::mutex mutex_;
  std::vector<Worker *> workers_;
};

std::atomic<Pool *> pool{new Pool};

// The entry points of libgomp that are used, once it was found.
struct Gomp {
  void (*parallel)(void (*)(void *), void *, unsigned threads, unsigned flags);
  int (*threadNumber)();
  int (*teamSize)();
};
std::atomic<const Gomp *> gomp{nullptr};
std::atomic<bool> isForked{false};

// A forked child has none of its parent's threads. Our pool starts anew, the old one is lost; libgomp would wait for
// threads that are gone (with torch 2.13 an operator on two threads hangs in such a child), so it is not used again.
[[gnu::constructor]] void prepareForForks() {
  pthread_atfork(nullptr, nullptr, [] {
    isForked = true;
    gomp = nullptr;
    pool = new Pool;
  });
}

int nameOfGomp(dl_phdr_info *info, size_t, void *name) {
  const char *file = std::strrchr(info->dlpi_name, '/');
  file = file == nullptr ? info->dlpi_name : file + 1;
  if (std::strncmp(file, "libgomp", 7) != 0) return 0;
  *static_cast<std::string *>(name) = info->dlpi_name;
  return 1;
}

const Gomp *findGomp() {
  std::string name;
  if (dl_iterate_phdr(nameOfGomp, &name) == 0) return nullptr;
  void *library = dlopen(name.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return nullptr;
  static const Gomp found{
      reinterpret_cast<decltype(Gomp::parallel)>(dlsym(library, "GOMP_parallel")),
      reinterpret_cast<decltype(Gomp::threadNumber)>(dlsym(library, "omp_get_thread_num")),
      reinterpret_cast<decltype(Gomp::teamSize)>(dlsym(library, "omp_get_num_threads")),
  };
  return found.parallel && found.threadNumber && found.teamSize ? &found : nullptr;
}

void runGompMember(void *context) {
  Team &team = *static_cast<Team *>(context);
  const Gomp *library = gomp.load(std::memory_order_acquire);
  team.size = library->teamSize();  // the same number from each thread
  runAs(team, library->threadNumber());
}

}  // namespace

void Team::barrier() {
  const uint32_t now = phase.load(std::memory_order_acquire);
  if (isLeft.load(std::memory_order_relaxed)) leaveTeam();
  if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == size) {
    arrived.store(0, std::memory_order_relaxed);
    phase.fetch_add(1, std::memory_order_release);
    phase.notify_all();
    return;
  }
  waitWhile(phase, now);
  if (isLeft.load(std::memory_order_relaxed)) leaveTeam();
}

void leaveTeam() {
  Team &team = *member.team;
  // Whoever waits for the next phase, or begins to, sees that there is none.
  team.isLeft.store(true, std::memory_order_relaxed);
  team.phase.fetch_add(1, std::memory_order_acq_rel);
  team.phase.notify_all();
  std::longjmp(*member.exit, 1);
}

namespace {

void runOnThreads(Team &team, int32_t threads) {
  const bool nested = member.team != nullptr;
  if (threads > 1 && !nested) {
    if (const Gomp *library = gomp.load(std::memory_order_acquire)) {
      library->parallel(runGompMember, &team, static_cast<unsigned>(threads), 0);
      return;
    }
    if (pool.load(std::memory_order_acquire)->run(team, threads)) return;
  }
  runAs(team, 0);
}

}  // namespace

void runTeam(int32_t threads, void (*work)(void *), void *context) {
  Team team{work, context, currentCall};
  runOnThreads(team, threads);
  if (!team.isLeft) return;
  if (member.team != nullptr) leaveTeam();
  endCall(*currentCall);
}

}  // namespace pit

extern "C" {

bool pit_use_openmp_runtime() {
  if (pit::gomp == nullptr && !pit::isForked) pit::gomp = pit::findGomp();
  return pit::gomp != nullptr;
}

int32_t pit_run_team(int32_t threads, void (*work)(void *, int32_t), void *context) {
  struct Task {
    void (*work)(void *, int32_t);
    void *context;
    std::atomic<int32_t> size{0};
  } task{work, context};
  pit::runTeam(
      threads,
      [](void *opaque) {
        auto *task = static_cast<Task *>(opaque);
        task->size = pit::member.team->size.load();
        task->work(task->context, pit::member.number);
      },
      &task);
  return task.size;
}
}
