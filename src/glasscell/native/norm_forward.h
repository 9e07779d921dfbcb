// The normalised cells' forward step (cells/layer_norm.py), a whole row at a time: a norm needs all
// units, so each thread has all units of its sequences.
#pragma once

#include <cmath>

#include "cell_forward.h"

namespace glasscell::GLASSCELL_VARIANT {

constexpr double norm_epsilon = 1e-5;

// The sum of some vectors, which several additions at a time have filled.
template <class R, int count>
GLASSCELL_INLINE Vec<R> summed(const Vec<R> (&parts)[count]) {
  Vec<R> sum = parts[0];
  for (int k = 1; k < count; ++k) sum = sum + parts[k];
  return lanes_sum<R>(sum);
}

// 1 / deviation, from the sum of `count` squares.
template <class R>
GLASSCELL_INLINE Vec<R> inverse_deviation(Vec<R> squares, R count) {
  return splat(R(1) / std::sqrt(squares[0] / count + R(norm_epsilon)));
}

// Where a normalised cell's gains, biases and the norm of its cell state lie in `Panels::norms`.
template <class R>
struct Norms {
  Norms(const Panels& p, int G, int H) {
    const ptrdiff_t rows = ptrdiff_t(G) * H;
    gain[0] = p.norms.as<R>(), gain[1] = gain[0] + rows;
    bias[0] = gain[1] + rows, bias[1] = bias[0] + rows;
    cell_gain = bias[1] + rows, cell_shift = cell_gain + H;
  }
  const R *gain[2], *bias[2];  // of W x and U h, (G, H)
  const R *cell_gain, *cell_shift;
};

// Mean and 1 / deviation of the cell states of one token.
template <class R>
struct Moments {
  GLASSCELL_INLINE Moments(const R* c, int H) {
    constexpr int L = lanes<R>;
    Vec<R> sum{};
    for (int j = 0; j < H; j += L) sum = sum + load(c + j, std::min(L, H - j));
    mean = lanes_sum<R>(sum) / splat(R(H));
    Vec<R> squares{};
    for (int j = 0; j < H; j += L) {
      const int n = std::min(L, H - j);
      const Vec<R> off = first_lanes<R>(load(c + j, n) - mean, n);
      squares = fma(off, off, squares);
    }
    inverse = inverse_deviation<R>(lanes_sum<R>(squares), R(H));
  }
  GLASSCELL_INLINE Vec<R> normal(Vec<R> c) const { return (c - mean) * inverse; }

  Vec<R> mean, inverse;
};

template <class Mode, Kind kind>
class NormSteps : public UnitSteps<Mode, kind> {
  using Base = UnitSteps<Mode, kind>;
  using Store = typename Mode::Store;
  using Real = typename Mode::Real;
  using Element = typename Mode::Element;
  static constexpr int L = lanes<Real>, G = gates_of(kind);
  using V = Vec<Real>;

 public:
  using Rows = typename Base::Rows;
  static constexpr int S = G, units_of_panel = L;

  NormSteps(const Forward& f, const Offsets& at, ptrdiff_t h_stride, ptrdiff_t m_stride)
      : Base(f, at, h_stride, m_stride), panels((this->H + L - 1) / L) {}

  // Normalises the sums of one token in place, and keeps what came of it as term 0, W x, or 1, U h.
  void normalise(Real* sums, ptrdiff_t panel_stride, int64_t token, int term) const {
    if constexpr (is_gru(kind)) {  // the gates together, and the candidate by itself
      block<0, 2>(sums, panel_stride, token, term, 0);
      block<2, 3>(sums, panel_stride, token, term, 1);
    } else {
      block<0, G>(sums, panel_stride, token, term, 0);
    }
  }

  // One row, from its normalised sums.
  void row(const Rows& now, int r, const Real* from_x, const Real* from_h, ptrdiff_t x_stride, ptrdiff_t h_stride,
           Real* outputs) const {
    on_path<kind>(this->path, [&](auto known) __attribute__((always_inline)) {
      constexpr bool plain = known.value == Path::plain;
      if constexpr (is_gru(kind)) {
        gru<plain>(now, r, from_x, from_h, x_stride, h_stride);
      } else {
        lstm<plain>(now, r, from_x, from_h, x_stride, h_stride, outputs);
      }
    });
  }

 private:
  // Gates first .. end, which are normalised together. Each has a sum of its own, so that no addition
  // waits for the one before.
  template <int first, int end>
  void block(Real* sums, ptrdiff_t panel_stride, int64_t token, int term, int which) const {
    constexpr int gates = end - first;
    const int H = this->H;
    const Real count = Real(H) * Real(gates);
    V sum[gates] = {}, squares[gates] = {};
    auto each = [&](const auto& body) __attribute__((always_inline)) {
      for (int u = 0; u < panels; ++u)
#pragma GCC unroll 4
        for (int k = 0; k < gates; ++k)
          body(u * L, std::min(L, H - u * L), k, sums + u * panel_stride + (first + k) * L);
    };
    each([&](int, int, int k, Real* at) { sum[k] = sum[k] + load(at); });  // lanes beyond H are 0
    const V mean = summed<Real>(sum) / splat(count);
    each([&](int, int n, int k, Real* at) {
      const V off = first_lanes<Real>(load(at) - mean, n);
      squares[k] = fma(off, off, squares[k]);
    });
    const V inverse = inverse_deviation<Real>(summed<Real>(squares), count);
    auto* kept = static_cast<Store*>(this->f.q);
    if (kept) kept += token * kept_width(G, H);
    each([&](int j, int n, int k, Real* at) {
      const V hat = (load(at) - mean) * inverse;
      store(at, hat);
      if (kept) store(kept + (ptrdiff_t(term) * G + first + k) * H + j, hat, n);
    });
    if (kept) to_store(kept[2 * G * H + 2 * term + which], inverse[0]);
  }

  // a * norm + b of gate g, from one of the two terms.
  GLASSCELL_INLINE V scaled(const Norms<Real>& norms, int term, const Real* sums, int g, int j, int n) const {
    const ptrdiff_t at = ptrdiff_t(g) * this->H + j;
    return fma(load(norms.gain[term] + at, n), load(sums + g * L), load(norms.bias[term] + at, n));
  }

  template <bool plain>
  void lstm(const Rows& now, int r, const Real* from_x, const Real* from_h, ptrdiff_t x_stride, ptrdiff_t h_stride,
            Real* outputs) const {
    const Forward& f = this->f;
    const int H = this->H;
    const Norms<Real> norms(this->p, G, H);
    auto* gates = static_cast<Store*>(f.gates);
    auto* pres = static_cast<Store*>(f.pre);
    auto* cells = static_cast<Real*>(f.c);
    const int64_t token = now.token + r;
    Real* state = now.state + ptrdiff_t(r) * H;
    Real* shown = outputs + ptrdiff_t(panels) * L;
    for (int u = 0; u < panels; ++u) {
      const int j = u * L, n = std::min(L, H - j);
      const Real *x = from_x + u * x_stride, *h = from_h + u * h_stride;
      const V c_prev = load(state + j, n);
      const Draws<Real> draws = plain ? Draws<Real>{} : this->draws_of(token, j);
      V value[4];
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) {
        const V v = scaled(norms, 0, x, g, j, n) + scaled(norms, 1, h, g, j, n);
        value[g] = this->template gate<plain>(g, token, j, n, v, draws);
        if (gates) store(gates + (token * 4 + g) * H + j, value[g], n);
        if (pres) store(pres + (token * 4 + g) * H + j, v, n);
      }
      const V fresh = fma(value[1], c_prev, value[0] * value[2]);
      const V shown_c = this->template changed<plain>(Edits::cell, token, j, n, fresh);
      V c_t = shown_c;
      if (!plain && this->zoneout)  // what is shown is not what is held
        c_t = this->changed(Edits::cell, token, j, n, held<Real>(this->staying_of(token, j).cell, fresh, c_prev));
      store(shown + j, shown_c);
      store(state + j, c_t, n);
      if (cells) store(cells + token * H + j, c_t, n);
      store(outputs + j, value[3]);
    }
    const Moments<Real> moments(shown, H);
    for (int u = 0; u < panels; ++u) {
      const int j = u * L, n = std::min(L, H - j);
      const V hat = moments.normal(load(shown + j, n));
      const V y = fma(load(norms.cell_gain + j, n), hat, load(norms.cell_shift + j, n));
      const V m_t = load(outputs + j) * apply<Real>(Squash(this->p.cell.output_squash), y);
      this->template show<plain>(now, r, j, n, m_t, plain ? Staying<Real>{} : this->staying_of(token, j));
    }
  }

  template <bool plain>
  void gru(const Rows& now, int r, const Real* from_x, const Real* from_h, ptrdiff_t x_stride,
           ptrdiff_t h_stride) const {
    const Forward& f = this->f;
    const int H = this->H;
    const Norms<Real> norms(this->p, G, H);
    auto* gates = static_cast<Store*>(f.gates);
    auto* pres = static_cast<Store*>(f.pre);
    const int64_t token = now.token + r;
    const V one = splat(Real(1));
    for (int u = 0; u < panels; ++u) {
      const int j = u * L, n = std::min(L, H - j);
      const Real *x = from_x + u * x_stride, *h = from_h + u * h_stride;
      const Draws<Real> draws = plain ? Draws<Real>{} : this->draws_of(token, j);
      const V r_pre = scaled(norms, 0, x, 0, j, n) + scaled(norms, 1, h, 0, j, n);
      const V z_pre = scaled(norms, 0, x, 1, j, n) + scaled(norms, 1, h, 1, j, n);
      const V reset = this->template gate<plain>(0, token, j, n, r_pre, draws);
      const V z = this->template gate<plain>(1, token, j, n, z_pre, draws);
      const V n_pre = fma(reset, scaled(norms, 1, h, 2, j, n), scaled(norms, 0, x, 2, j, n));
      const V cand = this->template gate<plain>(2, token, j, n, n_pre, draws);
      Real* state = now.state + ptrdiff_t(r) * H + j;
      const V h_prev = load(state, n);
      V h_t = fma(z, h_prev, (one - z) * cand);
      if (!plain && this->zoneout) h_t = held<Real>(this->staying_of(token, j).hidden, h_t, h_prev);
      h_t = this->template changed<plain>(Edits::hidden, token, j, n, h_t);
      if (gates) {
        Store* to = gates + token * 3 * H + j;
        store(to, reset, n), store(to + H, z, n), store(to + 2 * H, cand, n);
      }
      if (pres) {
        Store* to = pres + token * 3 * H + j;
        store(to, r_pre, n), store(to + H, z_pre, n), store(to + 2 * H, n_pre, n);
      }
      store(state, h_t, n);
      this->emit(now, r, j, n, h_t);
    }
  }

  const int panels;
};

}  // namespace glasscell::GLASSCELL_VARIANT
