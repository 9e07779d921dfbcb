// The normalised cells' forward step (cells/layer_norm.py), a whole row at a time: a norm needs all
// units, so each thread has all units of its sequences.
#pragma once

#include <cmath>

#include "cell_forward.h"

namespace glasscell::GLASSCELL_VARIANT {

constexpr double norm_epsilon = 1e-5;

// The sum of the lanes: of each half with the other, and so on.
template <class R>
GLASSCELL_INLINE R lanes_sum(Vec<R> v) {
  R part[lanes<R>];
  store(part, v);
#pragma GCC unroll 8
  for (int half = lanes<R> / 2; half > 0; half /= 2)
#pragma GCC unroll 8
    for (int l = 0; l < half; ++l) part[l] += part[l + half];
  return part[0];
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
  Moments(const R* c, int H) {
    constexpr int L = lanes<R>;
    Vec<R> sum{};
    for (int j = 0; j < H; j += L) sum = sum + load(c + j, std::min(L, H - j));
    mean = lanes_sum<R>(sum) / R(H);
    Vec<R> squares{};
    for (int j = 0; j < H; j += L) {
      const int n = std::min(L, H - j);
      R off[L];
      store(off, load(c + j, n) - splat(mean));
      const Vec<R> d = load(off, n);
      squares = fma(d, d, squares);
    }
    inverse = R(1) / std::sqrt(lanes_sum<R>(squares) / R(H) + R(norm_epsilon));
  }
  R mean, inverse;
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
      block(sums, panel_stride, token, term, 0, 2, 0);
      block(sums, panel_stride, token, term, 2, 3, 1);
    } else {
      block(sums, panel_stride, token, term, 0, G, 0);
    }
  }

  // One row, from its normalised sums.
  void row(const Rows& now, int r, const Real* from_x, const Real* from_h, ptrdiff_t x_stride, ptrdiff_t h_stride,
           Real* outputs) const {
    if constexpr (is_gru(kind)) {
      gru(now, r, from_x, from_h, x_stride, h_stride);
    } else {
      lstm(now, r, from_x, from_h, x_stride, h_stride, outputs);
    }
  }

 private:
  static size_t kept_width(int H) { return size_t(2 * G) * H + 4; }

  void block(Real* sums, ptrdiff_t panel_stride, int64_t token, int term, int first, int end, int which) const {
    const int H = this->H;
    const Real count = Real(H) * Real(end - first);
    V sum{};
    for (int u = 0; u < panels; ++u)  // lanes beyond H are 0
      for (int g = first; g < end; ++g) sum = sum + load(sums + u * panel_stride + g * L);
    const V mean = splat(lanes_sum<Real>(sum) / count);
    V squares{};
    for (int u = 0; u < panels; ++u) {
      const int n = std::min(L, H - u * L);
      for (int g = first; g < end; ++g) {
        Real* at = sums + u * panel_stride + g * L;
        const V off = load(at) - mean;
        store(at, off, n);
        const V real = load(at);
        squares = fma(real, real, squares);
      }
    }
    const Real inverse = Real(1) / std::sqrt(lanes_sum<Real>(squares) / count + Real(norm_epsilon));
    auto* kept = static_cast<Store*>(this->f.q);
    if (kept) kept += token * ptrdiff_t(kept_width(H));
    for (int u = 0; u < panels; ++u) {
      const int j = u * L, n = std::min(L, H - j);
      for (int g = first; g < end; ++g) {
        Real* at = sums + u * panel_stride + g * L;
        const V hat = load(at) * splat(inverse);
        store(at, hat);
        if (kept) store(kept + (ptrdiff_t(term) * G + g) * H + j, hat, n);
      }
    }
    if (kept) to_store(kept[2 * G * H + 2 * term + which], inverse);
  }

  // a * norm + b of gate g, from one of the two terms.
  GLASSCELL_INLINE V scaled(const Norms<Real>& norms, int term, const Real* sums, int g, int j, int n) const {
    const ptrdiff_t at = ptrdiff_t(g) * this->H + j;
    return fma(load(norms.gain[term] + at, n), load(sums + g * L), load(norms.bias[term] + at, n));
  }

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
      const Draws<Real> draws = this->draws_of(token, j);
      V value[4];
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) {
        const V v = scaled(norms, 0, x, g, j, n) + scaled(norms, 1, h, g, j, n);
        value[g] = this->gate(g, token, j, n, v, draws);
        if (gates) store(gates + (token * 4 + g) * H + j, value[g], n);
        if (pres) store(pres + (token * 4 + g) * H + j, v, n);
      }
      const V fresh = fma(value[1], c_prev, value[0] * value[2]);
      const V shown_c = this->changed(Edits::cell, token, j, n, fresh);
      V c_t = shown_c;
      if (this->zoneout)  // what is shown is not what is held
        c_t = this->changed(Edits::cell, token, j, n, held<Real>(this->staying_of(token, j).cell, fresh, c_prev));
      store(shown + j, shown_c);
      store(state + j, c_t, n);
      if (cells) store(cells + token * H + j, c_t, n);
      store(outputs + j, value[3]);
    }
    const Moments<Real> moments(shown, H);
    for (int u = 0; u < panels; ++u) {
      const int j = u * L, n = std::min(L, H - j);
      const V hat = (load(shown + j, n) - splat(moments.mean)) * splat(moments.inverse);
      const V y = fma(load(norms.cell_gain + j, n), hat, load(norms.cell_shift + j, n));
      const V m_t = load(outputs + j) * apply<Real>(Squash(this->p.cell.output_squash), y);
      this->show(now, r, j, n, m_t, this->staying_of(token, j));
    }
  }

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
      const Draws<Real> draws = this->draws_of(token, j);
      const V r_pre = scaled(norms, 0, x, 0, j, n) + scaled(norms, 1, h, 0, j, n);
      const V z_pre = scaled(norms, 0, x, 1, j, n) + scaled(norms, 1, h, 1, j, n);
      const V reset = this->gate(0, token, j, n, r_pre, draws), z = this->gate(1, token, j, n, z_pre, draws);
      const V n_pre = fma(reset, scaled(norms, 1, h, 2, j, n), scaled(norms, 0, x, 2, j, n));
      const V cand = this->gate(2, token, j, n, n_pre, draws);
      Real* state = now.state + ptrdiff_t(r) * H + j;
      const V h_prev = load(state, n);
      V h_t = fma(z, h_prev, (one - z) * cand);
      if (this->zoneout) h_t = held<Real>(this->staying_of(token, j).hidden, h_t, h_prev);
      h_t = this->changed(Edits::hidden, token, j, n, h_t);
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
