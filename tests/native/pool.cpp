// A thread pool under the names that threads.cpp looks for, as there is no PyTorch here to bring
// one. Its threads are plain ones, so that ThreadSanitizer sees who waits for whom.
#include <thread>
#include <vector>

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace {
thread_local int thread_number = 0, thread_count = 1;
}

EXPORTED int omp_get_thread_num() { return thread_number; }
EXPORTED int omp_get_num_threads() { return thread_count; }
EXPORTED int omp_in_parallel() { return thread_count > 1; }

EXPORTED void GOMP_parallel(void (*body)(void*), void* data, unsigned wanted, unsigned) {
  auto member = [=](int number) {
    thread_number = number, thread_count = int(wanted);
    body(data);
    thread_number = 0, thread_count = 1;
  };
  std::vector<std::thread> others;
  for (unsigned k = 1; k < wanted; ++k) others.emplace_back(member, int(k));
  member(0);
  for (std::thread& each : others) each.join();
}
