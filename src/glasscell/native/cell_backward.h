// The backward of one step for one vector of units, as cells/*.py write it out.
#pragma once

#include "edits.h"
#include "noise.h"
#include "pack.h"
#include "partition.h"
#include "squash.h"

namespace glasscell::GLASSCELL_VARIANT {

template <class Mode, Kind kind>
class UnitGradients {
 protected:
  using Store = typename Mode::Store;
  using Real = typename Mode::Real;
  using Element = typename Mode::Element;
  static constexpr int L = lanes<Real>;
  static constexpr int G = gates_of(kind), C = carried_of(kind);
  using V = Vec<Real>;

 public:
  UnitGradients(const Backward& f, const Panels& p, const Offsets& at, const GateColumns<Mode>& columns,
                const Keys& keys, bool projected, Real* carry, Real* h_carry, int first_row)
      : f(f), p(p), at(at), columns(columns), keys(keys), H(p.cell.H), projected(projected),
        drawn(draws_gates(p.cell, f.noise)), zoneout(holds_states(f.noise)), carry(carry),
        h_carry(h_carry), first_row(first_row) {}

  // Token (t, b), four vectors of units from `unit` on: dL/dm_t (without what the loss puts on
  // h_t, unless projected) comes in `sums`, the gradients of the pre-activations go to `d`.
  template <Path path>
  GLASSCELL_INLINE void run(int64_t t, int64_t b, int unit, const Real* sums, Element* d, Element* m) {
    constexpr bool plain = path == Path::plain;
    const int64_t token = at.first[t] + b, before = at.previous(t, b);
#pragma GCC unroll 1  // four copies of the equations would not fit where a core keeps what it decoded
    for (int s = 0; s < 4; ++s) {
      j = unit + s * L, n = std::min(L, H - j);
      if (n <= 0) break;
      const V sum = load(sums + s * L);
      Element* const m_j = m ? m + j : nullptr;
      if constexpr (kind == Kind::lstm && path != Path::any) lstm<path>(b, token, before, sum, d + j, m_j);
      if constexpr (is_lstm(kind) && path == Path::any) varied_lstm(b, token, before, sum, d + j, m_j);
      if constexpr (kind == Kind::slstm) slstm<plain>(b, token, before, sum, d + j, m_j);
      if constexpr (is_gru(kind) && kind != Kind::norm_gru) gru<plain>(b, token, before, sum, d + j);
      if constexpr (kind == Kind::rnn) rnn<plain>(b, token, before, sum, d + j);
    }
  }

 protected:
  // Where all gates are there, and nothing is edited.
  template <Path path>
  GLASSCELL_INLINE void lstm(int64_t b, int64_t token, int64_t before, V dm, Element* d, Element* m) const {
    const Store* gate = gates_at(f.gates, token);
    const V i = load(gate, n), fg = load(gate + H, n), g = load(gate + 2 * H, n), o = load(gate + 3 * H, n);
    const V c_prev = state_before(b, before), c_t = path == Path::held ? fma(fg, c_prev, i * g) : state_at(token);
    const V tanh_c = apply<Real>(Squash(p.cell.output_squash), c_t);
    Staying<Real> staying;
    if constexpr (path == Path::held) staying = Staying<Real>(f.noise, keys, token, j);
    if (!projected) dm = path == Path::held ? of_hidden(b, token, dm, staying) : with_loss(dm, token);
    if (m) store(m, o * tanh_c, n);

    const V dO = added(dm * tanh_c, f.dgates, token, 3);
    const V do_pre = before_squash<path>(token, 3, dO, o);
    Real* back = carry_of(b);
    const V dshown = dm * o * slope<Real>(Squash(p.cell.output_squash), tanh_c);
    V dc = peeked(3, do_pre, state_with_loss(load(back, n), token)), dheld{};
    if (f.step_dc) store(static_cast<Real*>(f.step_dc) + token * H + j, dc + dshown, n);
    if constexpr (path == Path::held) dheld = staying.cell * dc, dc = (splat(Real(1)) - staying.cell) * dc;
    dc = dc + dshown;

    const V di = added(dc * g, f.dgates, token, 0);
    const V df = added(dc * c_prev, f.dgates, token, 1);
    const V dg = added(dc * i, f.dgates, token, 2);
    const V di_pre = before_squash<path>(token, 0, di, i), df_pre = before_squash<path>(token, 1, df, fg);
    const V dg_pre = before_squash<path>(token, 2, dg, g);
    store(back, peeked(1, df_pre, peeked(0, di_pre, fma(dc, fg, dheld))), n);

    const int stride = columns.stride;
    store(d, di_pre, n), store(d + stride, df_pre, n), store(d + 2 * stride, dg_pre, n), store(d + 3 * stride, do_pre, n);
    if (f.step_dgates) {
      Store* to = static_cast<Store*>(f.step_dgates) + token * 4 * H + j;
      store(to, di, n), store(to + H, df, n), store(to + 2 * H, dg, n), store(to + 3 * H, dO, n);
    }
  }

  GLASSCELL_INLINE void varied_lstm(int64_t b, int64_t token, int64_t before, V dm, Element* d, Element* m) const {
    const V one = splat(Real(1));
    const Store* gate = gates_at(f.gates, token);
    const int* slot = p.cell.slot;
    auto value = [&](int g) { return g < 0 ? one : load(gate + g * H, n); };
    const V i = value(slot[0]), fg = value(slot[1]), g = value(slot[2]), o = value(slot[3]);
    const V c_prev = state_before(b, before);
    const Shares<Real> shares = shared<Real>(p.cell, i, fg);
    const V c_shown = shown_state(Edits::cell, token, 0, fma(shares.kept, c_prev, shares.written * g));
    const V shown = apply<Real>(Squash(p.cell.output_squash), c_shown);
    const Staying<Real> staying = staying_of(token);
    if (!projected) dm = of_hidden(b, token, dm, staying);
    if (m) store(m, o * shown, n);

    // dL/d(what went into gate g's squash), from dL/d(the gate) without what the loss puts on it
    auto closed = [&](int g, V dq, V own) __attribute__((always_inline)) {
      if (g < 0) return V{};
      dq = added(dq, f.dgates, token, g);
      if (f.step_dgates) store(static_cast<Store*>(f.step_dgates) + (token * G + g) * H + j, dq, n);
      const V dpre = before_squash(token, g, dq, own);
      store(d + g * columns.stride, dpre, n);
      return dpre;
    };
    const V do_pre = closed(slot[3], dm * shown, o);
    Real* back = carry_of(b);
    const V dshown = dm * o * slope<Real>(Squash(p.cell.output_squash), shown);
    const V dc = peeked(slot[3], do_pre, state_with_loss(load(back, n), token));
    if (f.step_dc) store(static_cast<Real*>(f.step_dc) + token * H + j, dc + dshown, n);

    V dfresh = own(Edits::cell, token, dc), dheld{};
    if (f.noise.zoneout_cell) dheld = staying.cell * dfresh, dfresh = (one - staying.cell) * dfresh;
    dfresh = dfresh + own(Edits::cell, token, dshown);
    const Shares<Real> dshares = shared_backward<Real>(p.cell, dfresh * g, dfresh * c_prev, i, fg);
    closed(slot[2], dfresh * shares.written, g);
    const V di_pre = closed(slot[0], dshares.written, i), df_pre = closed(slot[1], dshares.kept, fg);
    store(back, peeked(slot[1], df_pre, peeked(slot[0], di_pre, fma(dfresh, shares.kept, dheld))), n);
  }

  template <bool plain>
  GLASSCELL_INLINE void slstm(int64_t b, int64_t token, int64_t before, V dm, Element* d, Element* m) const {
    const V one = splat(Real(1));
    const Store* gate = gates_at(f.gates, token);
    const V i = load(gate, n), fg = load(gate + H, n), g = load(gate + 2 * H, n), o = load(gate + 3 * H, n);
    const bool holds_cell = !plain && f.noise.zoneout_cell;
    const Store* const q = static_cast<const Store*>(f.q) + token * kept_of_slstm(H, f.noise) + j;
    const V f_pre = load(q, n);
    const V m_t = state_at(token, 2), c_prev = state_before(b, before), n_prev = state_before(b, before, 1);
    const V since = holds_cell ? load(q + H, n) : V{}, m_new = m_t + since;  // m_t without zoneout
    const V c_t = plain ? state_at(token) : shown_state(Edits::cell, token, 0, fma(fg, c_prev, i * g));
    const V n_t = plain ? state_at(token, 1) : shown_state(Edits::normalizer, token, 1, fma(fg, n_prev, i));
    const V m_prev = state_before(b, before, 2);
    const V inverse = one / at_least_tiny<Real>(n_t), shown = c_t * inverse;
    const Staying<Real> staying = plain ? Staying<Real>{} : staying_of(token);
    if (!projected) dm = plain ? with_loss(dm, token) : of_hidden(b, token, dm, staying);
    if (m) store(m, o * shown, n);

    auto unedited = [&](int slot, V dq) __attribute__((always_inline)) { return plain ? dq : own(slot, token, dq); };
    auto with_gate_loss = [&](int g, V dq) __attribute__((always_inline)) {
      dq = added(dq, f.dgates, token, g);
      if (f.step_dgates) store(static_cast<Store*>(f.step_dgates) + (token * 4 + g) * H + j, dq, n);
      return dq;
    };
    constexpr Path path = plain ? Path::plain : Path::any;
    const V do_pre = before_squash<path>(token, 3, with_gate_loss(3, dm * shown), o);
    Real* back = carry_of(b);
    const V dc_shown = dm * o * inverse, dn_shown = n_t > V{} ? -(dc_shown * shown) : V{};
    const V dc = state_with_loss(load(back, n), token), dn = state_with_loss(load(back + H, n), token, 1);

    V dc_fresh = unedited(Edits::cell, dc), dn_fresh = unedited(Edits::normalizer, dn);
    V dm_new = state_with_loss(load(back + 2 * H, n), token, 2), dm_t{}, dc_held{}, dn_held{}, dm_held{};
    if (holds_cell) {  // c_t = rho_t c_{t-1} + nu_t c', n_t likewise, m_t = log(k exp(m_{t-1}) + ...)
      const Exponents<Real> told(staying.cell, m_prev, m_new);
      const V rho = told.rho(m_t), nu = told.nu(m_t);
      dc_held = rho * dc_fresh, dc_fresh = nu * dc_fresh;
      dn_held = rho * dn_fresh, dn_fresh = nu * dn_fresh;
      dm_held = fma(dc_held, c_prev, dn_held * n_prev);
      const V dm_moved = fma(dc_fresh, fma(fg, c_prev, i * g), dn_fresh * fma(fg, n_prev, i));
      dm_t = dm_new - dm_held - dm_moved;
      const V dm_own = unedited(Edits::stabilizer, dm_t), to_held = dm_own * told.share_held();
      dm_held = dm_held + to_held, dm_new = dm_moved + (dm_own - to_held);
    }
    dc_fresh = dc_fresh + unedited(Edits::cell, dc_shown);
    dn_fresh = dn_fresh + unedited(Edits::normalizer, dn_shown);
    const V di = with_gate_loss(0, fma(dc_fresh, g, dn_fresh));
    const V df = with_gate_loss(1, fma(dc_fresh, c_prev, dn_fresh * n_prev));
    const V dg_pre = before_squash<path>(token, 2, with_gate_loss(2, dc_fresh * i), g);

    // i' = exp(i_pre - m'), f' = exp(log f + m_{t-1} - m'), m' = max(log f + m_{t-1}, i_pre)
    auto is_edited = [&](int slot) __attribute__((always_inline)) {
      return !plain && f.edits.of[slot].rows && f.edits.of[slot].rows[token] >= 0;
    };
    const bool i_edited = is_edited(0), f_edited = is_edited(1), m_edited = is_edited(Edits::stabilizer);
    V i_own = i, f_own = fg, i_pre{}, kept{};
    if (i_edited || f_edited || m_edited) {
      i_pre = load(gates_at(f.pre, token), n);
      kept = (p.cell.log_forget ? log_sigmoid<Real>(f_pre) : f_pre) + m_prev;
      if (i_edited) i_own = exponential<Real>(i_pre - m_new);
      if (f_edited) f_own = exponential<Real>(kept - m_new);
    }
    // the larger exponent is the one whose gate is 1
    const V share = m_edited ? share_of_larger(kept, i_pre) : share_of_larger(f_own, i_own);
    const V along_i = unedited(0, di) * i_own, along_f = unedited(1, df) * f_own;
    dm_new = dm_new - along_i - along_f, dm_t = dm_t + dm_new;
    const V dm_own = unedited(Edits::stabilizer, dm_new), dkept = fma(dm_own, share, along_f);
    const V di_pre = added(fma(dm_own, one - share, along_i), f.dpre, token, 0);
    const V df_pre = added(p.cell.log_forget ? dkept * sigmoid<Real>(-f_pre) : dkept, f.dpre, token, 1);
    store(back, fma(dc_fresh, fg, dc_held), n), store(back + H, fma(dn_fresh, fg, dn_held), n);
    store(back + 2 * H, dkept + dm_held, n);

    const int stride = columns.stride;
    store(d, di_pre, n), store(d + stride, df_pre, n), store(d + 2 * stride, dg_pre, n), store(d + 3 * stride, do_pre, n);
    if (f.step_dc) {
      Real* to = static_cast<Real*>(f.step_dc) + token * 3 * H + j;
      store(to, dc + dc_shown, n), store(to + H, dn + dn_shown, n), store(to + 2 * H, dm_t, n);
    }
  }

  template <bool plain>
  GLASSCELL_INLINE void gru(int64_t b, int64_t token, int64_t before, V dh, Element* d) const {
    constexpr int k = G - 2;  // the place of z
    const V one = splat(Real(1));
    const Store* gate = gates_at(f.gates, token);
    const V z = load(gate + k * H, n), cand = load(gate + (k + 1) * H, n);
    const V h_prev = hidden_before(b, before);
    Real* back = h_carry + ptrdiff_t(b - first_row) * H + j;
    dh = with_loss(dh + load(back, n), token);
    V dheld{};
    if constexpr (!plain) {
      dh = own(Edits::hidden, token, dh);
      if (zoneout) {
        const V stays = staying_of(token).hidden;
        dheld = stays * dh, dh = (one - stays) * dh;
      }
    }

    const V dz = added(dh * (h_prev - cand), f.dgates, token, k);
    const V dn = added(dh * (one - z), f.dgates, token, k + 1);
    constexpr Path path = plain ? Path::plain : Path::any;
    const V dz_pre = before_squash<path>(token, k, dz, z), dn_pre = before_squash<path>(token, k + 1, dn, cand);
    store(back, fma(dh, z, dheld), n);
    const int stride = columns.stride;
    Store* to = f.step_dgates ? static_cast<Store*>(f.step_dgates) + token * G * H + j : nullptr;
    if (to) store(to + k * H, dz, n), store(to + (k + 1) * H, dn, n);
    if constexpr (kind == Kind::gru2) {
      store(d, dz_pre, n), store(d + stride, dn_pre, n);
    } else {
      const V r = load(gate, n), past = load(static_cast<const Store*>(f.q) + token * H + j, n);
      const V dr = added(dn_pre * past, f.dgates, token, 0);
      const V dr_pre = before_squash<path>(token, 0, dr, r);
      store(d, dn_pre, n), store(d + stride, dr_pre, n), store(d + 2 * stride, dz_pre, n);
      store(d + 3 * stride, dn_pre * r, n);
      if (to) store(to, dr, n);
    }
  }

  template <bool plain>
  GLASSCELL_INLINE void rnn(int64_t b, int64_t token, int64_t before, V dh, Element* d) const {
    V h = load(gates_at(f.gates, token), n);
    Real* back = nullptr;
    if constexpr (!plain)
      if (h_carry) {
        back = h_carry + ptrdiff_t(b - first_row) * H + j;
        dh = dh + load(back, n);
      }
    dh = added(with_loss(dh, token), f.dgates, token, 0);
    if (f.step_dgates) store(static_cast<Store*>(f.step_dgates) + token * H + j, dh, n);
    V dheld{};
    if constexpr (!plain) {
      const Edit& edit = f.edits.of[Edits::hidden];
      const bool edits = edit.rows && edit.rows[token] >= 0;
      // what is kept of it is not what came out of the squash
      if (edits || f.noise.zoneout_hidden)
        h = apply<Real>(Squash(p.cell.squash[0]), load(gates_at(f.pre, token), n));
      dh = own(Edits::hidden, token, dh);
      if (zoneout) {
        const V stays = staying_of(token).hidden;
        dheld = stays * dh, dh = (splat(Real(1)) - stays) * dh;
      }
    }
    const V dpre = added(dh * slope<Real>(Squash(p.cell.squash[0]), h), f.dpre, token, 0);
    store(d, dpre, n);
    if constexpr (!plain)
      if (back) {
        if (p.cell.peephole[0] >= 0) {
          V own_past = dpre * load(p.peepholes.template as<Real>() + j, n);
          if (f.noise.mask) own_past = own_past * load(static_cast<const Store*>(f.noise.mask) + ptrdiff_t(b) * H + j, n);
          dheld = dheld + own_past;
        }
        store(back, dheld, n);
      }
  }

  // How much of dL/d(the larger of both) is the first one's; half of it where they are equal.
  static GLASSCELL_INLINE V share_of_larger(V first, V second) {
    return first > second ? splat(Real(1)) : first < second ? V{} : splat(Real(0.5));
  }

  // One of the carried vectors after a step, and before it.
  GLASSCELL_INLINE V state_at(int64_t token, int k = 0) const {
    return load(static_cast<const Real*>(f.c) + (token * C + k) * H + j, n);
  }
  GLASSCELL_INLINE V state_before(int64_t b, int64_t before, int k = 0) const {
    return before >= 0 ? state_at(before, k) : load(static_cast<const Store*>(f.c_0) + (b * C + k) * H + j, n);
  }
  // One of them as the hidden state shows it: what is held by zoneout is not shown.
  GLASSCELL_INLINE V shown_state(int slot, int64_t token, int k, V fresh) const {
    if (!f.noise.zoneout_cell) return state_at(token, k);
    return f.edits.any ? edited<Mode>(f.edits.of[slot], token, H, j, n, fresh) : fresh;
  }
  GLASSCELL_INLINE V hidden_before(int64_t b, int64_t before) const {
    return before >= 0 ? load(static_cast<const Store*>(f.h) + before * H + j, n)
                       : load(static_cast<const Store*>(f.h_0) + ptrdiff_t(b) * H + j, n);
  }
  GLASSCELL_INLINE Real* carry_of(int64_t b) const { return carry + ptrdiff_t(b - first_row) * C * H + j; }

  // Adds what the loss puts on a carried vector.
  GLASSCELL_INLINE V state_with_loss(V dc, int64_t token, int k = 0) const {
    return f.dc ? dc + load(static_cast<const Real*>(f.dc) + (token * C + k) * H + j, n) : dc;
  }

  // dL/d(the hidden state before its edit and what is held of it), where it is not projected.
  GLASSCELL_INLINE V of_hidden(int64_t b, int64_t token, V dh, const Staying<Real>& staying) const {
    Real* back = h_carry ? h_carry + ptrdiff_t(b - first_row) * H + j : nullptr;
    if (back) dh = dh + load(back, n);
    dh = own(Edits::hidden, token, with_loss(dh, token));
    if (f.noise.zoneout_hidden) {
      store(back, staying.hidden * dh, n);
      dh = (splat(Real(1)) - staying.hidden) * dh;
    }
    return dh;
  }

  // What is held of the states of a token; never looked at where nothing is.
  GLASSCELL_INLINE Staying<Real> staying_of(int64_t token) const {
    return zoneout ? Staying<Real>(f.noise, keys, token, j) : Staying<Real>{};
  }

  // dL/d(what went into gate g's squash), from dL/d(the gate) and its value.
  template <Path path = Path::any>
  GLASSCELL_INLINE V before_squash(int64_t token, int g, V dq, V value) const {
    const Squash squash = Squash(p.cell.squash[g]);
    if constexpr (path == Path::plain || path == Path::held)
      return added(dq * slope<Real>(squash, value), f.dpre, token, g);
    const Edit& edit = f.edits.of[g];
    const bool edits = path == Path::any && edit.rows && edit.rows[token] >= 0;
    const bool draws = drawn && p.cell.stochastic[g], asks_odds = draws && by_odds(p.cell, g);
    if (is_lstm(kind) && asks_odds && f.q) return added(dq * slope<Real>(squash, odds_of(token, g)), f.dpre, token, g);
    V v{};
    if (edits || asks_odds) v = load(gates_at(f.pre, token) + g * H, n);
    if (edits && draws) {
      Store* const nowhere = nullptr;
      value = drawn_gate<Real>(p.cell, g, v, gate_draws<Real>(p.cell, keys, token, j), nowhere, n);
    } else if (edits) {
      value = apply<Real>(squash, v);
    }
    return added(own(g, token, dq) * gate_slope<Real>(p.cell, g, v, value, draws), f.dpre, token, g);
  }

  // What a drawn gate of an LSTM was drawn with.
  GLASSCELL_INLINE V odds_of(int64_t token, int g) const {
    return load(static_cast<const Store*>(f.q) + (token * p.cell.draws + p.cell.draw[g]) * H + j, n);
  }

  // dL/dh_t in full: what comes back plus what the loss puts on it.
  GLASSCELL_INLINE V with_loss(V dh, int64_t token) const {
    if (f.dh) dh = dh + load(static_cast<const Store*>(f.dh) + token * H + j, n);
    if (f.step_dh) store(static_cast<Store*>(f.step_dh) + token * H + j, dh, n);
    return dh;
  }

  // dL/d(a quantity before its edit), from dL/d(what became of it).
  GLASSCELL_INLINE V own(int slot, int64_t token, V dq) const {
    return f.edits.any ? edited_backward<Mode>(f.edits.of[slot], token, H, j, n, dq) : dq;
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
    const int row = g < 0 ? -1 : p.cell.peephole[g];
    return row < 0 ? dc : fma(dpre, load(p.peepholes.template as<Real>() + ptrdiff_t(row) * H + j, n), dc);
  }

  const Backward& f;
  const Panels& p;
  const Offsets& at;
  const GateColumns<Mode>& columns;
  const Keys& keys;
  const int H;
  const bool projected, drawn, zoneout;
  Real *const carry, *const h_carry;  // of the rows from first_row on: dL/dc_{t-1}; along the hidden state
  const int first_row;
  int j = 0, n = 0;  // the first unit of the vector at hand, and how many of its lanes are units
};

}  // namespace glasscell::GLASSCELL_VARIANT
