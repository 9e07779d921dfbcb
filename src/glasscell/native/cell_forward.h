// One step of the cells' equations, for the units of a panel whose sums are ready.
#pragma once

#include "edits.h"
#include "noise.h"
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
  static constexpr int G = gates_of(kind), C = carried_of(kind);
  static constexpr int S = kind == Kind::rnn ? 4 : G;  // vectors of a panel
  static constexpr int units_of_panel = kind == Kind::rnn ? 4 * L : L;

  // The sequences of a step, as rows.
  struct Rows {
    int64_t t;      // the step
    int first;      // the first, among all sequences
    int64_t token;  // of the first, among all
    int count;
    Real* state;    // (row, C*H): c_{t-1}, and then c_t; or the GRU's h, not rounded
    Element* next;  // (row, h_stride): h_t, as the next step's product reads it
    Element* m;     // (row, m_stride): what is projected
    Real* q;        // (row, L): the GRU's U_n h + b_n
  };

  UnitSteps(const Forward& f, const Offsets& at, ptrdiff_t h_stride, ptrdiff_t m_stride)
      : f(f), p(*f.panels), at(at), H(p.cell.H), P(p.cell.P), h_stride(h_stride), m_stride(m_stride),
        projected(p.v.bytes() > 0), drawn(draws_gates(p.cell, f.noise)), zoneout(holds_states(f.noise)),
        path(path_of(p.cell, f.noise, f.edits)), keys(f.noise.seed) {}

  // The units of panel u, from its sums (row, S * L).
  void run(int u, const Rows& now, const Real* sums) const {
    on_path<kind>(path, [&](auto known) __attribute__((always_inline)) { run<known.value>(u, now, sums); });
  }

  // What products read of the initial state of sequence b.
  void read_initial(int b, Element* row) const {
    const auto* h_0 = static_cast<const Store*>(f.h_0) + ptrdiff_t(b) * P;
    for (int j = 0; j < P; j += L) read_masked(b, j, std::min(L, P - j), h_0 + j, row + j);
  }

  // What the projection gave for some numbers of one row.
  void emit_projected(const Rows& now, int r, int j, int n, Vec<Real> h_t) const {
    if (f.noise.zoneout_hidden)
      h_t = held<Real>(Staying<Real>(f.noise, keys, now.token + r, j).hidden, h_t, previous_hidden(now, r, j, n));
    if (f.edits.any) h_t = edited<Mode>(f.edits.of[Edits::hidden], now.token + r, P, j, n, h_t);
    emit(now, r, j, n, h_t);
  }

 protected:
  template <Path path>
  void run(int u, const Rows& now, const Real* sums) const {
    constexpr bool plain = path == Path::plain;
    if constexpr (kind == Kind::lstm && path != Path::any) lstm<path>(u, now, sums);
    if constexpr (is_lstm(kind) && path == Path::any) varied_lstm(u, now, sums);
    if constexpr (kind == Kind::slstm) slstm<plain>(u, now, sums);
    if constexpr (is_gru(kind) && kind != Kind::norm_gru) gru<plain>(u, now, sums);
    if constexpr (kind == Kind::rnn) rnn<plain>(u, now, sums);
  }

  // A quantity after its edit, if there is one.
  template <bool plain = false>
  GLASSCELL_INLINE Vec<Real> changed(int slot, int64_t token, int j, int n, Vec<Real> q) const {
    if constexpr (!plain)
      if (f.edits.any) return edited<Mode>(f.edits.of[slot], token, H, j, n, q);
    return q;
  }

  // The numbers that gates of a token are drawn by; never looked at where none is.
  GLASSCELL_INLINE Draws<Real> draws_of(int64_t token, int j) const {
    return drawn ? gate_draws<Real>(p.cell, keys, token, j) : Draws<Real>{};
  }

  // Gate g from what goes into its squash, after its edit.
  template <bool plain = false>
  GLASSCELL_INLINE Vec<Real> gate(int g, int64_t token, int j, int n, Vec<Real> v, const Draws<Real>& draws) const {
    if constexpr (plain) return apply<Real>(Squash(p.cell.squash[g]), v);
    return changed(g, token, j, n, unchanged(g, token, j, n, v, draws));
  }

  // The same before its edit: squashed or drawn.
  GLASSCELL_INLINE Vec<Real> unchanged(int g, int64_t token, int j, int n, Vec<Real> v, const Draws<Real>& draws) const {
    if (!drawn || !p.cell.stochastic[g]) return apply<Real>(Squash(p.cell.squash[g]), v);
    Store* odds = nullptr;
    if (is_lstm(kind) && f.q) odds = static_cast<Store*>(f.q) + (token * p.cell.draws + p.cell.draw[g]) * H + j;
    return drawn_gate<Real>(p.cell, g, v, draws, odds, n);
  }

  // What is held of the states of a token; never looked at where nothing is.
  GLASSCELL_INLINE Staying<Real> staying_of(int64_t token, int j) const {
    return zoneout ? Staying<Real>(f.noise, keys, token, j) : Staying<Real>{};
  }

  // h_{t-1} of one row, as the caller has it.
  GLASSCELL_INLINE Vec<Real> previous_hidden(const Rows& now, int r, int j, int n) const {
    const int64_t before = at.previous(now.t, now.first + r);
    const auto* h_0 = static_cast<const Store*>(f.h_0);
    return before < 0 ? load(h_0 + ptrdiff_t(now.first + r) * P + j, n)
                      : load(static_cast<const Store*>(f.h) + before * P + j, n);
  }

  // Of what products read of a hidden state, how much there is of it.
  GLASSCELL_INLINE Vec<Real> mask(const Rows& now, int r, int j, int n) const {
    return load(static_cast<const Store*>(f.noise.mask) + ptrdiff_t(now.first + r) * P + j, n);
  }

  // Some units' h_t of one row, to the caller and to the next step.
  void emit(const Rows& now, int r, int j, int n, Vec<Real> h_t) const {
    Store* h = static_cast<Store*>(f.h) + (now.token + r) * P + j;
    store(h, h_t, n);
    Element* next = now.next + r * h_stride + j;
    if (f.noise.mask) return read_masked(now.first + r, j, n, h, next);
    if constexpr (std::is_same_v<Store, Element>) {
      store(next, h_t, n);
    } else {
      convert_row(next, h, n);  // as rounded
    }
  }

  // What products read of n numbers of a hidden state, from number j on.
  void read_masked(int b, int j, int n, const Store* h, Element* to) const {
    const auto* mask = static_cast<const Store*>(f.noise.mask) + ptrdiff_t(b) * P + j;
    Store row[L];  // rounded like the state
    store(row, load(h, n) * load(mask, n));
    if constexpr (std::is_same_v<Store, Element>) {
      store(to, load(row), n);
    } else {
      convert_row(to, row, n);
    }
  }

  // The equations of cells/lstm.py, where all gates are there, and none is edited.
  template <Path path>
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
      Draws<Real> draws;
      Staying<Real> staying;
      if constexpr (path == Path::drawn) draws = gate_draws<Real>(p.cell, keys, row, j);
      if constexpr (path == Path::held) staying = Staying<Real>(f.noise, keys, row, j);
      auto opened = [&](int g, Vec<Real> v) __attribute__((always_inline)) {
        if constexpr (path == Path::drawn) return unchanged(g, row, j, n, v, draws);
        return apply<Real>(Squash(p.cell.squash[g]), v);
      };
      Vec<Real> i = opened(0, i_pre), fg = opened(1, f_pre), g = opened(2, g_pre);
      const Vec<Real> shown = fma(fg, c_prev, i * g);
      Vec<Real> c_t = shown;
      if constexpr (path == Path::held) c_t = held<Real>(staying.cell, shown, c_prev);
      if (peep[3]) o_pre = fma(load(peep[3], n), c_t, o_pre);
      Vec<Real> o = opened(3, o_pre);
      Vec<Real> m_t = o * apply<Real>(out_squash, shown);
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
        continue;
      }
      if (path == Path::held && f.noise.zoneout_hidden)
        m_t = held<Real>(staying.hidden, m_t, previous_hidden(now, r, j, n));
      emit(now, r, j, n, m_t);
    }
  }

  // The same, with whatever gates there are, drawn, edited and held.
  void varied_lstm(int u, const Rows& now, const Real* sums) const {
    const int j = u * L, n = std::min(L, H - j);
    auto* gates = static_cast<Store*>(f.gates);
    auto* pres = static_cast<Store*>(f.pre);
    auto* cells = static_cast<Real*>(f.c);
    const Vec<Real> one = splat(Real(1));
    const int* slot = p.cell.slot;
    for (int r = 0; r < now.count; ++r) {
      const Real* acc = sums + r * S * L;
      const int64_t row = now.token + r;
      Real* state = now.state + ptrdiff_t(r) * H + j;
      const Vec<Real> c_prev = load(state, n);
      const Draws<Real> draws = draws_of(row, j);
      const Staying<Real> staying = staying_of(row, j);
      auto opened = [&](int g, Vec<Real> c) __attribute__((always_inline)) {
        if (g < 0) return one;
        Vec<Real> v = load(acc + g * L);
        if (const int k = p.cell.peephole[g]; k >= 0)
          v = fma(load(p.peepholes.template as<Real>() + ptrdiff_t(k) * H + j, n), c, v);
        const Vec<Real> value = gate(g, row, j, n, v, draws);
        if (pres) store(pres + (row * G + g) * H + j, v, n);
        if (gates) store(gates + (row * G + g) * H + j, value, n);
        return value;
      };
      const Vec<Real> i = opened(slot[0], c_prev), fg = opened(slot[1], c_prev), g = opened(slot[2], c_prev);
      const Shares<Real> shares = shared<Real>(p.cell, i, fg);
      const Vec<Real> fresh = fma(shares.kept, c_prev, shares.written * g);
      // what is shown is not what is held
      const Vec<Real> shown = changed(Edits::cell, row, j, n, fresh);
      Vec<Real> c_t = shown;
      if (zoneout) c_t = changed(Edits::cell, row, j, n, held<Real>(staying.cell, fresh, c_prev));
      const Vec<Real> m_t = opened(slot[3], c_t) * apply<Real>(Squash(p.cell.output_squash), shown);
      store(state, c_t, n);
      if (cells) store(cells + row * H + j, c_t, n);
      show(now, r, j, n, m_t, staying);
    }
  }

  // What a cell shows: the hidden state, or what its projection reads.
  template <bool plain = false>
  GLASSCELL_INLINE void show(const Rows& now, int r, int j, int n, Vec<Real> m_t, const Staying<Real>& staying) const {
    if (projected) {
      store(now.m + r * m_stride + j, m_t, n);
      return;
    }
    if (!plain && f.noise.zoneout_hidden) m_t = held<Real>(staying.hidden, m_t, previous_hidden(now, r, j, n));
    emit(now, r, j, n, changed<plain>(Edits::hidden, now.token + r, j, n, m_t));
  }

  // The equations of cells/slstm.py; its state is c, n and m, H numbers each.
  template <bool plain>
  void slstm(int u, const Rows& now, const Real* sums) const {
    const int j = u * L, n = std::min(L, H - j);
    auto* gates = static_cast<Store*>(f.gates);
    auto* pres = static_cast<Store*>(f.pre);
    auto* cells = static_cast<Real*>(f.c);
    for (int r = 0; r < now.count; ++r) {
      const Real* acc = sums + r * S * L;
      const int64_t row = now.token + r;
      Real* state = now.state + ptrdiff_t(r) * 3 * H + j;
      const Vec<Real> c_prev = load(state, n), n_prev = load(state + H, n), m_prev = load(state + 2 * H, n);
      const Vec<Real> i_pre = load(acc), f_pre = load(acc + L), g_pre = load(acc + 2 * L), o_pre = load(acc + 3 * L);
      const Draws<Real> draws = plain ? Draws<Real>{} : draws_of(row, j);
      const Staying<Real> staying = plain ? Staying<Real>{} : staying_of(row, j);
      const Vec<Real> one = splat(Real(1));
      const Vec<Real> log_f = p.cell.log_forget ? log_sigmoid<Real>(f_pre) : f_pre;
      const Vec<Real> kept = log_f + m_prev;
      Vec<Real> m_new = greatest(kept, i_pre), i, fg;
      if (!plain && f.edits.any) {
        m_new = changed(Edits::stabilizer, row, j, n, m_new);
        i = changed(0, row, j, n, exponential<Real>(i_pre - m_new));
        fg = changed(1, row, j, n, exponential<Real>(kept - m_new));
      } else {  // relative to the larger of the two exponents, one of them is 1
        const Vec<Real> smaller = exponential<Real>(kept > i_pre ? i_pre - kept : kept - i_pre);
        i = kept > i_pre ? smaller : one, fg = kept > i_pre ? one : smaller;
      }
      const Vec<Real> g = gate<plain>(2, row, j, n, g_pre, draws);
      const Vec<Real> c_new = fma(fg, c_prev, i * g), n_new = fma(fg, n_prev, i);
      const Vec<Real> c_shown = changed<plain>(Edits::cell, row, j, n, c_new);
      const Vec<Real> n_shown = changed<plain>(Edits::normalizer, row, j, n, n_new);
      Vec<Real> c_t = c_shown, n_t = n_shown, m_t = m_new;
      Store* const q = f.q ? static_cast<Store*>(f.q) + row * kept_of_slstm(H, f.noise) + j : nullptr;
      if (q) store(q, f_pre, n);
      if (!plain && f.noise.zoneout_cell) {  // what is held is told in a scale of its own
        const Exponents<Real> told(staying.cell, m_prev, m_new);
        m_t = changed(Edits::stabilizer, row, j, n, told.together());
        const Vec<Real> rho = told.rho(m_t), nu = told.nu(m_t);
        c_t = changed(Edits::cell, row, j, n, fma(rho, c_prev, nu * c_new));
        n_t = changed(Edits::normalizer, row, j, n, fma(rho, n_prev, nu * n_new));
        if (q) store(q + H, least(m_new - m_t, splat(Real(3e38))), n);
      }
      const Vec<Real> o = gate<plain>(3, row, j, n, o_pre, draws);
      store(state, c_t, n), store(state + H, n_t, n), store(state + 2 * H, m_t, n);
      if (cells) {
        Real* to = cells + row * 3 * H + j;
        store(to, c_t, n), store(to + H, n_t, n), store(to + 2 * H, m_t, n);
      }
      if (gates) {
        Store* to = gates + row * 4 * H + j;
        store(to, i, n), store(to + H, fg, n), store(to + 2 * H, g, n), store(to + 3 * H, o, n);
      }
      if (pres) {
        Store* to = pres + row * 4 * H + j;
        store(to, i_pre, n), store(to + H, f_pre, n), store(to + 2 * H, g_pre, n), store(to + 3 * H, o_pre, n);
      }
      show<plain>(now, r, j, n, o * c_shown / at_least_tiny<Real>(n_shown), staying);
    }
  }

  // The equations of cells/gru.py.
  template <bool plain>
  void gru(int u, const Rows& now, const Real* sums) const {
    const int j = u * L, n = std::min(L, H - j);
    auto* gates = static_cast<Store*>(f.gates);
    auto* pres = static_cast<Store*>(f.pre);
    auto* pasts = static_cast<Store*>(f.q);
    const Vec<Real> one = splat(Real(1));
    constexpr int k = G - 2;  // the place of z
    for (int r = 0; r < now.count; ++r) {
      const Real* acc = sums + r * S * L;
      const int64_t row = now.token + r;
      const Draws<Real> draws = plain ? Draws<Real>{} : draws_of(row, j);
      const Vec<Real> z_pre = load(acc + k * L);
      Vec<Real> n_pre = load(acc + (k + 1) * L);
      if constexpr (kind == Kind::gru) {
        const Vec<Real> past = load(now.q + r * L), r_pre = load(acc);
        const Vec<Real> reset = gate<plain>(0, row, j, n, r_pre, draws);
        n_pre = fma(reset, past, n_pre);
        if (gates) store(gates + row * G * H + j, reset, n);
        if (pres) store(pres + row * G * H + j, r_pre, n);
        if (pasts) store(pasts + row * H + j, past, n);
      }
      const Vec<Real> z = gate<plain>(k, row, j, n, z_pre, draws);
      const Vec<Real> cand = gate<plain>(k + 1, row, j, n, n_pre, draws);
      Real* state = now.state + ptrdiff_t(r) * H + j;
      const Vec<Real> h_prev = load(state, n);
      Vec<Real> h_t = fma(z, h_prev, (one - z) * cand);
      if constexpr (!plain) {
        if (zoneout) h_t = held<Real>(staying_of(row, j).hidden, h_t, h_prev);
        h_t = changed(Edits::hidden, row, j, n, h_t);
      }
      if (gates) {
        Store* to = gates + (row * G + k) * H + j;
        store(to, z, n), store(to + H, cand, n);
      }
      if (pres) {
        Store* to = pres + (row * G + k) * H + j;
        store(to, z_pre, n), store(to + H, n_pre, n);
      }
      store(state, h_t, n);
      emit(now, r, j, n, h_t);
    }
  }

  // The equations of cells/rnn.py.
  template <bool plain>
  void rnn(int u, const Rows& now, const Real* sums) const {
    auto* gates = static_cast<Store*>(f.gates);
    auto* pres = static_cast<Store*>(f.pre);
    for (int s = 0; s < 4; ++s) {
      const int j = u * units_of_panel + s * L, n = std::min(L, H - j);
      if (n <= 0) break;
      for (int r = 0; r < now.count; ++r) {
        const int64_t row = now.token + r;
        Vec<Real> h_pre = load(sums + r * S * L + s * L);
        if constexpr (!plain)
          if (p.cell.peephole[0] >= 0) {  // a unit's own past
            Vec<Real> past = previous_hidden(now, r, j, n);
            if (f.noise.mask) past = past * mask(now, r, j, n);
            h_pre = fma(load(p.peepholes.template as<Real>() + j, n), past, h_pre);
          }
        Vec<Real> h_t = apply<Real>(Squash(p.cell.squash[0]), h_pre);
        if constexpr (!plain) {
          if (zoneout) h_t = held<Real>(staying_of(row, j).hidden, h_t, previous_hidden(now, r, j, n));
          h_t = changed(Edits::hidden, row, j, n, h_t);
        }
        if (gates) store(gates + row * H + j, h_t, n);
        if (pres) store(pres + row * H + j, h_pre, n);
        emit(now, r, j, n, h_t);
      }
    }
  }

  const Forward& f;
  const Panels& p;
  const Offsets& at;
  const int H, P;
  const ptrdiff_t h_stride, m_stride;
  const bool projected, drawn, zoneout;
  const Path path;
  const Keys keys;
};

}  // namespace glasscell::GLASSCELL_VARIANT
