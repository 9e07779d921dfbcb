// How a dtype is computed: what tensors store, what sums and states are, what products take.
#pragma once

#include <type_traits>

#include "calls.h"
#include "tile.h"

namespace glasscell::GLASSCELL_VARIANT {

// Element: what an operand of a product is stored as; Operand<Pack>: what one step of a sum takes.
struct Float32 {
  using Store = float;
  using Real = float;
  using Element = float;
  using Pack = float;
};
struct Float64 {
  using Store = double;
  using Real = double;
  using Element = double;
  using Pack = double;
};
// bfloat16 tensors; sums and the cell state in float32. Where the processor has no dot product of
// bfloat16, operands are widened to float32 first.
struct BFloat16 {
  using Store = bfloat16;
  using Real = float;
  using Element = std::conditional_t<has_bfloat16_dot, bfloat16, float>;
  using Pack = std::conditional_t<has_bfloat16_dot, bfloat16_pair, float>;
};

template <class Mode>
constexpr int width = Operand<typename Mode::Pack>::width;
template <class Mode>
constexpr int lanes_of = lanes<typename Mode::Real>;

// Numbers along a sum, rounded up to whole operands.
template <class Mode>
constexpr ptrdiff_t padded(ptrdiff_t numbers) {
  return (numbers + width<Mode> - 1) / width<Mode> * width<Mode>;
}

// The distance between rows of an operand: a whole number of cache lines, and an odd one, so that
// rows do not fall on each other in the cache.
template <class Element>
constexpr ptrdiff_t row_stride(ptrdiff_t numbers) {
  constexpr ptrdiff_t line = 64 / ptrdiff_t(sizeof(Element));
  ptrdiff_t lines = (numbers + line - 1) / line;
  return (lines | 1) * line;
}

inline void to_store(bfloat16& to, bfloat16 v) { to = v; }

template <class To, class From>
inline void convert_row(To* to, const From* from, ptrdiff_t n) {
  if constexpr (std::is_same_v<To, From>) {
    std::memcpy(to, from, size_t(n) * sizeof(To));
  } else {
    constexpr ptrdiff_t L = lanes<float>;
    ptrdiff_t k = 0;
    for (; k + L <= n; k += L) store(to + k, load(from + k));
    if (k < n) store(to + k, load(from + k, int(n - k)), int(n - k));
  }
}

}  // namespace glasscell::GLASSCELL_VARIANT
