// Fibers: threads of execution that hand the processor to each other when they say so.
#pragma once

#include <cstddef>

// Elsewhere, and for tests, as the C library does it.
#if defined(__x86_64__) && !defined(PIT_PORTABLE_FIBERS)
#define PIT_OWN_SWITCH
#else
#include <ucontext.h>
#endif

namespace pit::emulator {

// A stack, and where its code goes on. Stacks are kept for as long as the fiber lives; `start` begins anew, whatever
// the fiber did before: code that was left in the middle is forgotten.
class Fiber {
 public:
  Fiber() = default;
  ~Fiber();
  Fiber(const Fiber &) = delete;
  Fiber &operator=(const Fiber &) = delete;

  // Makes the fiber run `body(argument)` when it is resumed next; `body` must not return. False without memory.
  bool start(void (*body)(void *), void *argument);
  // Runs the fiber until it calls `suspend`.
  void resume();
  // Goes back to who resumed this fiber, which is the one that runs.
  void suspend();
  // Whether `address` is on the fiber's stack.
  bool holds(const void *address) const {
    const auto *at = static_cast<const char *>(address);
    return at >= stack_ && at < stack_ + kStack;
  }

 private:
  static void begin(void *fiber);

  static constexpr size_t kStack = size_t{256} << 10;  // touched pages alone take memory
  char *stack_ = nullptr;                              // its lowest page may not be touched
  void (*body_)(void *) = nullptr;
  void *argument_ = nullptr;
#if defined(PIT_OWN_SWITCH)
  void *inside_ = nullptr, *outside_ = nullptr;  // stack pointers of who waits
#else
  ucontext_t inside_, outside_;
#endif
#if defined(__SANITIZE_ADDRESS__)
  void *fakeInside_ = nullptr, *fakeOutside_ = nullptr;
  const void *outsideStack_ = nullptr;
  size_t outsideBytes_ = 0;
#endif
};

}  // namespace pit::emulator
