// The backward of one step for one vector of units, as cells/*.py write it out.
#pragma once

#include "edits.h"
#include "pack.h"
#include "partition.h"
#include "squash.h"

namespace glasscell::GLASSCELL_VARIANT {

template <class Mode, Kind kind>
struct UnitGradients {
  using Store = typename Mode::Store;
  using Real = typename Mode::Real;
  using Element = typename Mode::Element;
  static constexpr int L = lanes<Real>;
  static constexpr int G = kind == Kind::lstm ? 4 : kind == Kind::gru ? 3 : 1;
  using V = Vec<Real>;

  UnitGradients(const Backward& f, const Panels& p, const Offsets& at, const GateColumns<Mode>& columns,
                bool projected, Real* carry, int first_row)
      : f(f), p(p), at(at), columns(columns), H(p.cell.H), projected(projected), carry(carry), first_row(first_row) {}

  // Token (t, b), four vectors of units from `unit` on: dL/dm_t (without what the loss puts on
  // h_t, unless projected) comes in `sums`, the gradients of the pre-activations go to `d`.
  template <bool edits>
  GLASSCELL_INLINE void run(int64_t t, int64_t b, int unit, const Real* sums, Element* d, Element* m) {
    const int64_t token = at.first[t] + b, before = at.previous(t, b);
    for (int s = 0; s < 4; ++s) {
      j = unit + s * L, n = std::min(L, H - j);
      if (n <= 0) break;
      const V sum = load(sums + s * L);
      if constexpr (kind == Kind::lstm) lstm<edits>(b, token, before, sum, d + j, m ? m + j : nullptr);
      if constexpr (kind == Kind::gru) gru<edits>(b, token, before, sum, d + j);
      if constexpr (kind == Kind::rnn) rnn<edits>(token, sum, d + j);
    }
  }

 private:
  template <bool edits>
  GLASSCELL_INLINE void lstm(int64_t b, int64_t token, int64_t before, V dm, Element* d, Element* m) const {
    const Store* gate = gates_at(f.gates, token);
    const V i = load(gate, n), fg = load(gate + H, n), g = load(gate + 2 * H, n), o = load(gate + 3 * H, n);
    const auto* cells = static_cast<const Real*>(f.c) + j;
    const V c_t = load(cells + token * H, n);
    const V c_prev = before >= 0 ? load(cells + before * H, n)
                                 : load(static_cast<const Store*>(f.c_0) + ptrdiff_t(b) * H + j, n);
    const V tanh_c = apply<Real>(Squash(p.cell.output_squash), c_t);
    if (!projected) dm = own<edits>(Edits::hidden, token, with_loss(dm, token));
    if (m) store(m, o * tanh_c, n);

    const V dO = added(dm * tanh_c, f.dgates, token, 3);
    const V do_own = own<edits>(3, token, dO), o_own = squashed<edits>(3, token, o);
    const V do_pre = added(do_own * slope<Real>(Squash(p.cell.squash[3]), o_own), f.dpre, token, 3);
    Real* back = carry + ptrdiff_t(b - first_row) * H + j;
    V dc = fma(dm * o, slope<Real>(Squash(p.cell.output_squash), tanh_c), load(back, n));
    if (f.dc) dc = dc + load(static_cast<const Real*>(f.dc) + token * H + j, n);
    dc = peeked(3, do_pre, dc);

    const V dc_own = own<edits>(Edits::cell, token, dc);
    const V di = added(dc_own * g, f.dgates, token, 0);
    const V df = added(dc_own * c_prev, f.dgates, token, 1);
    const V dg = added(dc_own * i, f.dgates, token, 2);
    const V di_own = own<edits>(0, token, di), i_own = squashed<edits>(0, token, i);
    const V df_own = own<edits>(1, token, df), f_own = squashed<edits>(1, token, fg);
    const V dg_own = own<edits>(2, token, dg), g_own = squashed<edits>(2, token, g);
    const V di_pre = added(di_own * slope<Real>(Squash(p.cell.squash[0]), i_own), f.dpre, token, 0);
    const V df_pre = added(df_own * slope<Real>(Squash(p.cell.squash[1]), f_own), f.dpre, token, 1);
    const V dg_pre = added(dg_own * slope<Real>(Squash(p.cell.squash[2]), g_own), f.dpre, token, 2);
    store(back, peeked(1, df_pre, peeked(0, di_pre, dc_own * fg)), n);

    const int stride = columns.stride;
    store(d, di_pre, n), store(d + stride, df_pre, n), store(d + 2 * stride, dg_pre, n), store(d + 3 * stride, do_pre, n);
    if (f.step_dc) store(static_cast<Real*>(f.step_dc) + token * H + j, dc, n);
    if (f.step_dgates) {
      Store* to = static_cast<Store*>(f.step_dgates) + token * 4 * H + j;
      store(to, di, n), store(to + H, df, n), store(to + 2 * H, dg, n), store(to + 3 * H, dO, n);
    }
  }

  template <bool edits>
  GLASSCELL_INLINE void gru(int64_t b, int64_t token, int64_t before, V dh, Element* d) const {
    const V one = splat(Real(1));
    const Store* gate = gates_at(f.gates, token);
    const V r = load(gate, n), z = load(gate + H, n), cand = load(gate + 2 * H, n);
    const V past = load(static_cast<const Store*>(f.q) + token * H + j, n);
    const V h_prev = before >= 0 ? load(static_cast<const Store*>(f.h) + before * H + j, n)
                                 : load(static_cast<const Store*>(f.h_0) + ptrdiff_t(b) * H + j, n);
    Real* back = carry + ptrdiff_t(b - first_row) * H + j;
    dh = own<edits>(Edits::hidden, token, with_loss(dh + load(back, n), token));

    const V dz = added(dh * (h_prev - cand), f.dgates, token, 1);
    const V dn = added(dh * (one - z), f.dgates, token, 2);
    const V dz_own = own<edits>(1, token, dz), z_own = squashed<edits>(1, token, z);
    const V dn_own = own<edits>(2, token, dn), n_own = squashed<edits>(2, token, cand);
    const V dz_pre = added(dz_own * slope<Real>(Squash(p.cell.squash[1]), z_own), f.dpre, token, 1);
    const V dn_pre = added(dn_own * slope<Real>(Squash(p.cell.squash[2]), n_own), f.dpre, token, 2);
    const V dq = dn_pre * r;
    const V dr = added(dn_pre * past, f.dgates, token, 0);
    const V dr_own = own<edits>(0, token, dr), r_own = squashed<edits>(0, token, r);
    const V dr_pre = added(dr_own * slope<Real>(Squash(p.cell.squash[0]), r_own), f.dpre, token, 0);
    store(back, dh * z, n);

    const int stride = columns.stride;
    store(d, dn_pre, n), store(d + stride, dr_pre, n), store(d + 2 * stride, dz_pre, n), store(d + 3 * stride, dq, n);
    if (f.step_dgates) {
      Store* to = static_cast<Store*>(f.step_dgates) + token * 3 * H + j;
      store(to, dr, n), store(to + H, dz, n), store(to + 2 * H, dn, n);
    }
  }

  template <bool edits>
  GLASSCELL_INLINE void rnn(int64_t token, V dh, Element* d) const {
    const V h = load(gates_at(f.gates, token), n);
    dh = added(with_loss(dh, token), f.dgates, token, 0);
    const V dh_own = own<edits>(Edits::hidden, token, dh), h_own = squashed<edits>(Edits::hidden, token, h);
    store(d, added(dh_own * slope<Real>(Squash(p.cell.squash[0]), h_own), f.dpre, token, 0), n);
    if (f.step_dgates) store(static_cast<Store*>(f.step_dgates) + token * H + j, dh, n);
  }

  // dL/dh_t in full: what comes back plus what the loss puts on it.
  GLASSCELL_INLINE V with_loss(V dh, int64_t token) const {
    if (f.dh) dh = dh + load(static_cast<const Store*>(f.dh) + token * H + j, n);
    if (f.step_dh) store(static_cast<Store*>(f.step_dh) + token * H + j, dh, n);
    return dh;
  }

  // dL/d(a quantity before its edit), from dL/d(what became of it).
  template <bool edits>
  GLASSCELL_INLINE V own(int slot, int64_t token, V dq) const {
    if constexpr (edits) return edited_backward<Mode>(f.edits.of[slot], token, H, j, n, dq);
    return dq;
  }

  // What came out of a gate's squash, before its edit. (An RNN's gate is its hidden state.)
  template <bool edits>
  GLASSCELL_INLINE V squashed(int slot, int64_t token, V gate) const {
    if constexpr (edits) {
      const Edit& edit = f.edits.of[slot];
      const int g = slot == Edits::hidden ? 0 : slot;
      if (edit.rows && edit.rows[token] >= 0)
        return apply<Real>(Squash(p.cell.squash[g]), load(gates_at(f.pre, token) + g * H, n));
    }
    return gate;
  }

  const Store* gates_at(const void* gates, int64_t token) const {
    return static_cast<const Store*>(gates) + token * G * H + j;
  }

  // Adds what the loss puts on gate g, if it does.
  GLASSCELL_INLINE V added(V value, const void* gradients, int64_t token, int g) const {
    return gradients ? value + load(gates_at(gradients, token) + g * H, n) : value;
  }

  // Adds what comes back through gate g's peephole.
  GLASSCELL_INLINE V peeked(int g, V dpre, V dc) const {
    const int row = p.cell.peephole[g];
    return row < 0 ? dc : fma(dpre, load(p.peepholes.template as<Real>() + ptrdiff_t(row) * H + j, n), dc);
  }

  const Backward& f;
  const Panels& p;
  const Offsets& at;
  const GateColumns<Mode>& columns;
  const int H;
  const bool projected;
  Real* const carry;    // of the rows from first_row on
  const int first_row;
  int j = 0, n = 0;  // the first unit of the vector at hand, and how many of its lanes are units
};

}  // namespace glasscell::GLASSCELL_VARIANT
