// The backward of a normalised cell's step, a whole row at a time.
#pragma once

#include "cell_backward.h"
#include "norm_forward.h"

namespace glasscell::GLASSCELL_VARIANT {

template <class Mode, Kind kind>
class NormGradients : public UnitGradients<Mode, kind> {
  using Base = UnitGradients<Mode, kind>;
  using Store = typename Mode::Store;
  using Real = typename Mode::Real;
  using Element = typename Mode::Element;
  using V = Vec<Real>;
  static constexpr int L = lanes<Real>, G = gates_of(kind);

 public:
  using Base::Base;

  // Token (t, b): dL/dm_t (as `UnitGradients::run` takes it) comes in `dm` (H), and is written over;
  // the gradients of both terms and of their sums go to `d`. There is `room` for H numbers.
  void row(Path path, int64_t t, int64_t b, Real* dm, Real* room, Element* d, Element* m) {
    shown_c = room;
    const int64_t token = this->at.first[t] + b, before = this->at.previous(t, b);
    const int H = this->H;
    kept = static_cast<const Store*>(this->f.q) + token * kept_width(G, H);
    on_path<kind>(path, [&](auto known) __attribute__((always_inline)) {
      if constexpr (is_gru(kind)) {
        gru<known.value>(b, token, before, dm, d);
      } else {
        lstm<known.value>(b, token, before, dm, d, m);
      }
    });
  }

 private:
  // Vectors of the units in turn.
  template <class Body>
  GLASSCELL_INLINE void each(const Body& body) {
    for (this->j = 0; this->j < this->H; this->j += L) {
      this->n = std::min(L, this->H - this->j);
      body();
    }
  }

  GLASSCELL_INLINE V hat(int term, int g) const {
    return load(kept + (ptrdiff_t(term) * G + g) * this->H + this->j, this->n);
  }
  GLASSCELL_INLINE Element* column(Element* d, int first, int g) const {
    return d + first + g * this->columns.stride + this->j;
  }

  // From dL/d(a * norm + b) of both terms' gates to dL/d(each term), where those gates are one block.
  // The last gate's recurrent term has a gradient of its own in a GRU, in column `last_of_h`.
  template <int first, int end>
  GLASSCELL_INLINE void through_norms(const Norms<Real>& norms, int which, Element* d, int last_of_h) {
    constexpr int gates = end - first;
    const int H = this->H, stride = this->columns.stride;
    const Real count = Real(H) * Real(gates);
    const Element* pre = d + this->columns.pre_first;
    for (int term = 0; term < 2; ++term) {
      auto each = [&](const auto& body) __attribute__((always_inline)) {
        for (int j = 0; j < H; j += L)
#pragma GCC unroll 4
          for (int k = 0; k < gates; ++k) {
            const int g = first + k, n = std::min(L, H - j), from = term == 1 && g == G - 1 ? last_of_h : g;
            const ptrdiff_t at = ptrdiff_t(g) * H + j;
            const V dhat = load(pre + from * stride + j, n) * load(norms.gain[term] + at, n);
            body(j, n, k, dhat, load(kept + ptrdiff_t(term) * G * H + at, n));
          }
      };
      V sum[gates] = {}, along[gates] = {};
      each([&](int, int, int k, V dhat, V hat) __attribute__((always_inline)) {
        sum[k] = sum[k] + dhat;
        along[k] = fma(dhat, hat, along[k]);
      });
      const V inverse = splat(to_real(kept[2 * G * H + 2 * term + which]));
      const V mean = summed<Real>(sum) / splat(count), slope = summed<Real>(along) / splat(count);
      Element* to = d + term * this->columns.h_first;
      each([&](int j, int n, int k, V dhat, V hat) __attribute__((always_inline)) {
        store(to + (first + k) * stride + j, inverse * (dhat - mean - hat * slope), n);
      });
    }
  }

  template <Path path>
  void lstm(int64_t b, int64_t token, int64_t before, Real* dm, Element* d, Element* m) {
    const Norms<Real> norms(this->p, G, this->H);
    const auto& f = this->f;
    const int H = this->H, pre = this->columns.pre_first;
    const V one = splat(Real(1));
    constexpr bool plain = path == Path::plain;
    const bool holds_cell = !plain && f.noise.zoneout_cell;
    if (holds_cell) each([&] { store(shown_c + this->j, shown_cell(b, token, before), this->n); });
    const Real* c = holds_cell ? shown_c : static_cast<const Real*>(f.c) + token * H;
    const Moments<Real> moments(c, H);
    auto c_hat = [&]() __attribute__((always_inline)) { return moments.normal(load(c + this->j, this->n)); };
    auto unedited = [&](int slot, V dq) __attribute__((always_inline)) { return plain ? dq : this->own(slot, token, dq); };
    auto with_gate_loss = [&](int g, V dq) __attribute__((always_inline)) {
      dq = this->added(dq, f.dgates, token, g);
      if (f.step_dgates) store(static_cast<Store*>(f.step_dgates) + (token * 4 + g) * H + this->j, dq, this->n);
      return dq;
    };
    V sum{}, along{};
    each([&]() __attribute__((always_inline)) {
      const int n = this->n, j = this->j;
      const V o = load(this->gates_at(f.gates, token) + 3 * H, n);
      const V c = c_hat(), gain = load(norms.cell_gain + j, n);
      const V shown = apply<Real>(Squash(this->p.cell.output_squash), fma(gain, c, load(norms.cell_shift + j, n)));
      V d_out = load(dm + j, n);
      if (!this->projected)
        d_out = plain ? this->with_loss(d_out, token) : this->of_hidden(b, token, d_out, this->staying_of(token));
      if (m) store(m + j, o * shown, n);
      store(column(d, pre, 3), this->template before_squash<path>(token, 3, with_gate_loss(3, d_out * shown), o), n);
      const V dy = d_out * o * slope<Real>(Squash(this->p.cell.output_squash), shown);
      store(column(d, pre, 4), dy, n), store(column(d, pre, 5), c, n);
      const V dhat = dy * gain;
      store(dm + j, dhat, n);
      sum = sum + dhat, along = fma(dhat, c, along);
    });
    const V mean = lanes_sum<Real>(sum) / splat(Real(H)), slope_c = lanes_sum<Real>(along) / splat(Real(H));
    each([&]() __attribute__((always_inline)) {
      const int n = this->n, j = this->j;
      const Store* gate = this->gates_at(f.gates, token);
      const V i = load(gate, n), fg = load(gate + H, n), g = load(gate + 2 * H, n);
      const V c_prev = this->state_before(b, before);
      Real* back = this->carry_of(b);
      const V dshown = moments.inverse * (load(dm + j, n) - mean - c_hat() * slope_c);
      const V dc = this->state_with_loss(load(back, n), token);
      if (f.step_dc) store(static_cast<Real*>(f.step_dc) + token * H + j, dc + dshown, n);
      V dfresh = unedited(Edits::cell, dc), dheld{};
      if (holds_cell) {
        const V stays = this->staying_of(token).cell;
        dheld = stays * dfresh, dfresh = (one - stays) * dfresh;
      }
      dfresh = dfresh + unedited(Edits::cell, dshown);
      store(column(d, pre, 0), this->template before_squash<path>(token, 0, with_gate_loss(0, dfresh * g), i), n);
      store(column(d, pre, 1), this->template before_squash<path>(token, 1, with_gate_loss(1, dfresh * c_prev), fg), n);
      store(column(d, pre, 2), this->template before_squash<path>(token, 2, with_gate_loss(2, dfresh * i), g), n);
      store(back, fma(dfresh, fg, dheld), n);
    });
    through_norms<0, G>(norms, 0, d, G - 1);
  }

  template <Path path>
  void gru(int64_t b, int64_t token, int64_t before, const Real* dh_back, Element* d) {
    const Norms<Real> norms(this->p, G, this->H);
    const auto& f = this->f;
    const int H = this->H, pre = this->columns.pre_first;
    const V one = splat(Real(1));
    each([&]() __attribute__((always_inline)) {
      const int n = this->n, j = this->j;
      const Store* gate = this->gates_at(f.gates, token);
      const V r = load(gate, n), z = load(gate + H, n), cand = load(gate + 2 * H, n);
      const V h_prev = this->hidden_before(b, before);
      Real* back = this->h_carry + ptrdiff_t(b - this->first_row) * H + j;
      V dh = this->with_loss(load(dh_back + j, n) + load(back, n), token), dheld{};
      if constexpr (path != Path::plain) dh = this->own(Edits::hidden, token, dh);
      if (path != Path::plain && this->zoneout) {
        const V stays = this->staying_of(token).hidden;
        dheld = stays * dh, dh = (one - stays) * dh;
      }
      const V dz = this->added(dh * (h_prev - cand), f.dgates, token, 1);
      const V dn = this->added(dh * (one - z), f.dgates, token, 2);
      const V dn_pre = this->template before_squash<path>(token, 2, dn, cand);
      const ptrdiff_t of_q = ptrdiff_t(2) * H + j;
      const V q = fma(load(norms.gain[1] + of_q, n), hat(1, 2), load(norms.bias[1] + of_q, n));
      const V dr = this->added(dn_pre * q, f.dgates, token, 0);
      store(column(d, pre, 0), this->template before_squash<path>(token, 0, dr, r), n);
      store(column(d, pre, 1), this->template before_squash<path>(token, 1, dz, z), n);
      store(column(d, pre, 2), dn_pre, n);
      store(column(d, pre, 3), dn_pre * r, n);
      store(back, fma(dh, z, dheld), n);
      if (f.step_dgates) {
        Store* to = static_cast<Store*>(f.step_dgates) + token * 3 * H + j;
        store(to, dr, n), store(to + H, dz, n), store(to + 2 * H, dn, n);
      }
    });
    through_norms<0, 2>(norms, 0, d, G);
    through_norms<2, 3>(norms, 1, d, G);
  }

  // The cell state as the hidden state shows it, where it is not what was held.
  GLASSCELL_INLINE V shown_cell(int64_t b, int64_t token, int64_t before) const {
    const Store* gate = this->gates_at(this->f.gates, token);
    const int H = this->H, n = this->n;
    const V fresh = fma(load(gate + H, n), this->state_before(b, before), load(gate, n) * load(gate + 2 * H, n));
    return this->shown_state(Edits::cell, token, 0, fresh);
  }

  const Store* kept = nullptr;  // norm(W x), norm(U h) and what they were divided by, of the token at hand
  Real* shown_c = nullptr;
};

}  // namespace glasscell::GLASSCELL_VARIANT
