#include "isa.h"

namespace glasscell {

#define GLASSCELL_DECLARE(variant) \
  namespace variant {              \
  extern const Kernels kernels;    \
  }
#ifdef GLASSCELL_HAS_AVX512BF16
GLASSCELL_DECLARE(avx512bf16)
#endif
#ifdef GLASSCELL_HAS_AVX512
GLASSCELL_DECLARE(avx512)
#endif
#ifdef GLASSCELL_HAS_AVX2
GLASSCELL_DECLARE(avx2)
#endif
GLASSCELL_DECLARE(baseline)

namespace {

// The processor is asked here, in code that every processor can run.
std::vector<const Kernels*> find_supported() {
  std::vector<const Kernels*> usable;
#if defined(__x86_64__)
  __builtin_cpu_init();
  [[maybe_unused]] const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  [[maybe_unused]] const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#ifdef GLASSCELL_HAS_AVX512BF16
  if (avx512 && __builtin_cpu_supports("avx512bf16")) usable.push_back(&avx512bf16::kernels);
#endif
#ifdef GLASSCELL_HAS_AVX512
  if (avx512) usable.push_back(&avx512::kernels);
#endif
#ifdef GLASSCELL_HAS_AVX2
  if (avx2) usable.push_back(&avx2::kernels);
#endif
#endif
  usable.push_back(&baseline::kernels);
  return usable;
}

}  // namespace

const std::vector<const Kernels*>& supported_kernels() {
  static const std::vector<const Kernels*> found = find_supported();
  return found;
}

}  // namespace glasscell
