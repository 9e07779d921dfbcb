// The forward pass over packed tokens.
//
// Sequences are cut among groups of threads, and within a group its threads cut the units. A group
// takes its tokens in chunks of whole steps. For each chunk, W x + b of all its tokens is computed
// first, as tall tiles; then its steps follow, each adding U h to it. The sums of a tile are the
// gates' pre-activations of the same units, so the cell's equations run on them at once, and the
// record is written from there.
#pragma once

#include "norm_forward.h"
#include "pack.h"
#include "partition.h"

namespace glasscell::GLASSCELL_VARIANT {

template <class Mode, Kind kind>
class ForwardRun {
  using Store = typename Mode::Store;
  using Real = typename Mode::Real;
  using Element = typename Mode::Element;
  using Pack = typename Mode::Pack;
  using Units = std::conditional_t<is_normalised(kind), NormSteps<Mode, kind>, UnitSteps<Mode, kind>>;
  using Rows = typename Units::Rows;
  static constexpr int L = lanes<Real>, S = Units::S, G = gates_of(kind), C = carried_of(kind);
  static constexpr int chunk_tokens = 48;

 public:
  explicit ForwardRun(const Forward& call)
      : f(call), p(*call.panels), at(call.sequences), I(p.cell.I), H(p.cell.H), P(p.cell.P),
        projected(p.v.bytes() > 0), panels((H + Units::units_of_panel - 1) / Units::units_of_panel),
        x_panel(panel_elements<Mode>(S, I)), h_panel(panel_elements<Mode>(S, P)),
        x_stride(row_stride<Element>(padded<Mode>(I))), h_stride(row_stride<Element>(padded<Mode>(P))),
        m_stride(row_stride<Element>(padded<Mode>(H))), units(f, at, h_stride, m_stride) {
    const int64_t B = f.sequences.B;
    grid = choose_grid(f.threads, panels, (x_panel + (p.cell.reads_h ? h_panel : 0)) * sizeof(Element), int(B),
                       2.0 * double(B) * S * L * panels * P, f.sequences.T);
    // a norm needs all units of a sequence
    if (is_normalised(kind)) grid = {1, grid.threads() > 1 ? std::min(f.threads, int(B)) : 1};
    const size_t states = size_t(f.sequences.N) * size_t(H);
    prefer_huge_pages(f.c, states * C * sizeof(Real));
    prefer_huge_pages(f.gates, states * G * sizeof(Store));
    prefer_huge_pages(f.pre, states * G * sizeof(Store));
    if (is_normalised(kind)) prefer_huge_pages(f.q, size_t(f.sequences.N * kept_width(G, H)) * sizeof(Store));
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
      scratch.ask(group.c, rows * H * (is_gru(kind) ? 1 : C));
      scratch.ask(group.m, projected ? rows * m_stride : 0);
      scratch.ask(group.x, x_in_place ? 0 : tokens * x_stride);
      scratch.ask(group.q, kind == Kind::gru ? grid.by_unit * rows * L : 0);
      scratch.ask(group.from_h, is_normalised(kind) ? size_t(panels) * rows * S * L : 0);
      scratch.ask(group.outputs, is_normalised(kind) ? size_t(panels) * 2 * L : 0);
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
    Real *pre, *c;                                   // sums (panel, token, S * L); the state (row, C*H)
    Element *h[2], *m, *x;                           // h before and after a step; o * tanh(c); tokens
    Real *q, *out;                                   // of each thread: U_n h; projected sums
    Real *from_h, *outputs;                          // of a normalised cell: U h (panel, row, S * L); of a row, its output gates and what it shows of c
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
      if constexpr (is_normalised(kind)) normalise_inputs(group, low, high);
      for (int64_t k = from; k < to; ++k) {
        const int64_t t = at.step(k);
        if (group.live(t) == 0) continue;
        const Rows now{t, group.rows.first, at.first[size_t(t)] + group.rows.first, group.live(t), group.c, group.h[(k + 1) % 2], group.m,
                       group.q + ptrdiff_t(part) * group.rows.size() * L};
        const int64_t local = group.first[size_t(t)] - group.first[size_t(low)];
        if constexpr (is_normalised(kind)) {
          normalised_step(group, k, local, now);
        } else {
          step(group, k, local, now, mine);
        }
        group.barrier.wait(part);
        if (projected) {
          project(now, group.out + ptrdiff_t(part) * group.rows.size() * 4 * L, share(strips(P), part, parts));
          group.barrier.wait(part);
        }
      }
    }
    finish(group, part, parts);
  }

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
        if (f.noise.mask) {
          units.read_initial(int(b), row);
        } else {
          convert_row(row, h_0 + b * P, P);
        }
      }
      if constexpr (C > 0) convert_row(group.c + ptrdiff_t(r) * C * H, c_0 + b * C * H, C * H);
      // a GRU keeps its state in full precision beside its rounding
      if constexpr (is_gru(kind)) convert_row(group.c + ptrdiff_t(r) * H, h_0 + b * H, H);
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
      if constexpr (C > 0)
        if (c_n) convert_row(c_n + ptrdiff_t(b) * C * H, group.c + ptrdiff_t(r) * C * H, C * H);
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

  void normalise_inputs(const Group& group, int64_t low, int64_t high) {
    const int64_t origin = group.first[size_t(low)];
    for (int64_t t = low; t <= high; ++t)
      for (int r = 0; r < group.live(t); ++r)
        units.normalise(pre_at(group, 0, group.first[size_t(t)] - origin + r), group.most_tokens * S * L,
                        at.first[size_t(t)] + group.rows.first + r, 0);
  }

  // A step of a normalised cell.
  void normalised_step(const Group& group, int64_t k, int64_t local, const Rows& now) {
    const Pack* before = reinterpret_cast<const Pack*>(group.h[k % 2]);
    const ptrdiff_t stride = h_stride / width<Mode>, K = padded<Mode>(P) / width<Mode>;
    const ptrdiff_t rows = group.rows.size(), panel_stride = rows * S * L;
    for (int done = 0; done < panels; ++done) {
      const int u = k % 2 ? panels - 1 - done : done;
      const Pack* panel = reinterpret_cast<const Pack*>(p.h.template as<Element>()) + u * ptrdiff_t(h_panel) / width<Mode>;
      Real* sums = group.from_h + u * panel_stride;
      std::memset(sums, 0, size_t(now.count) * S * L * sizeof(Real));
      for_tiles<S>(0, now.count, [&](int row, int count) {
        tile<Pack, S, Along::row>(count, before + row * stride, stride, panel, K, sums + row * S * L, S * L);
      });
    }
    // first all norms: none of them waits for another row's
    for (int r = 0; r < now.count; ++r) units.normalise(group.from_h + r * S * L, panel_stride, now.token + r, 1);
    for (int r = 0; r < now.count; ++r)
      units.row(now, r, pre_at(group, 0, local + r), group.from_h + r * S * L, group.most_tokens * S * L, panel_stride,
                group.outputs);
  }

  // The step in place k of the recurrence, for the units of some panels; its sums begin at row
  // `local` of the chunk's.
  void step(const Group& group, int64_t k, int64_t local, const Rows& now, Range mine) {
    const Pack* before = reinterpret_cast<const Pack*>(group.h[k % 2]);
    const ptrdiff_t stride = h_stride / width<Mode>, K = padded<Mode>(P) / width<Mode>;
    const Pack* first_panel = reinterpret_cast<const Pack*>(p.h.template as<Element>());
    const ptrdiff_t panel_stride = ptrdiff_t(h_panel) / width<Mode>;
    for (int done = 0, count; done < mine.size(); done += count) {
      count = kind != Kind::gru && Operand<Pack>::slow && now.count == 1 && done + 1 < mine.size() ? 2 : 1;
      // To and fro: the panels read last are still in the core's cache.
      const int u = k % 2 ? mine.end - done - count : mine.first + done;
      const Pack* panel = first_panel + u * panel_stride;
      Real* pre = pre_at(group, u, local);
      if (!p.cell.reads_h) {
        // the sums are W x + b
      } else if constexpr (kind == Kind::gru) {
        recurrent_gru(now, u, before, stride, panel, K, pre);
      } else if (count == 2) {
        one_row<Pack, S>(before, panel, panel_stride, K, pre, group.most_tokens * S * L);
      } else {
        for_tiles<S>(0, now.count, [&](int row, int rows) {
          tile<Pack, S, Along::row>(rows, before + row * stride, stride, panel, K, pre + row * S * L, S * L);
        });
      }
      for (int v = u; v < u + count; ++v) units.run(v, now, pre_at(group, v, local));
    }
  }

  // U h + b_h of the GRU: r and z are added to what x gave, n's part is kept apart as q.
  void recurrent_gru(const Rows& now, int u, const Pack* before, ptrdiff_t stride, const Pack* panel,
                     ptrdiff_t K, Real* pre) {
    const Real* bias = p.q_bias.template as<Real>() + ptrdiff_t(u) * L;
    for_tiles<S>(0, now.count, [&](int row, int rows) {
      Real sums[tile_rows<S> * S * L];
      for (int r = 0; r < rows; ++r) {
        std::memcpy(sums + r * S * L, pre + (row + r) * S * L, 2 * L * sizeof(Real));
        std::memcpy(sums + r * S * L + 2 * L, bias, L * sizeof(Real));
      }
      tile<Pack, S, Along::row>(rows, before + row * stride, stride, panel, K, sums, S * L);
      for (int r = 0; r < rows; ++r) {
        std::memcpy(pre + (row + r) * S * L, sums + r * S * L, 2 * L * sizeof(Real));
        std::memcpy(now.q + (row + r) * L, sums + r * S * L + 2 * L, L * sizeof(Real));
      }
    });
  }

  // h_t = V m_t, for some strips of its P numbers.
  void project(const Rows& now, Real* sums, Range mine) {
    const ptrdiff_t K = padded<Mode>(H) / width<Mode>, stride = m_stride / width<Mode>;
    const size_t v_panel = panel_elements<Mode>(4, H);
    const Pack* m = reinterpret_cast<const Pack*>(now.m);
    for (int v = mine.first; v < mine.end; ++v) {
      const Pack* panel = reinterpret_cast<const Pack*>(p.v.template as<Element>() + v * v_panel);
      for_tiles<4>(0, now.count, [&](int row, int rows) {
        std::memset(sums, 0, size_t(rows) * 4 * L * sizeof(Real));
        tile<Pack, 4, Along::row>(rows, m + row * stride, stride, panel, K, sums, 4 * L);
        for (int s = 0; s < 4; ++s) {
          const int j = v * 4 * L + s * L, n = std::min(L, P - j);
          if (n <= 0) break;
          for (int r = 0; r < rows; ++r) units.emit_projected(now, row + r, j, n, load(sums + r * 4 * L + s * L));
        }
      });
    }
  }

  const Forward& f;
  const Panels& p;
  const Offsets at;
  const int I, H, P;
  const bool projected;
  const int panels;
  const size_t x_panel, h_panel;
  const ptrdiff_t x_stride, h_stride, m_stride;
  const Units units;
  bool x_in_place;
  Grid grid{1, 1};
  std::vector<Group> groups;
  Scratch scratch;
};

}  // namespace glasscell::GLASSCELL_VARIANT
