// Backpropagation through time over packed tokens.
//
// Steps are visited from the last to the first, in chunks. Within a chunk each step multiplies the
// gradient of the step after it with U, and the equations of the cell's backward run on the sums
// of that product. The gradients of a chunk's pre-activations, `d`, are then still in the cache
// when the weights' gradients are computed from them.
#pragma once

#include "norm_backward.h"
#include "weight_gradients.h"

namespace glasscell::GLASSCELL_VARIANT {

template <class Mode, Kind kind>
class BackwardRun {
  using Store = typename Mode::Store;
  using Real = typename Mode::Real;
  using Element = typename Mode::Element;
  using Pack = typename Mode::Pack;
  static constexpr int L = lanes<Real>, strip = 4 * L, W = width<Mode>, C = carried_of(kind);
  // A chunk's `d` is to stay in the cache that cores share until its three products have used it;
  // long sums spare them loads and stores of the weights' gradients.
  static constexpr int least_tokens = 192, most_chunk_tokens = 768;
  static constexpr ptrdiff_t chunk_bytes = ptrdiff_t(is_normalised(kind) ? 1 : 4) << 20;

 public:
  explicit BackwardRun(const Backward& call)
      : f(call), p(*call.panels), at(call.sequences), columns(kind, call.panels->cell.H),
        I(p.cell.I), H(p.cell.H), P(p.cell.P), projected(p.dv.bytes() > 0),
        path(path_of(p.cell, f.noise, f.edits)), keys(f.noise.seed),
        carries_h(is_gru(kind) || f.noise.zoneout_hidden || (kind == Kind::rnn && p.cell.peephole[0] >= 0)),
        stride{row_stride<Element>(ptrdiff_t(columns.count) * columns.stride),
               row_stride<Element>(padded<Mode>(P)), row_stride<Element>(H)},
        weights(f, at, columns, stride), h_strips(weights.strips(P)), m_strips(weights.strips(H)) {
    panel = panel_elements<Mode>(4, columns.sum);
    v_panel = panel_elements<Mode>(4, P);
    const int64_t B = f.sequences.B;
    grid = choose_grid(f.threads, std::max(h_strips, m_strips), panel * sizeof(Element), int(B),
                       2.0 * double(B) * double(columns.sum) * P, f.sequences.T);
    // a norm needs all units of a sequence
    if (is_normalised(kind)) grid = {1, grid.threads() > 1 ? std::min(f.threads, int(B)) : 1};
    plan_chunks();
    prefer_huge_pages(f.dx, size_t(f.sequences.N) * size_t(I) * sizeof(Store));
    const size_t tokens = size_t(padded<Mode>(most_tokens));
    scratch.ask(d[0], tokens * stride.d);
    scratch.ask(d[1], tokens * stride.d);
    scratch.ask(dh_rows, projected ? tokens * stride.dh : 0);
    scratch.ask(m_rows, projected && f.dV ? tokens * stride.m : 0);
    weights.ask(scratch, most_tokens, grid.threads());
    groups.resize(size_t(grid.by_sequence)), sums.resize(size_t(grid.threads())), dm_rows.resize(sums.size());
    for (int k = 0; k < grid.by_sequence; ++k) {
      Group& group = groups[size_t(k)];
      group.rows = at.share_of_tokens(k, grid.by_sequence);
      scratch.leave_gap();
      scratch.ask(group.carry, size_t(group.rows.size()) * C * H);
      scratch.ask(group.h_carry, carries_h ? size_t(group.rows.size()) * (projected ? P : H) : 0);
    }
    for (size_t k = 0; k < sums.size(); ++k) {
      scratch.leave_gap();
      scratch.ask(sums[k], size_t(group_of(int(k)).rows.size()) * strip);
      const size_t numbers = size_t(group_of(int(k)).rows.size() + 1) * size_t(m_strips) * strip;
      scratch.ask(dm_rows[k], is_normalised(kind) ? numbers : 0);
    }
    scratch.allot();
  }

  void run() {
    Meeting meeting(grid);
    on_grid(grid, [&](int thread) { work(thread, meeting); }, [&] {
      Backward alone = f;
      alone.threads = 1;
      BackwardRun(alone).run();
    });
  }

 private:
  struct Chunk {
    int64_t from, to;  // places in the recurrence, from > to: to is the first step, from - 1 the last
  };

  void plan_chunks() {
    const ptrdiff_t fitting = chunk_bytes / (stride.d * ptrdiff_t(sizeof(Element)));
    const int64_t chunk_tokens = std::clamp<ptrdiff_t>(fitting, least_tokens, most_chunk_tokens);
    for (int64_t k = f.sequences.T; k > 0;) {
      int64_t from = k, tokens = 0;
      while (k > 0 && (k == from || tokens + at.size(at.step(k - 1)) <= chunk_tokens))
        tokens += at.size(at.step(--k));
      chunks.push_back({from, k});
      most_tokens = std::max(most_tokens, tokens);
    }
  }

  // The last step that was visited: its gradient is what the next one multiplies with U.
  struct Visited {
    const Element* d = nullptr;  // of its first token
    int size = 0;
  };

  // What the threads of a group keep of their sequences.
  struct Group {
    Range rows;
    Real* carry;    // (row, C*H): dL/dc_{t-1}
    Real* h_carry;  // (row, H): dL/dh_{t-1} beside what comes through products; projected: (row, P)
  };
  const Group& group_of(int thread) const { return groups[size_t(thread / grid.by_unit)]; }

  void work(int thread, Meeting& meeting) {
    const int threads = grid.threads(), part = thread % grid.by_unit;
    const Range rows = group_of(thread).rows;
    start(thread, threads);
    meeting.all(thread);
    Visited last;
    int parity = 0;
    for (Chunk chunk : chunks) {
      const int64_t t_from = at.step(chunk.from - 1), t_to = at.step(chunk.to);
      const int64_t low = std::min(t_from, t_to), high = std::max(t_from, t_to);
      const int64_t origin = at.first[low], tokens = at.first[high + 1] - origin;
      for (int64_t k = chunk.from; k-- > chunk.to;) {
        const int64_t t = at.step(k);
        Element* rows_of_t = d[parity] + (at.first[t] - origin) * stride.d;
        if (projected) {
          projected_step(thread, t, origin, last, rows, part, grid.by_unit, meeting);
        }
        const Range mine = share(m_strips, part, grid.by_unit);
        for (int v = mine.first; v < mine.end; ++v) step(thread, t, origin, last, rows, v, rows_of_t);
        if constexpr (is_normalised(kind)) normalised_rows(thread, t, origin, rows, rows_of_t);
        meeting.group(thread);
        last = {rows_of_t, int(at.size(t))};
      }
      meeting.all(thread);
      const bool first = chunk.from == f.sequences.T;
      weights.add(thread, threads, {low, high, origin, tokens, d[parity], dh_rows, m_rows, first}, meeting);
      parity ^= 1;
    }
    const Range mine = share(h_strips, part, grid.by_unit);
    for (int v = mine.first; v < mine.end; ++v) product_with_U(thread, last, rows, 0, v);
    meeting.all(thread);
    finish(thread);
    weights.finish(thread, threads);
  }

  void start(int thread, int threads) {
    auto zero = [&](auto* data, size_t count) {
      Range mine = share(int(std::min<size_t>(count, 1 << 30)), thread, threads);
      if (count <= size_t(1) << 30) {
        std::memset(data + mine.first, 0, size_t(mine.size()) * sizeof *data);
      } else if (thread == 0) {
        std::memset(data, 0, count * sizeof *data);
      }
    };
    for (const Group& group : groups) {
      zero(group.carry, size_t(group.rows.size()) * C * H);
      if (carries_h) zero(group.h_carry, size_t(group.rows.size()) * (projected ? P : H));
    }
    weights.start(thread, threads);
    const size_t tokens = size_t(padded<Mode>(most_tokens));
    if (columns.stride != H) zero(d[0], tokens * stride.d), zero(d[1], tokens * stride.d);
    if (projected) zero(dh_rows, tokens * stride.dh);
  }

  // sums = (d of the last visited step) U for one strip of its columns; rows that end here, as the
  // recurrence began with them, hand theirs to dh_0. Rows that begin here get zeros.
  Real* product_with_U(int thread, Visited last, Range rows, int64_t size, int v) {
    Real* acc = sums[size_t(thread)];
    const int end = std::min(rows.end, last.size), live = int(std::min<int64_t>(rows.end, size));
    std::memset(acc, 0, size_t(std::max(0, std::max(end, live) - rows.first)) * strip * sizeof(Real));
    const Pack* U = reinterpret_cast<const Pack*>(p.dh.template as<Element>() + v * panel);
    const Element* from = last.d + columns.h_first;
    if (p.cell.reads_h)
      for_tiles<4>(rows.first, end, [&](int row, int count) {
        tile<Pack, 4, Along::row>(count, reinterpret_cast<const Pack*>(from + row * stride.d), stride.d / W,
                                  U, columns.sum / W, acc + ptrdiff_t(row - rows.first) * strip, strip);
      });
    if (f.noise.mask) masked(rows.first, end, v, acc);
    if (f.dh_0) {
      auto* dh_0 = static_cast<Store*>(f.dh_0);
      for (int b = std::max(rows.first, live); b < end; ++b)
        for (int s = 0; s < 4; ++s) {
          const int j = v * strip + s * L, n = std::min(L, P - j);
          if (n <= 0) break;
          Vec<Real> sum = load(acc + ptrdiff_t(b - rows.first) * strip + s * L);
          if (carries_h)
            sum = sum + load(group_of(thread).h_carry + ptrdiff_t(b - rows.first) * (projected ? P : H) + j, n);
          store(dh_0 + ptrdiff_t(b) * P + j, sum, n);
        }
    }
    return acc;
  }

  // dL/dh_{t-1} from dL/d(what products read of it), for one strip of some rows.
  void masked(int first, int end, int v, Real* acc) const {
    for (int b = first; b < end; ++b)
      for (int s = 0; s < 4; ++s) {
        const int j = v * strip + s * L, n = std::min(L, P - j);
        if (n <= 0) break;
        Real* sum = acc + ptrdiff_t(b - first) * strip + s * L;
        store(sum, load(sum) * load(static_cast<const Store*>(f.noise.mask) + ptrdiff_t(b) * P + j, n));
      }
  }

  // dL/dh_t of a projected step, all of which dL/dm_t = dL/dh_t V needs.
  void projected_step(int thread, int64_t t, int64_t origin, Visited last, Range rows, int part,
                      int parts, Meeting& meeting) {
    const Range mine = share(h_strips, part, parts);
    const int live = int(std::min<int64_t>(rows.end, at.size(t)));
    for (int v = mine.first; v < mine.end; ++v) {
      const Real* acc = product_with_U(thread, last, rows, at.size(t), v);
      for (int b = rows.first; b < live; ++b)
        for (int s = 0; s < 4; ++s) {
          const int j = v * strip + s * L, n = std::min(L, P - j);
          if (n <= 0) break;
          const int64_t token = at.first[t] + b;
          Vec<Real> dh = load(acc + ptrdiff_t(b - rows.first) * strip + s * L);
          Real* back = carries_h ? group_of(thread).h_carry + ptrdiff_t(b - rows.first) * P + j : nullptr;
          if (back) dh = dh + load(back, n);
          if (f.dh) dh = dh + load(static_cast<const Store*>(f.dh) + token * P + j, n);
          if (f.step_dh) store(static_cast<Store*>(f.step_dh) + token * P + j, dh, n);
          if (f.edits.any) dh = edited_backward<Mode>(f.edits.of[Edits::hidden], token, P, j, n, dh);
          if (f.noise.zoneout_hidden) {
            const Vec<Real> stays = Staying<Real>(f.noise, keys, token, j).hidden;
            store(back, stays * dh, n);
            dh = (splat(Real(1)) - stays) * dh;
          }
          store(dh_rows + (token - origin) * stride.dh + j, dh, n);
        }
    }
    meeting.group(thread);
  }

  // One step, for one strip of units.
  void step(int thread, int64_t t, int64_t origin, Visited last, Range rows, int v, Element* rows_of_t) {
    const int live = int(std::min<int64_t>(rows.end, at.size(t)));
    const Group& group = group_of(thread);
    Real* acc;
    if (projected) {
      acc = sums[size_t(thread)];
      if (live > rows.first) std::memset(acc, 0, size_t(live - rows.first) * strip * sizeof(Real));
      const Pack* V = reinterpret_cast<const Pack*>(p.dv.template as<Element>() + v * v_panel);
      const Element* from = dh_rows + (at.first[t] - origin) * stride.dh;
      for_tiles<4>(rows.first, live, [&](int row, int count) {
        tile<Pack, 4, Along::row>(count, reinterpret_cast<const Pack*>(from + row * stride.dh), stride.dh / W,
                                  V, padded<Mode>(P) / W, acc + ptrdiff_t(row - rows.first) * strip, strip);
      });
    } else {
      acc = product_with_U(thread, last, rows, at.size(t), v);
    }
    if constexpr (is_normalised(kind)) {
      const ptrdiff_t wide = ptrdiff_t(m_strips) * strip;
      for (int b = rows.first; b < live; ++b)
        std::memcpy(dm_rows[size_t(thread)] + (b - rows.first) * wide + ptrdiff_t(v) * strip,
                    acc + ptrdiff_t(b - rows.first) * strip, strip * sizeof(Real));
      return;
    }
    UnitGradients<Mode, kind> units(f, p, at, columns, keys, projected, group.carry, carries_h ? group.h_carry : nullptr,
                                    rows.first);
    Element* m = projected && f.dV ? m_rows + (at.first[t] - origin) * stride.m : nullptr;
    for (int b = rows.first; b < live; ++b) {
      const Real* of_b = acc + ptrdiff_t(b - rows.first) * strip;
      Element *d_b = rows_of_t + b * stride.d, *m_b = m ? m + b * stride.m : nullptr;
      on_path<kind>(path, [&](auto known) __attribute__((always_inline)) {
        units.template run<known.value>(t, b, v * strip, of_b, d_b, m_b);
      });
    }
  }

  // The rest of a step of a normalised cell, once dL/dm_t of all units is there.
  void normalised_rows(int thread, int64_t t, int64_t origin, Range rows, Element* rows_of_t) {
    const int live = int(std::min<int64_t>(rows.end, at.size(t)));
    const Group& group = group_of(thread);
    NormGradients<Mode, kind> units(f, p, at, columns, keys, projected, group.carry, carries_h ? group.h_carry : nullptr,
                                    rows.first);
    Element* m = projected && f.dV ? m_rows + (at.first[t] - origin) * stride.m : nullptr;
    const ptrdiff_t wide = ptrdiff_t(m_strips) * strip;
    Real* dm = dm_rows[size_t(thread)];
    for (int b = rows.first; b < live; ++b) {
      const int64_t after = b + 1 < live ? at.first[t] + b + 1 : at.previous(t, rows.first);
      if (after >= 0) fetch_ahead(after);
      units.row(path, t, b, dm + (b - rows.first) * wide, dm + rows.size() * wide, rows_of_t + b * stride.d,
                m ? m + b * stride.m : nullptr);
    }
  }

  // What was kept of a token lies in pieces too short for a processor to see where they go on.
  void fetch_ahead(int64_t token) const {
    constexpr int64_t G = gates_of(kind);
    auto fetch = [](const void* rows, int64_t row, int64_t bytes) {
      const char* at = static_cast<const char*>(rows) + row * bytes;
      for (int64_t k = 0; k < bytes; k += int64_t(cache_line)) __builtin_prefetch(at + k);
    };
    fetch(f.q, token, kept_width(G, H) * int64_t(sizeof(Store)));
    fetch(f.gates, token, G * H * int64_t(sizeof(Store)));
    if (C > 0) fetch(f.c, token, int64_t(H) * C * int64_t(sizeof(Real)));
  }

  void finish(int thread) {
    if (C == 0 || !f.dc_0) return;
    const Group& group = group_of(thread);
    const Range mine = share(group.rows.size(), thread % grid.by_unit, grid.by_unit);
    for (int r = mine.first; r < mine.end; ++r)
      convert_row(static_cast<Store*>(f.dc_0) + ptrdiff_t(group.rows.first + r) * C * H,
                  group.carry + ptrdiff_t(r) * C * H, C * H);
  }

  const Backward& f;
  const Panels& p;
  const Offsets at;
  const GateColumns<Mode> columns;
  const int I, H, P;
  const bool projected;
  const Path path;
  const Keys keys;
  const bool carries_h;
  const Strides stride;
  WeightGradients<Mode, kind> weights;
  const int h_strips, m_strips;
  size_t panel, v_panel;
  Grid grid{1, 1};
  std::vector<Group> groups;
  std::vector<Real*> sums;     // of each thread: (row of its group, strip)
  std::vector<Real*> dm_rows;  // normalised: of each thread, dL/dm_t (row of its group, unit), and room for a row
  std::vector<Chunk> chunks;
  int64_t most_tokens = 0;
  Scratch scratch;
  Element *d[2];              // (token of the chunk, gate columns): this chunk's and the one before
  Element *dh_rows, *m_rows;  // projected: dL/dh_t and m_t of the chunk
};

}  // namespace glasscell::GLASSCELL_VARIANT
