// The forward pass over packed tokens.
//
// Tokens are taken in chunks of whole steps. For each chunk, W x + b of all its tokens is computed
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
    plan_chunks();
    const size_t states = size_t(f.sequences.N) * size_t(H);
    prefer_huge_pages(f.c, states * sizeof(Real));
    prefer_huge_pages(f.gates, states * G * sizeof(Store));
    prefer_huge_pages(f.pre, states * G * sizeof(Store));
    prefer_huge_pages(f.h, size_t(f.sequences.N) * size_t(P) * sizeof(Store));
    // Tokens are read where they lie if products can take them as they are.
    x_in_place = std::is_same_v<Store, Element> && I % width<Mode> == 0 &&
                 reinterpret_cast<uintptr_t>(f.x) % sizeof(Pack) == 0;
    scratch.ask(pre, size_t(panels) * most_tokens * S * L);
    scratch.ask(h[0], size_t(B) * h_stride);
    scratch.ask(h[1], size_t(B) * h_stride);
    scratch.ask(q, kind == Kind::gru ? size_t(grid.threads()) * B * L : 0);
    scratch.ask(c, kind == Kind::rnn ? 0 : size_t(B) * H);
    scratch.ask(m, projected ? size_t(B) * m_stride : 0);
    scratch.ask(out, projected ? size_t(grid.threads()) * B * 4 * L : 0);
    scratch.ask(x_copy, x_in_place ? 0 : size_t(most_tokens) * x_stride);
    scratch.allot();
  }

  void run() {
    Meeting meeting(grid);
    parallel(grid.threads(), [&](int thread, int count) {
      // Fewer threads than asked for: one does it all.
      if (count == grid.threads()) {
        work(thread, grid, meeting);
      } else if (thread == 0) {
        Grid alone{1, 1};
        Meeting single(alone);
        work(0, alone, single);
      }
    });
  }

 private:
  void plan_chunks() {
    const int64_t T = f.sequences.T;
    for (int64_t k = 0; k < T;) {
      int64_t from = k, tokens = 0;
      while (k < T && (k == from || tokens + at.size(at.step(k)) <= chunk_tokens))
        tokens += at.size(at.step(k++));
      chunks.push_back({from, k});
      most_tokens = std::max(most_tokens, tokens);
    }
  }

  void work(int thread, Grid grid, Meeting& meeting) {
    const Range mine = share(panels, thread % grid.by_unit, grid.by_unit);
    const Range rows = at.share_of_tokens(thread / grid.by_unit, grid.by_sequence);
    start(thread % grid.by_unit, grid.by_unit, rows);
    meeting.group(thread);
    for (auto [from, to] : chunks) {
      const int64_t low = std::min(at.step(from), at.step(to - 1));
      const int64_t high = std::max(at.step(from), at.step(to - 1));
      const int64_t origin = at.first[low];
      // In a ragged batch a row of the chunk is another sequence's in the next one.
      if (f.sequences.batch_sizes && grid.by_sequence > 1) meeting.all(thread);
      if (!x_in_place) {
        // Each group copies its own rows; its threads share the work.
        for (int64_t t = low; t <= high; ++t) copy_tokens(t, origin, rows, thread % grid.by_unit, grid.by_unit);
        meeting.group(thread);
      }
      for (int u = mine.first; u < mine.end; ++u) {
        if (grid.by_sequence == 1) {
          input_term(u, origin, origin, at.first[high + 1]);
        } else {
          for (int64_t t = low; t <= high; ++t)
            input_term(u, origin, at.first[t] + rows.first,
                       at.first[t] + std::min<int64_t>(rows.end, at.size(t)));
        }
      }
      for (int64_t k = from; k < to; ++k) {
        const int64_t t = at.step(k);
        const Range live{rows.first, int(std::min<int64_t>(rows.end, at.size(t)))};
        step(thread, k, t, origin, mine, live);
        meeting.group(thread);
        if (projected) {
          project(thread, k, t, share(p.cell.P ? strips(P) : 0, thread % grid.by_unit, grid.by_unit), live);
          meeting.group(thread);
        }
      }
    }
    finish(thread % grid.by_unit, grid.by_unit, rows);
  }

  static int strips(int columns) { return (columns + 4 * L - 1) / (4 * L); }

  // The initial states, as the products read them, into both buffers: sequences that join late
  // (in reverse, short ones) find theirs untouched.
  void start(int part, int parts, Range rows) {
    const auto* h_0 = static_cast<const Store*>(f.h_0);
    const auto* c_0 = static_cast<const Store*>(f.c_0);
    Range mine = share(rows.size(), part, parts);
    for (int b = rows.first + mine.first; b < rows.first + mine.end; ++b) {
      for (Element* buffer : {h[0], h[1]}) {
        Element* row = buffer + b * h_stride;
        std::memset(row, 0, size_t(h_stride) * sizeof(Element));
        convert_row(row, h_0 + ptrdiff_t(b) * P, P);
      }
      if constexpr (kind == Kind::lstm) convert_row(c + ptrdiff_t(b) * H, c_0 + ptrdiff_t(b) * H, H);
      // a GRU keeps its state in full precision beside its rounding
      if constexpr (kind == Kind::gru) convert_row(c + ptrdiff_t(b) * H, h_0 + ptrdiff_t(b) * H, H);
      if (projected) std::memset(m + b * m_stride, 0, size_t(m_stride) * sizeof(Element));
    }
  }

  void finish(int part, int parts, Range rows) {
    auto* h_n = static_cast<Store*>(f.h_n);
    auto* c_n = static_cast<Store*>(f.c_n);
    const auto* out_h = static_cast<const Store*>(f.h);
    Range mine = share(rows.size(), part, parts);
    for (int b = rows.first + mine.first; b < rows.first + mine.end; ++b) {
      if (h_n) {
        int64_t t = 0;
        if (!f.sequences.reverse) {
          t = f.sequences.T - 1;
          while (at.size(t) <= b) --t;
        }
        convert_row(h_n + ptrdiff_t(b) * P, out_h + (at.first[t] + b) * P, P);
      }
      if constexpr (kind == Kind::lstm)
        if (c_n) convert_row(c_n + ptrdiff_t(b) * H, c + ptrdiff_t(b) * H, H);
    }
  }

  void copy_tokens(int64_t t, int64_t origin, Range rows, int part, int parts) {
    const auto* x = static_cast<const Store*>(f.x);
    Range live{rows.first, int(std::min<int64_t>(rows.end, at.size(t)))};
    if (live.size() <= 0) return;
    Range mine = share(live.size(), part, parts);
    for (int b = live.first + mine.first; b < live.first + mine.end; ++b) {
      int64_t token = at.first[t] + b;
      Element* row = x_copy + (token - origin) * x_stride;
      std::memset(row, 0, size_t(x_stride) * sizeof(Element));
      convert_row(row, x + token * I, I);
    }
  }

  Real* pre_at(int u, int64_t token) { return pre + (ptrdiff_t(u) * most_tokens + token) * S * L; }

  // W x + b of the tokens first .. end, for the units of one panel.
  void input_term(int u, int64_t origin, int64_t first, int64_t end) {
    if (first >= end) return;
    const Real* bias = p.bias.template as<Real>() + ptrdiff_t(u) * S * L;
    const Pack* panel = reinterpret_cast<const Pack*>(p.x.template as<Element>() + u * x_panel);
    const Element* x = x_in_place ? static_cast<const Element*>(f.x) + origin * I : x_copy;
    const ptrdiff_t stride = (x_in_place ? I : x_stride) / width<Mode>;
    const ptrdiff_t K = padded<Mode>(I) / width<Mode>;
    for_tiles<S>(int(first - origin), int(end - origin), [&](int row, int rows) {
      Real* acc = pre_at(u, row);
      for (int r = 0; r < rows; ++r) std::memcpy(acc + r * S * L, bias, S * L * sizeof(Real));
      tile<Pack, S, Along::row>(rows, reinterpret_cast<const Pack*>(x) + row * stride, stride, panel, K,
                                acc, S * L);
    });
  }

  void step(int thread, int64_t k, int64_t t, int64_t origin, Range mine, Range live) {
    if (live.size() <= 0) return;
    const Pack* before = reinterpret_cast<const Pack*>(h[k % 2]);
    const ptrdiff_t stride = h_stride / width<Mode>, K = padded<Mode>(P) / width<Mode>;
    const int64_t token = at.first[t] - origin;
    const Pack* first_panel = reinterpret_cast<const Pack*>(p.h.template as<Element>());
    const ptrdiff_t panel_stride = ptrdiff_t(h_panel) / width<Mode>;
    for (int done = 0, count; done < mine.size(); done += count) {
      count = kind != Kind::gru && Operand<Pack>::slow && live.size() == 1 && done + 1 < mine.size() ? 2 : 1;
      // To and fro: the panels read last are still in the core's cache.
      const int u = k % 2 ? mine.end - done - count : mine.first + done;
      const Pack* panel = first_panel + u * panel_stride;
      if constexpr (kind == Kind::gru) {
        recurrent_gru(thread, u, before, stride, panel, K, token, live);
        gru(thread, u, k, t, token, live);
      } else if (count == 2) {
        one_row<Pack, S>(before + live.first * stride, panel, panel_stride, K,
                         pre_at(u, token + live.first), most_tokens * S * L);
      } else {
        for_tiles<S>(live.first, live.end, [&](int row, int rows) {
          tile<Pack, S, Along::row>(rows, before + row * stride, stride, panel, K, pre_at(u, token + row), S * L);
        });
      }
      for (int v = u; v < u + count; ++v) {
        if constexpr (kind == Kind::lstm) lstm(v, k, t, token, live);
        if constexpr (kind == Kind::rnn) rnn(v, k, t, token, live);
      }
    }
  }

  // U h + b_h of the GRU: r and z are added to what x gave, n's part is kept apart as q.
  void recurrent_gru(int thread, int u, const Pack* before, ptrdiff_t stride, const Pack* panel,
                     ptrdiff_t K, int64_t token, Range live) {
    const Real* bias = p.q_bias.template as<Real>() + ptrdiff_t(u) * L;
    for_tiles<S>(live.first, live.end, [&](int row, int rows) {
      Real sums[tile_rows<S> * S * L];
      for (int r = 0; r < rows; ++r) {
        std::memcpy(sums + r * S * L, pre_at(u, token + row + r), 2 * L * sizeof(Real));
        std::memcpy(sums + r * S * L + 2 * L, bias, L * sizeof(Real));
      }
      tile<Pack, S, Along::row>(rows, before + row * stride, stride, panel, K, sums, S * L);
      for (int r = 0; r < rows; ++r) {
        std::memcpy(pre_at(u, token + row + r), sums + r * S * L, 2 * L * sizeof(Real));
        std::memcpy(q_at(thread, row + r), sums + r * S * L + 2 * L, L * sizeof(Real));
      }
    });
  }
  Real* q_at(int thread, int row) { return q + (ptrdiff_t(thread) * f.sequences.B + row) * L; }

  // Each sequence's step, from the sums of one panel: the equations of cells/lstm.py.
  void lstm(int u, int64_t k, int64_t t, int64_t token, Range live) {
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
    for (int b = live.first; b < live.end; ++b) {
      const Real* acc = pre_at(u, token + b);
      const int64_t row = at.first[t] + b;
      Real* state = c + ptrdiff_t(b) * H + j;
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
        store(m + b * m_stride + j, m_t, n);
      } else {
        emit(k, row, b, j, n, m_t);
      }
    }
  }

  // Equations of cells/gru.py.
  void gru(int thread, int u, int64_t k, int64_t t, int64_t token, Range live) {
    const int j = u * L, n = std::min(L, H - j);
    auto* gates = static_cast<Store*>(f.gates);
    auto* pres = static_cast<Store*>(f.pre);
    auto* pasts = static_cast<Store*>(f.q);
    const Vec<Real> one = splat(Real(1));
    for (int b = live.first; b < live.end; ++b) {
      const Real* acc = pre_at(u, token + b);
      const int64_t row = at.first[t] + b;
      Vec<Real> past = load(q_at(thread, b));
      Vec<Real> r_pre = load(acc), z_pre = load(acc + L);
      Vec<Real> r = apply<Real>(Squash(p.cell.squash[0]), r_pre);
      Vec<Real> z = apply<Real>(Squash(p.cell.squash[1]), z_pre);
      Vec<Real> n_pre = fma(r, past, load(acc + 2 * L));
      Vec<Real> cand = apply<Real>(Squash(p.cell.squash[2]), n_pre);
      Real* state = c + ptrdiff_t(b) * H + j;
      Vec<Real> h_t = fma(z, load(state, n), (one - z) * cand);
      if (gates) {
        Store* to = gates + row * 3 * H + j;
        store(to, r, n), store(to + H, z, n), store(to + 2 * H, cand, n);
      }
      if (pres) {
        Store* to = pres + row * 3 * H + j;
        store(to, r_pre, n), store(to + H, z_pre, n), store(to + 2 * H, n_pre, n);
      }
      if (pasts) store(pasts + row * H + j, past, n);
      store(state, h_t, n);
      emit(k, row, b, j, n, h_t);
    }
  }

  // Equations of cells/rnn.py.
  void rnn(int u, int64_t k, int64_t t, int64_t token, Range live) {
    auto* gates = static_cast<Store*>(f.gates);
    auto* pres = static_cast<Store*>(f.pre);
    for (int s = 0; s < 4; ++s) {
      const int j = u * units + s * L, n = std::min(L, H - j);
      if (n <= 0) break;
      for (int b = live.first; b < live.end; ++b) {
        const int64_t row = at.first[t] + b;
        Vec<Real> h_pre = load(pre_at(u, token + b) + s * L);
        Vec<Real> h_t = apply<Real>(Squash(p.cell.squash[0]), h_pre);
        if (gates) store(gates + row * H + j, h_t, n);
        if (pres) store(pres + row * H + j, h_pre, n);
        emit(k, row, b, j, n, h_t);
      }
    }
  }

  // h_t, to the caller and to the next step.
  void emit(int64_t k, int64_t row, int b, int j, int n, Vec<Real> h_t) {
    store(static_cast<Store*>(f.h) + row * P + j, h_t, n);
    Element* next = h[(k + 1) % 2] + b * h_stride + j;
    if constexpr (std::is_same_v<Store, Element>) {
      store(next, h_t, n);
    } else {
      convert_row(next, static_cast<const Store*>(f.h) + row * P + j, n);  // as rounded
    }
  }

  // h_t = V m_t, for some strips of its P numbers.
  void project(int thread, int64_t k, int64_t t, Range mine, Range live) {
    if (live.size() <= 0) return;
    const ptrdiff_t K = padded<Mode>(H) / width<Mode>, stride = m_stride / width<Mode>;
    const size_t v_panel = panel_elements<Mode>(4, H);
    Real* sums = out + ptrdiff_t(thread) * f.sequences.B * 4 * L;
    for (int v = mine.first; v < mine.end; ++v) {
      const Pack* panel = reinterpret_cast<const Pack*>(p.v.template as<Element>() + v * v_panel);
      for_tiles<4>(live.first, live.end, [&](int row, int rows) {
        std::memset(sums, 0, size_t(rows) * 4 * L * sizeof(Real));
        tile<Pack, 4, Along::row>(rows, reinterpret_cast<const Pack*>(m) + row * stride, stride, panel, K, sums, 4 * L);
        for (int s = 0; s < 4; ++s) {
          const int j = v * 4 * L + s * L, n = std::min(L, P - j);
          if (n <= 0) break;
          for (int r = 0; r < rows; ++r)
            emit(k, at.first[t] + row + r, row + r, j, n, load(sums + r * 4 * L + s * L));
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
  std::vector<std::pair<int64_t, int64_t>> chunks;
  int64_t most_tokens = 0;
  Scratch scratch;
  Real *pre, *q, *c, *out;  // sums (panel, token, S * L); U_n h; the state; projected sums
  Element *h[2], *m, *x_copy;
};

}  // namespace glasscell::GLASSCELL_VARIANT
