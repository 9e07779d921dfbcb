#include "threads.h"

#include <dlfcn.h>
#include <pthread.h>

#include <thread>

namespace glasscell {
namespace {

// The entry points that compilers call for `#pragma omp parallel`: GNU's runtime defines them,
// and LLVM's and Intel's do for its sake. They are looked up in what the process has loaded, so
// that no second pool comes with this library.
struct Runtime {
  using Parallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
  using Number = int (*)();
  Parallel parallel = reinterpret_cast<Parallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
  Number thread = reinterpret_cast<Number>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
  Number count = reinterpret_cast<Number>(dlsym(RTLD_DEFAULT, "omp_get_num_threads"));
  Number nested = reinterpret_cast<Number>(dlsym(RTLD_DEFAULT, "omp_in_parallel"));
  bool complete() const { return parallel && thread && count && nested; }
};

const Runtime& runtime() {
  static const Runtime found;
  return found;
}

std::atomic<bool> forked{false};
const int registered = pthread_atfork(nullptr, nullptr, [] { forked.store(true); });

struct Work {
  void (*body)(void*, int, int);
  void* context;
};

}  // namespace

void run_on_threads(int wanted, void (*body)(void*, int, int), void* context) {
  (void)registered;
  const Runtime& pool = runtime();
  if (wanted <= 1 || !pool.complete() || forked.load() || pool.nested()) {
    body(context, 0, 1);
    return;
  }
  Work work{body, context};
  pool.parallel(
      [](void* data) {
        Work& work = *static_cast<Work*>(data);
        work.body(work.context, runtime().thread(), runtime().count());
      },
      &work, unsigned(wanted), 0);
}

void Barrier::yield() { std::this_thread::yield(); }

}  // namespace glasscell
