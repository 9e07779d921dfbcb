// The forward pass over packed tokens.
//
// Sequences are cut among groups of threads, and within a group its threads cut the units. A group
// takes its tokens in chunks of whole steps. For each chunk, W x + b of all its tokens is computed
// first, as tall tiles; then its steps follow, each adding U h to it. The sums of a tile are the
// gates' pre-activations of the same units, so the cell's equations run on them at once, and the
// record is written from there.
#pragma once

#include "pack.h"
#include "partition.h"
#include "squash.h"

namespace glasscell::GLASSCELL_VARIANT {

template <class Mode, Kind kind>
class ForwardRun {
  using Store = typename Mode::Store;
  using Real = typename Mode::Real;
  using Element = typename Mode::Element;
  using Pack = typename Mode::Pack;
  static constexpr int L = lanes<Real>;
  static constexpr int S = kind == Kind::gru ? 3 : 4;  // vectors of a panel
  static constexpr int G = kind == Kind::lstm ? 4 : kind == Kind::gru ? 3 : 1;
  static constexpr int units = kind == Kind::rnn ? 4 * L : L;  // of a panel
  static constexpr int chunk_tokens = 48;

 public:
  explicit ForwardRun(const Forward& call)
      : f(call), p(*call.panels), at(call.sequences), I(p.cell.I), H(p.cell.H), P(p.cell.P),
        projected(p.v.bytes() > 0) {
    panels = (H + units - 1) / units;
    x_panel = panel_elements<Mode>(S, I);
    h_panel = panel_elements<Mode>(S, P);
    h_stride = row_stride<Element>(padded<Mode>(P));
    m_stride = row_stride<Element>(padded<Mode>(H));
    x_stride = row_stride<Element>(padded<Mode>(I));
    const int64_t B = f.sequences.B;
    grid = choose_grid(f.threads, panels, (x_panel + h_panel) * sizeof(Element), int(B),
                       2.0 * double(B) * S * L * panels * P, f.sequences.T);
    const size_t states = size_t(f.sequences.N) * size_t(H);
    prefer_huge_pages(f.c, states * sizeof(Real));
    prefer_huge_pages(f.gates, states * G * sizeof(Store));
    prefer_huge_pages(f.pre, states * G * sizeof(Store));
    prefer_huge_pages(f.h, size_t(f.sequences.N) * size_t(P) * sizeof(Store));
    // Tokens are read where they lie if products can take them as they are.
    x_in_place = std::is_same_v<Store, Element> && I % width<Mode> == 0 &&
                 reinterpret_cast<uintptr_t>(f.x) % sizeof(Pack) == 0;
    groups.resize(size_t(grid.by_sequence));
    for (int k = 0; k < grid.by_sequence; ++k) {
      Group& group = groups[size_t(k)];
      group.rows = at.share_of_tokens(k, grid.by_sequence);
      plan_chunks(group);
      const size_t rows = size_t(group.rows.size()), tokens = size_t(group.most_tokens);
      scratch.leave_gap();
      scratch.ask(group.pre, size_t(panels) * tokens * S * L);
      scratch.ask(group.h[0], rows * h_stride);
      scratch.ask(group.h[1], rows * h_stride);
      scratch.ask(group.c, kind == Kind::rnn ? 0 : rows * H);
      scratch.ask(group.m, projected ? rows * m_stride : 0);
      scratch.ask(group.x, x_in_place ? 0 : tokens * x_stride);
      scratch.ask(group.q, kind == Kind::gru ? grid.by_unit * rows * L : 0);
      scratch.ask(group.out, projected ? grid.by_unit * rows * 4 * L : 0);
      group.barrier.resize(grid.by_unit);
    }
    scratch.allot();
  }

  void run() {
    auto work_of = [&](int thread) { work(groups[size_t(thread / grid.by_unit)], thread % grid.by_unit); };
    on_grid(grid, work_of, [&] {
      Forward alone = f;
      alone.threads = 1;
      ForwardRun(alone).run();
    });
  }

 private:
  // The sequences of some threads, and what they keep of them.
  struct Group {
    Range rows;
    std::vector<int64_t> first;                      // (T + 1,) tokens of these sequences before each step
    std::vector<std::pair<int64_t, int64_t>> chunks;  // places in the recurrence, from .. to
    int64_t most_tokens = 0;                         // of a chunk
    Real *pre, *c;                                   // sums (panel, token, S * L); the state (row, H)
    Element *h[2], *m, *x;                           // h before and after a step; o * tanh(c); tokens
    Real *q, *out;                                   // of each thread: U_n h; projected sums
    Barrier barrier;

    // How many of the rows reach step t.
    int live(int64_t t) const { return int(first[size_t(t) + 1] - first[size_t(t)]); }
  };

  void plan_chunks(Group& group) {
    const int64_t T = f.sequences.T;
    group.first.resize(size_t(T) + 1);
    for (int64_t t = 0; t < T; ++t) {
      const int64_t live = std::min<int64_t>(group.rows.end, at.size(t)) - group.rows.first;
      group.first[size_t(t) + 1] = group.first[size_t(t)] + std::max<int64_t>(live, 0);
    }
    for (int64_t k = 0; k < T;) {
      int64_t from = k, tokens = 0;
      while (k < T && (k == from || tokens + group.live(at.step(k)) <= chunk_tokens))
        tokens += group.live(at.step(k++));
      group.chunks.push_back({from, k});
      group.most_tokens = std::max(group.most_tokens, tokens);
    }
  }

  // What one of the threads of a group does.
  void work(Group& group, int part) {
    const int parts = grid.by_unit;
    const Range mine = share(panels, part, parts);
    start(group, part, parts);
    group.barrier.wait(part);
    for (auto [from, to] : group.chunks) {
      const int64_t low = std::min(at.step(from), at.step(to - 1));
      const int64_t high = std::max(at.step(from), at.step(to - 1));
      if (!x_in_place) {
        for (int64_t t = low; t <= high; ++t) copy_tokens(group, t, low, part, parts);
        group.barrier.wait(part);
      }
      for (int u = mine.first; u < mine.end; ++u) input_terms(group, u, low, high);
      for (int64_t k = from; k < to; ++k) {
        const int64_t t = at.step(k);
        if (group.live(t) == 0) continue;
        const Step now{group, k, at.first[size_t(t)] + group.rows.first,
                       group.first[size_t(t)] - group.first[size_t(low)], group.live(t)};
        step(part, now, mine);
        group.barrier.wait(part);
        if (projected) {
          project(part, now, share(strips(P), part, parts));
          group.barrier.wait(part);
        }
      }
    }
    finish(group, part, parts);
  }

  // One step of a group's sequences.
  struct Step {
    const Group& group;
    int64_t k;      // its place in the recurrence
    int64_t token;  // of its first row, among all
    int64_t local;  // the same among the group's chunk
    int rows;
  };

  static int strips(int columns) { return (columns + 4 * L - 1) / (4 * L); }

  // The initial states, as the products read them, into both buffers: sequences that join late
  // (in reverse, short ones) find theirs untouched.
  void start(const Group& group, int part, int parts) {
    const auto* h_0 = static_cast<const Store*>(f.h_0);
    const auto* c_0 = static_cast<const Store*>(f.c_0);
    const Range mine = share(group.rows.size(), part, parts);
    for (int r = mine.first; r < mine.end; ++r) {
      const ptrdiff_t b = group.rows.first + r;
      for (Element* buffer : {group.h[0], group.h[1]}) {
        Element* row = buffer + r * h_stride;
        std::memset(row, 0, size_t(h_stride) * sizeof(Element));
        convert_row(row, h_0 + b * P, P);
      }
      Real* state = group.c + ptrdiff_t(r) * H;
      if constexpr (kind == Kind::lstm) convert_row(state, c_0 + b * H, H);
      // a GRU keeps its state in full precision beside its rounding
      if constexpr (kind == Kind::gru) convert_row(state, h_0 + b * H, H);
      if (projected) std::memset(group.m + r * m_stride, 0, size_t(m_stride) * sizeof(Element));
    }
  }

  void finish(const Group& group, int part, int parts) {
    auto* h_n = static_cast<Store*>(f.h_n);
    auto* c_n = static_cast<Store*>(f.c_n);
    const auto* out_h = static_cast<const Store*>(f.h);
    const Range mine = share(group.rows.size(), part, parts);
    for (int r = mine.first; r < mine.end; ++r) {
      const int b = group.rows.first + r;
      if (h_n) {
        int64_t t = 0;
        if (!f.sequences.reverse) {
          t = f.sequences.T - 1;
          while (at.size(t) <= b) --t;
        }
        convert_row(h_n + ptrdiff_t(b) * P, out_h + (at.first[t] + b) * P, P);
      }
      if constexpr (kind == Kind::lstm)
        if (c_n) convert_row(c_n + ptrdiff_t(b) * H, group.c + ptrdiff_t(r) * H, H);
    }
  }

  void copy_tokens(const Group& group, int64_t t, int64_t low, int part, int parts) {
    const auto* from = static_cast<const Store*>(f.x) + (at.first[size_t(t)] + group.rows.first) * I;
    Element* to = group.x + (group.first[size_t(t)] - group.first[size_t(low)]) * x_stride;
    const Range mine = share(group.live(t), part, parts);
    for (int r = mine.first; r < mine.end; ++r) {
      Element* row = to + r * x_stride;
      std::memset(row, 0, size_t(x_stride) * sizeof(Element));
      convert_row(row, from + ptrdiff_t(r) * I, I);
    }
  }

  Real* pre_at(const Group& group, int u, int64_t local) {
    return group.pre + (ptrdiff_t(u) * group.most_tokens + local) * S * L;
  }

  // W x + b of the group's tokens in steps low .. high, for the units of one panel.
  void input_terms(const Group& group, int u, int64_t low, int64_t high) {
    const int64_t origin = group.first[size_t(low)];
    if (!x_in_place) {
      input_term(group, u, group.x, x_stride, 0, int(group.first[size_t(high) + 1] - origin));
      return;
    }
    // The tokens of several steps lie side by side where nobody else's come between them.
    const auto* x = static_cast<const Element*>(f.x);
    if (groups.size() == 1) {
      input_term(group, u, x + origin * I, I, 0, int(group.first[size_t(high) + 1] - origin));
      return;
    }
    for (int64_t t = low; t <= high; ++t)
      input_term(group, u, x + (at.first[size_t(t)] + group.rows.first) * I, I, group.first[size_t(t)] - origin,
                 group.live(t));
  }

  // The same of `rows` tokens that lie side by side.
  void input_term(const Group& group, int u, const Element* x, ptrdiff_t stride, int64_t local, int rows) {
    const Real* bias = p.bias.template as<Real>() + ptrdiff_t(u) * S * L;
    const Pack* panel = reinterpret_cast<const Pack*>(p.x.template as<Element>() + u * x_panel);
    const ptrdiff_t K = padded<Mode>(I) / width<Mode>;
    for_tiles<S>(0, rows, [&](int row, int count) {
      Real* acc = pre_at(group, u, local + row);
      for (int r = 0; r < count; ++r) std::memcpy(acc + r * S * L, bias, S * L * sizeof(Real));
      tile<Pack, S, Along::row>(count, reinterpret_cast<const Pack*>(x + row * stride), stride / width<Mode>, panel,
                                K, acc, S * L);
    });
  }

  void step(int part, const Step& now, Range mine) {
    const Group& group = now.group;
    const Pack* before = reinterpret_cast<const Pack*>(group.h[now.k % 2]);
    const ptrdiff_t stride = h_stride / width<Mode>, K = padded<Mode>(P) / width<Mode>;
    const Pack* first_panel = reinterpret_cast<const Pack*>(p.h.template as<Element>());
    const ptrdiff_t panel_stride = ptrdiff_t(h_panel) / width<Mode>;
    for (int done = 0, count; done < mine.size(); done += count) {
      count = kind != Kind::gru && Operand<Pack>::slow && now.rows == 1 && done + 1 < mine.size() ? 2 : 1;
      // To and fro: the panels read last are still in the core's cache.
      const int u = now.k % 2 ? mine.end - done - count : mine.first + done;
      const Pack* panel = first_panel + u * panel_stride;
      Real* pre = pre_at(group, u, now.local);
      if constexpr (kind == Kind::gru) {
        recurrent_gru(part, now, u, before, stride, panel, K, pre);
      } else if (count == 2) {
        one_row<Pack, S>(before, panel, panel_stride, K, pre, group.most_tokens * S * L);
      } else {
        for_tiles<S>(0, now.rows, [&](int row, int rows) {
          tile<Pack, S, Along::row>(rows, before + row * stride, stride, panel, K, pre + row * S * L, S * L);
        });
      }
      for (int v = u; v < u + count; ++v) {
        const Real* sums = pre_at(group, v, now.local);
        if constexpr (kind == Kind::lstm) lstm(v, now, sums);
        if constexpr (kind == Kind::gru) gru(part, v, now, sums);
        if constexpr (kind == Kind::rnn) rnn(v, now, sums);
      }
    }
  }

  // U h + b_h of the GRU: r and z are added to what x gave, n's part is kept apart as q.
  void recurrent_gru(int part, const Step& now, int u, const Pack* before, ptrdiff_t stride, const Pack* panel,
                     ptrdiff_t K, Real* pre) {
    const Real* bias = p.q_bias.template as<Real>() + ptrdiff_t(u) * L;
    for_tiles<S>(0, now.rows, [&](int row, int rows) {
      Real sums[tile_rows<S> * S * L];
      for (int r = 0; r < rows; ++r) {
        std::memcpy(sums + r * S * L, pre + (row + r) * S * L, 2 * L * sizeof(Real));
        std::memcpy(sums + r * S * L + 2 * L, bias, L * sizeof(Real));
      }
      tile<Pack, S, Along::row>(rows, before + row * stride, stride, panel, K, sums, S * L);
      for (int r = 0; r < rows; ++r) {
        std::memcpy(pre + (row + r) * S * L, sums + r * S * L, 2 * L * sizeof(Real));
        std::memcpy(q_at(now.group, part, row + r), sums + r * S * L + 2 * L, L * sizeof(Real));
      }
    });
  }
  Real* q_at(const Group& group, int part, int row) {
    return group.q + (ptrdiff_t(part) * group.rows.size() + row) * L;
  }

  // Each sequence's step, from the sums of one panel: the equations of cells/lstm.py.
  void lstm(int u, const Step& now, const Real* sums) {
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
    for (int r = 0; r < now.rows; ++r) {
      const Real* acc = sums + r * S * L;
      const int64_t row = now.token + r;
      Real* state = now.group.c + ptrdiff_t(r) * H + j;
      Vec<Real> c_prev = load(state, n);
      Vec<Real> i_pre = load(acc), f_pre = load(acc + L), g_pre = load(acc + 2 * L), o_pre = load(acc + 3 * L);
      if (peep[0]) i_pre = fma(load(peep[0], n), c_prev, i_pre);
      if (peep[1]) f_pre = fma(load(peep[1], n), c_prev, f_pre);
      Vec<Real> i = apply<Real>(Squash(p.cell.squash[0]), i_pre);
      Vec<Real> fg = apply<Real>(Squash(p.cell.squash[1]), f_pre);
      Vec<Real> g = apply<Real>(Squash(p.cell.squash[2]), g_pre);
      Vec<Real> c_t = fma(fg, c_prev, i * g);
      if (peep[3]) o_pre = fma(load(peep[3], n), c_t, o_pre);
      Vec<Real> o = apply<Real>(Squash(p.cell.squash[3]), o_pre);
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
        store(now.group.m + r * m_stride + j, m_t, n);
      } else {
        emit(now, r, j, n, m_t);
      }
    }
  }

  // Equations of cells/gru.py.
  void gru(int part, int u, const Step& now, const Real* sums) {
    const int j = u * L, n = std::min(L, H - j);
    auto* gates = static_cast<Store*>(f.gates);
    auto* pres = static_cast<Store*>(f.pre);
    auto* pasts = static_cast<Store*>(f.q);
    const Vec<Real> one = splat(Real(1));
    for (int r = 0; r < now.rows; ++r) {
      const Real* acc = sums + r * S * L;
      const int64_t row = now.token + r;
      Vec<Real> past = load(q_at(now.group, part, r));
      Vec<Real> r_pre = load(acc), z_pre = load(acc + L);
      Vec<Real> reset = apply<Real>(Squash(p.cell.squash[0]), r_pre);
      Vec<Real> z = apply<Real>(Squash(p.cell.squash[1]), z_pre);
      Vec<Real> n_pre = fma(reset, past, load(acc + 2 * L));
      Vec<Real> cand = apply<Real>(Squash(p.cell.squash[2]), n_pre);
      Real* state = now.group.c + ptrdiff_t(r) * H + j;
      Vec<Real> h_t = fma(z, load(state, n), (one - z) * cand);
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

  // Equations of cells/rnn.py.
  void rnn(int u, const Step& now, const Real* sums) {
    auto* gates = static_cast<Store*>(f.gates);
    auto* pres = static_cast<Store*>(f.pre);
    for (int s = 0; s < 4; ++s) {
      const int j = u * units + s * L, n = std::min(L, H - j);
      if (n <= 0) break;
      for (int r = 0; r < now.rows; ++r) {
        const int64_t row = now.token + r;
        Vec<Real> h_pre = load(sums + r * S * L + s * L);
        Vec<Real> h_t = apply<Real>(Squash(p.cell.squash[0]), h_pre);
        if (gates) store(gates + row * H + j, h_t, n);
        if (pres) store(pres + row * H + j, h_pre, n);
        emit(now, r, j, n, h_t);
      }
    }
  }

  // Some units' h_t of one row, to the caller and to the next step.
  void emit(const Step& now, int r, int j, int n, Vec<Real> h_t) {
    Store* h = static_cast<Store*>(f.h) + (now.token + r) * P + j;
    store(h, h_t, n);
    Element* next = now.group.h[(now.k + 1) % 2] + r * h_stride + j;
    if constexpr (std::is_same_v<Store, Element>) {
      store(next, h_t, n);
    } else {
      convert_row(next, h, n);  // as rounded
    }
  }

  // h_t = V m_t, for some strips of its P numbers.
  void project(int part, const Step& now, Range mine) {
    const ptrdiff_t K = padded<Mode>(H) / width<Mode>, stride = m_stride / width<Mode>;
    const size_t v_panel = panel_elements<Mode>(4, H);
    const Pack* m = reinterpret_cast<const Pack*>(now.group.m);
    Real* sums = now.group.out + ptrdiff_t(part) * now.group.rows.size() * 4 * L;
    for (int v = mine.first; v < mine.end; ++v) {
      const Pack* panel = reinterpret_cast<const Pack*>(p.v.template as<Element>() + v * v_panel);
      for_tiles<4>(0, now.rows, [&](int row, int rows) {
        std::memset(sums, 0, size_t(rows) * 4 * L * sizeof(Real));
        tile<Pack, 4, Along::row>(rows, m + row * stride, stride, panel, K, sums, 4 * L);
        for (int s = 0; s < 4; ++s) {
          const int j = v * 4 * L + s * L, n = std::min(L, P - j);
          if (n <= 0) break;
          for (int r = 0; r < rows; ++r) emit(now, row + r, j, n, load(sums + r * 4 * L + s * L));
        }
      });
    }
  }

  const Forward& f;
  const Panels& p;
  const Offsets at;
  const int I, H, P;
  const bool projected;
  int panels;
  size_t x_panel, h_panel;
  ptrdiff_t h_stride, m_stride, x_stride;
  bool x_in_place;
  Grid grid{1, 1};
  std::vector<Group> groups;
  Scratch scratch;
};

}  // namespace glasscell::GLASSCELL_VARIANT
