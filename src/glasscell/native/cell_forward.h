// One step of the cells' equations, for the units of a panel whose sums are ready.
#pragma once

#include "edits.h"
#include "pack.h"
#include "squash.h"

namespace glasscell::GLASSCELL_VARIANT {

template <class Mode, Kind kind>
class UnitSteps {
  using Store = typename Mode::Store;
  using Real = typename Mode::Real;
  using Element = typename Mode::Element;
  static constexpr int L = lanes<Real>;

 public:
  static constexpr int S = kind == Kind::gru ? 3 : 4;  // vectors of a panel
  static constexpr int units_of_panel = kind == Kind::rnn ? 4 * L : L;

  // The sequences of a step, as rows.
  struct Rows {
    int64_t token;  // of the first, among all
    int count;
    Real* state;    // (row, H): c_{t-1}, and then c_t; or the GRU's h, not rounded
    Element* next;  // (row, h_stride): h_t, as the next step's product reads it
    Element* m;     // (row, m_stride): what is projected
    Real* q;        // (row, L): the GRU's U_n h + b_n
  };

  UnitSteps(const Forward& f, ptrdiff_t h_stride, ptrdiff_t m_stride)
      : f(f), p(*f.panels), H(p.cell.H), P(p.cell.P), h_stride(h_stride), m_stride(m_stride),
        projected(p.v.bytes() > 0) {}

  // The units of panel u, from its sums (row, S * L).
  void run(int u, const Rows& now, const Real* sums) const {
    if (f.edits.any) {
      run<true>(u, now, sums);
    } else {
      run<false>(u, now, sums);
    }
  }

  // What the projection gave for some numbers of one row.
  void emit_projected(const Rows& now, int r, int j, int n, Vec<Real> h_t) const {
    if (f.edits.any) h_t = edited<Mode>(f.edits.of[Edits::hidden], now.token + r, P, j, n, h_t);
    emit(now, r, j, n, h_t);
  }

 private:
  template <bool edits>
  void run(int u, const Rows& now, const Real* sums) const {
    if constexpr (kind == Kind::lstm) lstm<edits>(u, now, sums);
    if constexpr (kind == Kind::gru) gru<edits>(u, now, sums);
    if constexpr (kind == Kind::rnn) rnn<edits>(u, now, sums);
  }

  // A quantity after its edit, if there is one.
  template <bool edits>
  GLASSCELL_INLINE Vec<Real> changed(int slot, int64_t token, int j, int n, Vec<Real> q) const {
    if constexpr (edits) return edited<Mode>(f.edits.of[slot], token, H, j, n, q);
    return q;
  }

  // Some units' h_t of one row, to the caller and to the next step.
  void emit(const Rows& now, int r, int j, int n, Vec<Real> h_t) const {
    Store* h = static_cast<Store*>(f.h) + (now.token + r) * P + j;
    store(h, h_t, n);
    Element* next = now.next + r * h_stride + j;
    if constexpr (std::is_same_v<Store, Element>) {
      store(next, h_t, n);
    } else {
      convert_row(next, h, n);  // as rounded
    }
  }

  // The equations of cells/lstm.py.
  template <bool edits>
  void lstm(int u, const Rows& now, const Real* sums) const {
    const int j = u * L, n = std::min(L, H - j);
    auto* gates = static_cast<Store*>(f.gates);
    auto* pres = static_cast<Store*>(f.pre);
    auto* cells = static_cast<Real*>(f.c);
    const Real* peep[4];
    for (int g = 0; g < 4; ++g) {
      int row = p.cell.peephole[g];
      peep[g] = row < 0 ? nullptr : p.peepholes.template as<Real>() + ptrdiff_t(row) * H + j;
    }
    const Squash out_squash = Squash(p.cell.output_squash);
    for (int r = 0; r < now.count; ++r) {
      const Real* acc = sums + r * S * L;
      const int64_t row = now.token + r;
      Real* state = now.state + ptrdiff_t(r) * H + j;
      Vec<Real> c_prev = load(state, n);
      Vec<Real> i_pre = load(acc), f_pre = load(acc + L), g_pre = load(acc + 2 * L), o_pre = load(acc + 3 * L);
      if (peep[0]) i_pre = fma(load(peep[0], n), c_prev, i_pre);
      if (peep[1]) f_pre = fma(load(peep[1], n), c_prev, f_pre);
      Vec<Real> i = changed<edits>(0, row, j, n, apply<Real>(Squash(p.cell.squash[0]), i_pre));
      Vec<Real> fg = changed<edits>(1, row, j, n, apply<Real>(Squash(p.cell.squash[1]), f_pre));
      Vec<Real> g = changed<edits>(2, row, j, n, apply<Real>(Squash(p.cell.squash[2]), g_pre));
      Vec<Real> c_t = changed<edits>(Edits::cell, row, j, n, fma(fg, c_prev, i * g));
      if (peep[3]) o_pre = fma(load(peep[3], n), c_t, o_pre);
      Vec<Real> o = changed<edits>(3, row, j, n, apply<Real>(Squash(p.cell.squash[3]), o_pre));
      Vec<Real> m_t = o * apply<Real>(out_squash, c_t);
      store(state, c_t, n);
      if (cells) store(cells + row * H + j, c_t, n);
      if (gates) {
        Store* to = gates + row * 4 * H + j;
        store(to, i, n), store(to + H, fg, n), store(to + 2 * H, g, n), store(to + 3 * H, o, n);
      }
      if (pres) {
        Store* to = pres + row * 4 * H + j;
        store(to, i_pre, n), store(to + H, f_pre, n), store(to + 2 * H, g_pre, n), store(to + 3 * H, o_pre, n);
      }
      if (projected) {
        store(now.m + r * m_stride + j, m_t, n);
      } else {
        emit(now, r, j, n, changed<edits>(Edits::hidden, row, j, n, m_t));
      }
    }
  }

  // The equations of cells/gru.py.
  template <bool edits>
  void gru(int u, const Rows& now, const Real* sums) const {
    const int j = u * L, n = std::min(L, H - j);
    auto* gates = static_cast<Store*>(f.gates);
    auto* pres = static_cast<Store*>(f.pre);
    auto* pasts = static_cast<Store*>(f.q);
    const Vec<Real> one = splat(Real(1));
    for (int r = 0; r < now.count; ++r) {
      const Real* acc = sums + r * S * L;
      const int64_t row = now.token + r;
      Vec<Real> past = load(now.q + r * L);
      Vec<Real> r_pre = load(acc), z_pre = load(acc + L);
      Vec<Real> reset = changed<edits>(0, row, j, n, apply<Real>(Squash(p.cell.squash[0]), r_pre));
      Vec<Real> z = changed<edits>(1, row, j, n, apply<Real>(Squash(p.cell.squash[1]), z_pre));
      Vec<Real> n_pre = fma(reset, past, load(acc + 2 * L));
      Vec<Real> cand = changed<edits>(2, row, j, n, apply<Real>(Squash(p.cell.squash[2]), n_pre));
      Real* state = now.state + ptrdiff_t(r) * H + j;
      Vec<Real> h_t = changed<edits>(Edits::hidden, row, j, n, fma(z, load(state, n), (one - z) * cand));
      if (gates) {
        Store* to = gates + row * 3 * H + j;
        store(to, reset, n), store(to + H, z, n), store(to + 2 * H, cand, n);
      }
      if (pres) {
        Store* to = pres + row * 3 * H + j;
        store(to, r_pre, n), store(to + H, z_pre, n), store(to + 2 * H, n_pre, n);
      }
      if (pasts) store(pasts + row * H + j, past, n);
      store(state, h_t, n);
      emit(now, r, j, n, h_t);
    }
  }

  // The equations of cells/rnn.py.
  template <bool edits>
  void rnn(int u, const Rows& now, const Real* sums) const {
    auto* gates = static_cast<Store*>(f.gates);
    auto* pres = static_cast<Store*>(f.pre);
    for (int s = 0; s < 4; ++s) {
      const int j = u * units_of_panel + s * L, n = std::min(L, H - j);
      if (n <= 0) break;
      for (int r = 0; r < now.count; ++r) {
        const int64_t row = now.token + r;
        Vec<Real> h_pre = load(sums + r * S * L + s * L);
        Vec<Real> h_t = changed<edits>(Edits::hidden, row, j, n, apply<Real>(Squash(p.cell.squash[0]), h_pre));
        if (gates) store(gates + row * H + j, h_t, n);
        if (pres) store(pres + row * H + j, h_pre, n);
        emit(now, r, j, n, h_t);
      }
    }
  }

  const Forward& f;
  const Panels& p;
  const int H, P;
  const ptrdiff_t h_stride, m_stride;
  const bool projected;
};

}  // namespace glasscell::GLASSCELL_VARIANT
