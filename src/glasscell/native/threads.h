// Parallel work on the thread pool that PyTorch already has, and the barrier inside it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace glasscell {

// Calls body(context, thread, count) on `count` threads, at most `wanted`; returns when all have.
//
// The pool is the OpenMP runtime that is loaded in the process, which is PyTorch's own; without
// one, and in a process that was forked (whose pool has lost its threads), the caller's thread
// does all the work.
void run_on_threads(int wanted, void (*body)(void*, int, int), void* context);

template <class Body>
void parallel(int wanted, Body&& body) {
  run_on_threads(
      wanted, [](void* context, int thread, int count) { (*static_cast<Body*>(context))(thread, count); },
      &body);
}

// Where the threads of a group wait for each other, once a time step. Each announces its arrival on
// a cache line of its own and watches those of the others: one transfer between cores, where a
// common counter takes two. Waiting spins for some microseconds, and then gives its core to
// others: the thread waited for may need it.
class Barrier {
 public:
  Barrier() = default;
  void resize(int members) {
    members_ = members;
    arrivals_ = std::make_unique<Arrival[]>(size_t(members));
  }

  void wait(int member) {
    if (members_ == 1) return;
    const uint32_t phase = arrivals_[member].phase.load(std::memory_order_relaxed) + 1;
    arrivals_[member].phase.store(phase, std::memory_order_release);
    for (int other = 0; other < members_; ++other)
      for (int spins = 0; int32_t(arrivals_[other].phase.load(std::memory_order_acquire) - phase) < 0; ++spins)
        spins < 20000 ? pause() : yield();
  }

 private:
  struct alignas(128) Arrival {  // two lines: processors fetch them in pairs
    std::atomic<uint32_t> phase{0};
  };
  static void pause() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
  static void yield();

  int members_ = 1;
  std::unique_ptr<Arrival[]> arrivals_;
};

}  // namespace glasscell
