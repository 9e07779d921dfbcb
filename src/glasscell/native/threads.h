// Parallel work on the thread pool that PyTorch already has, and the barrier inside it.
#pragma once

#include <atomic>
#include <cstdint>

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

// Where the threads of a group wait for each other, once a time step. Waiting spins for some
// microseconds, and then gives its core to others: the other thread may be waiting for it.
class Barrier {
 public:
  explicit Barrier(int count = 1) : count_(count) {}
  void resize(int count) { count_ = count; }

  void wait() {
    if (count_ == 1) return;
    uint32_t phase = phase_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == count_) {
      arrived_.store(0, std::memory_order_relaxed);
      phase_.store(phase + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; phase_.load(std::memory_order_acquire) == phase; ++spins) {
      if (spins < 20000) {
#if defined(__x86_64__)
        _mm_pause();
#elif defined(__aarch64__)
        asm volatile("yield");
#endif
      } else {
        yield();
      }
    }
  }

 private:
  static void yield();
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<uint32_t> phase_{0};
  int count_;
};

}  // namespace glasscell
