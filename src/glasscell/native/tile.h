// The inner product kernel: a tile of the result stays in registers while the sum runs.
//
//     acc (M rows, S vectors) += A (M rows, K) * panel (K, S vectors)
//
// A *panel* is a strip of a weight matrix, S vectors wide, stored so that the sum walks straight
// through it: [k][slot][lane]. One weight vector that is loaded serves all M rows; one number of
// A, broadcast, serves all S vectors. Every element of the result is summed in the order of k,
// whatever the tile's size, so results do not depend on how the work was cut.
#pragma once

#include <algorithm>

#include "vec.h"

namespace glasscell::GLASSCELL_VARIANT {

// An element of the sum: one number, or for bfloat16 dot products a pair of neighbours.
template <class E>
struct Operand {
  using Real = E;
  static constexpr int width = 1;
  static constexpr bool slow = false;  // whether a sum takes longer than one panel's others keep busy
  static GLASSCELL_INLINE Vec<E> splat_of(const E* a) { return splat(*a); }
  static GLASSCELL_INLINE Vec<E> weights(const E* panel) { return load(panel); }
  static GLASSCELL_INLINE Vec<E> step(Vec<E> a, Vec<E> w, Vec<E> acc) { return fma(a, w, acc); }
};

#if defined(__AVX512BF16__)
template <>
struct Operand<bfloat16_pair> {
  using Real = float;
  static constexpr int width = 2;
  static constexpr bool slow = true;
  static GLASSCELL_INLINE __m512bh splat_of(const bfloat16_pair* a) {
    return (__m512bh)_mm512_set1_epi32(int(a->bits));
  }
  static GLASSCELL_INLINE __m512bh weights(const bfloat16_pair* panel) {
    return (__m512bh)_mm512_loadu_si512(panel);
  }
  static GLASSCELL_INLINE Vec<float> step(__m512bh a, __m512bh w, Vec<float> acc) {
    return (Vec<float>)_mm512_dpbf16_ps((__m512)acc, a, w);
  }
};
#endif

// Rows of a tile: as many accumulators as leave registers for the weights and one broadcast. Where
// there are but 16 registers, some weights are read from memory by the multiplication itself.
template <int S>
constexpr int tile_rows = (vector_registers - 4) / S - (vector_registers == 32 && S == 4 ? 1 : 0);

// How A lies: rows of the sum (A[m * stride + k]) or columns of it (A[k * stride + m]).
enum class Along { row, column };

// Not inlined: its registers are all spoken for.
template <class E, int M, int S, Along along>
__attribute__((noinline)) void tile_of(const E* a, ptrdiff_t stride, const E* panel, ptrdiff_t K,
                    typename Operand<E>::Real* acc, ptrdiff_t acc_stride) {
  using O = Operand<E>;
  using R = typename O::Real;
  constexpr int L = lanes<R>;
  Vec<R> sum[M][S];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
    for (int s = 0; s < S; ++s) sum[m][s] = load(acc + m * acc_stride + s * L);
  for (ptrdiff_t k = 0; k < K; ++k) {
    decltype(O::weights(panel)) w[S];
#pragma GCC unroll 8
    for (int s = 0; s < S; ++s) w[s] = O::weights(panel + (k * S + s) * L);
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
      auto b = O::splat_of(along == Along::row ? a + m * stride + k : a + k * stride + m);
#pragma GCC unroll 8
      for (int s = 0; s < S; ++s) sum[m][s] = O::step(b, w[s], sum[m][s]);
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
    for (int s = 0; s < S; ++s) store(acc + m * acc_stride + s * L, sum[m][s]);
}

// One row against two neighbouring panels at once: where there is a single sequence, and a product
// takes its time, enough independent sums to keep the multipliers busy.
template <class E, int S>
inline void one_row(const E* a, const E* panel, ptrdiff_t panel_stride, ptrdiff_t K,
                    typename Operand<E>::Real* acc, ptrdiff_t acc_panel_stride) {
  using O = Operand<E>;
  using R = typename O::Real;
  constexpr int L = lanes<R>;
  const E* second = panel + panel_stride;
  R* acc2 = acc + acc_panel_stride;
  Vec<R> sum[2][S];
#pragma GCC unroll 8
  for (int s = 0; s < S; ++s) {
    sum[0][s] = load(acc + s * L);
    sum[1][s] = load(acc2 + s * L);
  }
  for (ptrdiff_t k = 0; k < K; ++k) {
    auto b = O::splat_of(a + k);
#pragma GCC unroll 8
    for (int s = 0; s < S; ++s) {
      sum[0][s] = O::step(b, O::weights(panel + (k * S + s) * L), sum[0][s]);
      sum[1][s] = O::step(b, O::weights(second + (k * S + s) * L), sum[1][s]);
    }
  }
#pragma GCC unroll 8
  for (int s = 0; s < S; ++s) {
    store(acc + s * L, sum[0][s]);
    store(acc2 + s * L, sum[1][s]);
  }
}

// A tile of M rows, M known at run time only.
template <class E, int S, Along along, int M = tile_rows<S>>
inline void tile(int rows, const E* a, ptrdiff_t stride, const E* panel, ptrdiff_t K,
                 typename Operand<E>::Real* acc, ptrdiff_t acc_stride) {
  if (rows == M) {
    tile_of<E, M, S, along>(a, stride, panel, K, acc, acc_stride);
  } else if constexpr (M > 1) {
    tile<E, S, along, M - 1>(rows, a, stride, panel, K, acc, acc_stride);
  }
}

// Calls body(first, count) for tiles of rows first .. end, all as nearly equal as they can be.
template <int S, class Body>
inline void for_tiles(int first, int end, const Body& body) {
  int rows = end - first;
  if (rows <= 0) return;
  int count = (rows + tile_rows<S> - 1) / tile_rows<S>;
  for (int i = 0; i < count; ++i) {
    int from = first + int(int64_t(rows) * i / count), to = first + int(int64_t(rows) * (i + 1) / count);
    body(from, to - from);
  }
}

}  // namespace glasscell::GLASSCELL_VARIANT
