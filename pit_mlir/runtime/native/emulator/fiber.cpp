#include "fiber.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define LEAVE(keep, stack, bytes) __sanitizer_start_switch_fiber(keep, stack, bytes)
#define ARRIVE(kept, stack, bytes) __sanitizer_finish_switch_fiber(kept, stack, bytes)
#else
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)0)
#define LEAVE(keep, stack, bytes) ((void)0)
#define ARRIVE(kept, stack, bytes) ((void)0)
#endif

namespace pit::emulator {
namespace {
constexpr size_t kPage = 4096;
}

#if defined(PIT_OWN_SWITCH)
// void pit_switch_stacks(void **leave, void *enter): keeps what a call preserves on the stack that is left.
// pit_enter_fiber is where a new fiber begins: its function and argument wait in registers that a call preserves.
extern "C" void pit_switch_stacks(void **leave, void *enter);
extern "C" void pit_enter_fiber();
asm(R"(
.text
.p2align 4
.hidden pit_switch_stacks
.globl pit_switch_stacks
.type pit_switch_stacks, @function
pit_switch_stacks:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  retq
.size pit_switch_stacks, .-pit_switch_stacks
.hidden pit_enter_fiber
.globl pit_enter_fiber
.type pit_enter_fiber, @function
pit_enter_fiber:
  movq %r12, %rdi
  callq *%rbx
  ud2
.size pit_enter_fiber, .-pit_enter_fiber
)");
#endif

Fiber::~Fiber() {
  if (stack_ != nullptr) munmap(stack_, kStack);
}

bool Fiber::start(void (*body)(void *), void *argument) {
  if (stack_ == nullptr) {
    void *mapped = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) return false;
    stack_ = static_cast<char *>(mapped);
    if (mprotect(stack_, kPage, PROT_NONE) != 0) return false;
  }
  ASAN_UNPOISON_MEMORY_REGION(stack_ + kPage, kStack - kPage);
  body_ = body;
  argument_ = argument;
#if defined(PIT_OWN_SWITCH)
  // What pit_switch_stacks pops (r15 r14 r13 r12 rbx rbp) and where it returns to; the stack is aligned then.
  auto **top = reinterpret_cast<void **>(stack_ + kStack) - 9;
  std::fill_n(top, 9, nullptr);
  top[3] = this;
  top[4] = reinterpret_cast<void *>(&Fiber::begin);
  top[6] = reinterpret_cast<void *>(&pit_enter_fiber);
  inside_ = top;
#else
  getcontext(&inside_);
  inside_.uc_stack.ss_sp = stack_;
  inside_.uc_stack.ss_size = kStack;
  inside_.uc_link = nullptr;
  // makecontext passes integers alone.
  const auto self = reinterpret_cast<uintptr_t>(this);
  const auto enter = +[](unsigned high, unsigned low) {
    begin(reinterpret_cast<void *>(static_cast<uintptr_t>(high) << 32 | low));
  };
  makecontext(&inside_, reinterpret_cast<void (*)()>(enter), 2, static_cast<unsigned>(self >> 32),
              static_cast<unsigned>(self));
#endif
  return true;
}

void Fiber::begin(void *fiber) {
  auto *self = static_cast<Fiber *>(fiber);
  ARRIVE(nullptr, &self->outsideStack_, &self->outsideBytes_);
  self->body_(self->argument_);
}

void Fiber::resume() {
  LEAVE(&fakeOutside_, stack_, kStack);
#if defined(PIT_OWN_SWITCH)
  pit_switch_stacks(&outside_, inside_);
#else
  swapcontext(&outside_, &inside_);
#endif
  ARRIVE(fakeOutside_, nullptr, nullptr);
}

void Fiber::suspend() {
  LEAVE(&fakeInside_, outsideStack_, outsideBytes_);
#if defined(PIT_OWN_SWITCH)
  pit_switch_stacks(&inside_, outside_);
#else
  swapcontext(&inside_, &outside_);
#endif
  ARRIVE(fakeInside_, &outsideStack_, &outsideBytes_);
}

}  // namespace pit::emulator
