// Vectors of the processor's own width, written once for every instruction set.
//
// The compiler's vector extensions give arithmetic and comparison; the few things they lack
// (fused multiply-add, conversion to bfloat16) are the only lines that name an instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace glasscell::GLASSCELL_VARIANT {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
constexpr int vector_registers = 32;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
constexpr int vector_registers = 16;
#elif defined(__aarch64__)
constexpr int vector_bytes = 16;
constexpr int vector_registers = 32;
#else
constexpr int vector_bytes = 16;
constexpr int vector_registers = 16;
#endif

#if defined(__AVX512BF16__)
constexpr bool has_bfloat16_dot = true;
#else
constexpr bool has_bfloat16_dot = false;
#endif

// For what must melt into its caller: a call would send vectors through memory.
#define GLASSCELL_INLINE inline __attribute__((always_inline))

// The upper half of a float's bits.
struct bfloat16 {
  uint16_t bits;
};

// Two neighbours along the sum, multiplied and added to one float by one instruction.
struct bfloat16_pair {
  uint32_t bits;
};

template <class R>
struct VectorOf;
template <>
struct VectorOf<float> {
  using type = float __attribute__((vector_size(vector_bytes)));
  using integer = int32_t __attribute__((vector_size(vector_bytes)));
};
template <>
struct VectorOf<double> {
  using type = double __attribute__((vector_size(vector_bytes)));
  using integer = int64_t __attribute__((vector_size(vector_bytes)));
};

template <class R>
using Vec = typename VectorOf<R>::type;
template <class R>
using IntVec = typename VectorOf<R>::integer;
template <class R>
constexpr int lanes = vector_bytes / int(sizeof(R));

template <class R>
GLASSCELL_INLINE Vec<R> splat(R value) {
  return value - Vec<R>{};
}

// a * b + c with one rounding, where the processor can.
GLASSCELL_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
  return (Vec<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
  return (Vec<float>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}

GLASSCELL_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
#if defined(__AVX512F__)
  return (Vec<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__AVX2__)
  return (Vec<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
  return (Vec<double>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
  return a * b + c;
#endif
}

// Both give b where a is not a number: clamping with the limit first passes NaN through.
template <class V>
GLASSCELL_INLINE V least(V a, V b) {
  return a < b ? a : b;
}
template <class V>
GLASSCELL_INLINE V greatest(V a, V b) {
  return a > b ? a : b;
}

// v in the first n lanes, 0 in the others.
template <class R>
GLASSCELL_INLINE Vec<R> first_lanes(Vec<R> v, int n) {
  if (__builtin_expect(n >= lanes<R>, 1)) return v;
  IntVec<R> lane;
  for (int l = 0; l < lanes<R>; ++l) lane[l] = l;
  return lane < n ? v : Vec<R>{};
}

// The sum of the lanes, in each of them: of each half with the other, and so on.
template <class R, int half = lanes<R> / 2>
GLASSCELL_INLINE Vec<R> lanes_sum(Vec<R> v) {
  if constexpr (half == 0) {
    return v;
  } else {
#if defined(__clang__)
    Vec<R> swapped;
    for (int l = 0; l < lanes<R>; ++l) swapped[l] = v[l ^ half];
#else
    IntVec<R> other;
#pragma GCC unroll 16
    for (int l = 0; l < lanes<R>; ++l) other[l] = l ^ half;
    const Vec<R> swapped = __builtin_shuffle(v, other);
#endif
    return lanes_sum<R, half / 2>(v + swapped);
  }
}

// One bfloat16, to the nearest, ties to even; NaN stays NaN.
GLASSCELL_INLINE bfloat16 to_bfloat16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  if ((bits & 0x7fffffff) > 0x7f800000) return {uint16_t((bits >> 16) | 0x40)};
  return {uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

GLASSCELL_INLINE float to_float(bfloat16 value) {
  uint32_t bits = uint32_t(value.bits) << 16;
  float result;
  std::memcpy(&result, &bits, 4);
  return result;
}

GLASSCELL_INLINE float to_real(float v) { return v; }
GLASSCELL_INLINE double to_real(double v) { return v; }
GLASSCELL_INLINE float to_real(bfloat16 v) { return to_float(v); }
GLASSCELL_INLINE void to_store(float& to, float v) { to = v; }
GLASSCELL_INLINE void to_store(double& to, double v) { to = v; }
GLASSCELL_INLINE void to_store(bfloat16& to, float v) { to = to_bfloat16(v); }

GLASSCELL_INLINE Vec<float> load(const float* from) {
  Vec<float> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
GLASSCELL_INLINE Vec<double> load(const double* from) {
  Vec<double> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
GLASSCELL_INLINE Vec<float> load(const bfloat16* from) {
#if defined(__AVX512F__)
  __m256i half = _mm256_loadu_si256((const __m256i*)from);
  return (Vec<float>)_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
#else
  Vec<float> v;
  for (int k = 0; k < lanes<float>; ++k) v[k] = to_float(from[k]);
  return v;
#endif
}

GLASSCELL_INLINE void store(float* to, Vec<float> v) { std::memcpy(to, &v, sizeof v); }
GLASSCELL_INLINE void store(double* to, Vec<double> v) { std::memcpy(to, &v, sizeof v); }
GLASSCELL_INLINE void store(bfloat16* to, Vec<float> v) {
#if defined(__AVX512BF16__)
  __m256i half = (__m256i)_mm512_cvtneps_pbh((__m512)v);
  _mm256_storeu_si256((__m256i*)to, half);
#elif defined(__AVX512F__)
  // The nearest, ties to even, by adding half of the last kept bit and cutting.
  __m512i bits = _mm512_castps_si512((__m512)v);
  __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  __mmask16 nan = _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q);
  rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
  _mm256_storeu_si256((__m256i*)to, _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
#else
  for (int k = 0; k < lanes<float>; ++k) to[k] = to_bfloat16(v[k]);
#endif
}

// The first n lanes only, for the end of a row; the others are 0.
template <class S>
__attribute__((noinline)) auto load_some(const S* from, int n) {
  S row[sizeof(load(from)) / sizeof(to_real(S{}))] = {};
  std::memcpy(row, from, size_t(n) * sizeof(S));
  return load(row);
}
template <class S>
GLASSCELL_INLINE auto load(const S* from, int n) {
  constexpr int L = int(sizeof(load(from)) / sizeof(to_real(S{})));
  return __builtin_expect(n >= L, 1) ? load(from) : load_some(from, n);
}

template <class S, class V>
__attribute__((noinline)) void store_some(S* to, V v, int n) {
  S row[sizeof(V) / sizeof(to_real(S{}))];
  store(row, v);
  std::memcpy(to, row, size_t(n) * sizeof(S));
}
template <class S, class V>
GLASSCELL_INLINE void store(S* to, V v, int n) {
  constexpr int L = int(sizeof(V) / sizeof(to_real(S{})));
  if (__builtin_expect(n >= L, 1)) return store(to, v);
  store_some(to, v, n);
}

}  // namespace glasscell::GLASSCELL_VARIANT
