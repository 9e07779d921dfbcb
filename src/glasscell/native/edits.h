// Edits inside the recurrence, as cells/edits.py defines them.
#pragma once

#include "precision.h"

namespace glasscell::GLASSCELL_VARIANT {

// The row of a table that edits a quantity of a token; null where nothing does.
template <class Store>
GLASSCELL_INLINE const Store* row_of(const Edit& edit, const void* table, int64_t token, ptrdiff_t width) {
  if (!edit.rows || edit.rows[token] < 0) return nullptr;
  return static_cast<const Store*>(table) + edit.rows[token] * width;
}

// q' from q, for n units of a token, from unit j on.
template <class Mode>
GLASSCELL_INLINE Vec<typename Mode::Real> edited(const Edit& edit, int64_t token, ptrdiff_t width, int j, int n,
                                                 Vec<typename Mode::Real> q) {
  using Store = typename Mode::Store;
  const Store* scales = row_of<Store>(edit, edit.scale, token, width);
  if (!scales) return q;
  const auto scale = load(scales + j, n), shift = load(row_of<Store>(edit, edit.shift, token, width) + j, n);
  return scale != scale ? shift : fma(scale, q, shift);  // NaN replaces
}

// dL/dq from dL/dq'.
template <class Mode>
GLASSCELL_INLINE Vec<typename Mode::Real> edited_backward(const Edit& edit, int64_t token, ptrdiff_t width, int j,
                                                          int n, Vec<typename Mode::Real> dq) {
  using Store = typename Mode::Store;
  const Store* scales = row_of<Store>(edit, edit.scale, token, width);
  if (!scales) return dq;
  const auto scale = load(scales + j, n);
  return scale != scale ? Vec<typename Mode::Real>{} : scale * dq;
}

}  // namespace glasscell::GLASSCELL_VARIANT
