// Backpropagation through time over packed tokens.
//
// Steps are visited from the last to the first, in chunks. Within a chunk each step multiplies the
// gradient of the step after it with U, and the equations of the cell's backward run on the sums
// of that product. The gradients of a chunk's pre-activations, `d`, are then still in the cache
// when three products use them: dW += d^T x, dU += d^T h_prev, and dx = d W.
#pragma once

#include "cell_backward.h"

namespace glasscell::GLASSCELL_VARIANT {

template <class Mode, Kind kind>
class BackwardRun {
  using Store = typename Mode::Store;
  using Real = typename Mode::Real;
  using Element = typename Mode::Element;
  using Pack = typename Mode::Pack;
  static constexpr int L = lanes<Real>, strip = 4 * L, W = width<Mode>;
  // A chunk's `d` is to stay in the cache that cores share until its three products have used it;
  // long sums spare them loads and stores of the weights' gradients.
  static constexpr int least_tokens = 192, most_chunk_tokens = 768;
  static constexpr ptrdiff_t chunk_bytes = ptrdiff_t(4) << 20;

 public:
  explicit BackwardRun(const Backward& call)
      : f(call), p(*call.panels), at(call.sequences), columns(kind, call.panels->cell.H),
        I(p.cell.I), H(p.cell.H), P(p.cell.P), projected(p.dv.bytes() > 0) {
    x_strips = strips(I), h_strips = strips(P), m_strips = strips(H);
    panel = panel_elements<Mode>(4, columns.sum);
    v_panel = panel_elements<Mode>(4, P);
    d_stride = row_stride<Element>(ptrdiff_t(columns.count) * columns.stride);
    dh_stride = row_stride<Element>(padded<Mode>(P));
    m_stride = row_stride<Element>(H);
    const int64_t B = f.sequences.B;
    grid = choose_grid(f.threads, std::max(h_strips, m_strips), panel * sizeof(Element), int(B),
                       2.0 * double(B) * double(columns.sum) * P, f.sequences.T);
    plan_chunks();
    prefer_huge_pages(f.dx, size_t(f.sequences.N) * size_t(I) * sizeof(Store));
    wants_W = f.dW, wants_U = f.dU, wants_V = f.dV && projected;
    const bool sums_apart = !std::is_same_v<Store, Real>;
    const size_t rows = size_t(columns.gates) * H, tokens = size_t(padded<Mode>(most_tokens));
    scratch.ask(d[0], tokens * d_stride);
    scratch.ask(d[1], tokens * d_stride);
    groups.resize(size_t(grid.by_sequence)), own.resize(size_t(grid.threads()));
    for (int k = 0; k < grid.by_sequence; ++k) {
      Group& group = groups[size_t(k)];
      group.rows = at.share_of_tokens(k, grid.by_sequence);
      scratch.leave_gap();
      scratch.ask(group.carry, kind == Kind::rnn ? 0 : size_t(group.rows.size()) * H);
    }
    for (size_t k = 0; k < own.size(); ++k) {
      scratch.leave_gap();
      scratch.ask(own[k].sums, size_t(groups[k / size_t(grid.by_unit)].rows.size()) * strip);
      scratch.ask(own[k].tile, tile_rows<4> * strip);
      scratch.ask(own[k].previous, tokens);
    }
    scratch.leave_gap();
    scratch.ask(x_panels, wants_W ? tokens * x_strips * strip : 0);
    scratch.ask(h_panels, wants_U ? tokens * h_strips * strip : 0);
    scratch.ask(m_panels, wants_V ? tokens * m_strips * strip : 0);
    scratch.ask(dh_rows, projected ? tokens * dh_stride : 0);
    scratch.ask(m_rows, wants_V ? tokens * m_stride : 0);
    scratch.ask(d_pairs, W == 2 ? tokens / W * d_stride : 0);
    scratch.ask(dh_pairs, W == 2 && wants_V ? tokens / W * dh_stride : 0);
    scratch.ask(W_sums, sums_apart && wants_W ? rows * x_strips * strip : 0);
    scratch.ask(U_sums, sums_apart && wants_U ? rows * h_strips * strip : 0);
    scratch.ask(V_sums, sums_apart && wants_V ? size_t(P) * m_strips * strip : 0);
    scratch.ask(b_sums, size_t(columns.count) * columns.stride + 3 * size_t(H));
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
  static int strips(int numbers) { return (numbers + strip - 1) / strip; }

  struct Chunk {
    int64_t from, to;  // places in the recurrence, from > to: to is the first step, from - 1 the last
  };

  void plan_chunks() {
    const ptrdiff_t fitting = chunk_bytes / (d_stride * ptrdiff_t(sizeof(Element)));
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
    Real* carry;  // (row, H): dL/dc_{t-1}, or the GRU's dL/dh_{t-1} along z
  };
  // What a thread keeps to itself.
  struct Own {
    Real* sums;         // (row, strip) of its group's
    Real* tile;         // of a product that does not end where its result does
    int64_t* previous;  // the token before each of the chunk's
  };
  const Group& group_of(int thread) const { return groups[size_t(thread / grid.by_unit)]; }

  void work(int thread, Meeting& meeting) {
    const int threads = grid.threads(), part = thread % grid.by_unit;
    const Range rows = group_of(thread).rows;
    start(thread, threads);
    meeting.all(thread);
    Visited last;
    bool first_chunk = true;
    int parity = 0;
    for (Chunk chunk : chunks) {
      const int64_t t_from = at.step(chunk.from - 1), t_to = at.step(chunk.to);
      const int64_t low = std::min(t_from, t_to), high = std::max(t_from, t_to);
      const int64_t origin = at.first[low], tokens = at.first[high + 1] - origin;
      for (int64_t k = chunk.from; k-- > chunk.to;) {
        const int64_t t = at.step(k);
        Element* rows_of_t = d[parity] + (at.first[t] - origin) * d_stride;
        if (projected) {
          projected_step(thread, t, origin, last, rows, part, grid.by_unit, meeting);
        }
        const Range mine = share(m_strips, part, grid.by_unit);
        for (int v = mine.first; v < mine.end; ++v) step(thread, t, origin, last, rows, v, rows_of_t);
        meeting.group(thread);
        last = {rows_of_t, int(at.size(t))};
      }
      meeting.all(thread);
      weight_gradients(thread, threads, low, high, origin, tokens, d[parity], first_chunk, meeting);
      first_chunk = false;
      parity ^= 1;
    }
    const Range mine = share(h_strips, part, grid.by_unit);
    for (int v = mine.first; v < mine.end; ++v) product_with_U(thread, last, rows, 0, v);
    meeting.all(thread);
    finish(thread, threads);
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
    if (kind != Kind::rnn)
      for (const Group& group : groups) zero(group.carry, size_t(group.rows.size()) * H);
    zero(b_sums, size_t(columns.count) * columns.stride + 3 * size_t(H));
    const size_t tokens = size_t(padded<Mode>(most_tokens));
    if (columns.stride != H) zero(d[0], tokens * d_stride), zero(d[1], tokens * d_stride);
    if (projected) zero(dh_rows, tokens * dh_stride);
  }

  // sums = (d of the last visited step) U for one strip of its columns; rows that end here, as the
  // recurrence began with them, hand theirs to dh_0. Rows that begin here get zeros.
  Real* product_with_U(int thread, Visited last, Range rows, int64_t size, int v) {
    Real* acc = own[size_t(thread)].sums;
    const int end = std::min(rows.end, last.size), live = int(std::min<int64_t>(rows.end, size));
    std::memset(acc, 0, size_t(std::max(0, std::max(end, live) - rows.first)) * strip * sizeof(Real));
    const Pack* weights = reinterpret_cast<const Pack*>(p.dh.template as<Element>() + v * panel);
    const Element* from = last.d + columns.h_first;
    for_tiles<4>(rows.first, end, [&](int row, int count) {
      tile<Pack, 4, Along::row>(count, reinterpret_cast<const Pack*>(from + row * d_stride), d_stride / W,
                                weights, columns.sum / W, acc + ptrdiff_t(row - rows.first) * strip, strip);
    });
    if (f.dh_0) {
      auto* dh_0 = static_cast<Store*>(f.dh_0);
      for (int b = std::max(rows.first, live); b < end; ++b)
        for (int s = 0; s < 4; ++s) {
          const int j = v * strip + s * L, n = std::min(L, P - j);
          if (n <= 0) break;
          Vec<Real> sum = load(acc + ptrdiff_t(b - rows.first) * strip + s * L);
          if constexpr (kind == Kind::gru)
            sum = sum + load(group_of(thread).carry + ptrdiff_t(b - rows.first) * H + j, n);
          store(dh_0 + ptrdiff_t(b) * P + j, sum, n);
        }
    }
    return acc;
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
          if (f.dh) dh = dh + load(static_cast<const Store*>(f.dh) + token * P + j, n);
          if (f.step_dh) store(static_cast<Store*>(f.step_dh) + token * P + j, dh, n);
          store(dh_rows + (token - origin) * dh_stride + j, dh, n);
        }
    }
    meeting.group(thread);
  }

  // One step, for one strip of units.
  void step(int thread, int64_t t, int64_t origin, Visited last, Range rows, int v, Element* rows_of_t) {
    const int live = int(std::min<int64_t>(rows.end, at.size(t)));
    UnitGradients<Mode, kind> units(f, p, at, columns, projected, group_of(thread).carry, rows.first);
    Real* acc;
    if (projected) {
      acc = own[size_t(thread)].sums;
      if (live > rows.first) std::memset(acc, 0, size_t(live - rows.first) * strip * sizeof(Real));
      const Pack* weights = reinterpret_cast<const Pack*>(p.dv.template as<Element>() + v * v_panel);
      const Element* from = dh_rows + (at.first[t] - origin) * dh_stride;
      for_tiles<4>(rows.first, live, [&](int row, int count) {
        tile<Pack, 4, Along::row>(count, reinterpret_cast<const Pack*>(from + row * dh_stride), dh_stride / W,
                                  weights, padded<Mode>(P) / W, acc + ptrdiff_t(row - rows.first) * strip, strip);
      });
    } else {
      acc = product_with_U(thread, last, rows, at.size(t), v);
    }
    Element* m = wants_V ? m_rows + (at.first[t] - origin) * m_stride : nullptr;
    for (int b = rows.first; b < live; ++b)
      units.run(t, b, v * strip, acc + ptrdiff_t(b - rows.first) * strip, rows_of_t + b * d_stride, m ? m + b * m_stride : nullptr);
  }

  // What a finished chunk gives to the weights and to x.
  void weight_gradients(int thread, int threads, int64_t low, int64_t high, int64_t origin,
                        int64_t tokens, Element* chunk, bool first, Meeting& meeting) {
    int64_t* before = own[size_t(thread)].previous;
    for (int64_t t = low; t <= high; ++t)
      for (int64_t b = 0; b < at.size(t); ++b) before[at.first[t] + b - origin] = at.previous(t, b);
    prepare_operands(thread, threads, origin, tokens, chunk, before);
    meeting.all(thread);

    const ptrdiff_t K = padded<Mode>(tokens) / W;
    const int tiles_of_gate = (H + tile_rows<4> - 1) / tile_rows<4>;
    const Range mine = share(columns.gates * tiles_of_gate, thread, threads);
    auto gates = [&](const Element* panels, int count, const int* gate, int first_column, void* out,
                     int width_of_out, Real* apart) {
      for (int v = 0; v < count; ++v)
        for (int i = mine.first; i < mine.end; ++i) {
          const int g = i / tiles_of_gate, tile_in_gate = i % tiles_of_gate;
          const Range rows = share(H, tile_in_gate, tiles_of_gate);
          outer_product(thread, chunk, d_pairs, d_stride, first_column + g * columns.stride + rows.first,
                        rows.size(), panels + ptrdiff_t(v) * padded<Mode>(tokens) * strip, K, first, out,
                        gate[g] * H + rows.first, width_of_out, v, apart, count * strip);
        }
    };
    if (wants_W) gates(x_panels, x_strips, columns.x_gate, 0, f.dW, I, W_sums);
    if (wants_U) gates(h_panels, h_strips, columns.h_gate, columns.h_first, f.dU, P, U_sums);
    if (wants_V) {
      const int count = (P + tile_rows<4> - 1) / tile_rows<4>;
      const Range tiles = share(count, thread, threads);
      for (int v = 0; v < m_strips; ++v)
        for (int i = tiles.first; i < tiles.end; ++i) {
          const Range rows = share(P, i, count);
          outer_product(thread, dh_rows, dh_pairs, dh_stride, rows.first, rows.size(),
                        m_panels + ptrdiff_t(v) * padded<Mode>(tokens) * strip, K, first, f.dV, rows.first, H, v,
                        V_sums, m_strips * strip);
        }
    }
    if (f.dx) input_gradients(thread, threads, origin, tokens, chunk);
    if (f.db_x || f.db_h || f.dp) sum_columns(thread, threads, low, high, origin, chunk, before);
    meeting.all(thread);
  }

  // The chunk's x, h_prev and m as panels, and where products take pairs, `d` in pairs of tokens.
  void prepare_operands(int thread, int threads, int64_t origin, int64_t tokens, Element* chunk,
                        const int64_t* before) {
    constexpr int64_t piece = 64;  // tokens
    const int pieces = int((tokens + piece - 1) / piece);
    auto pack = [&](int count, auto row, ptrdiff_t numbers, Element* panels, auto store_type) {
      using Stored = decltype(store_type);
      Range mine = share(count * pieces, thread, threads);
      for (int i = mine.first; i < mine.end; ++i) {
        const int v = i / pieces;
        const int64_t from = (i % pieces) * piece, to = std::min(tokens, from + piece);
        pack_columns<Mode, Stored>([&](ptrdiff_t k) { return row(from + k); }, to - from, numbers, v,
                                   panels + (ptrdiff_t(v) * padded<Mode>(tokens) + from) * strip);
      }
    };
    const auto* x = static_cast<const Store*>(f.x);
    const auto* h = static_cast<const Store*>(f.h);
    const auto* h_0 = static_cast<const Store*>(f.h_0);
    if (wants_W) pack(x_strips, [&](int64_t n) { return x + (origin + n) * I; }, I, x_panels, Store{});
    if (wants_U)
      pack(h_strips, [&](int64_t n) {
        if (before[n] >= 0) return h + before[n] * P;
        return h_0 + sequence(origin + n) * P;
      }, P, h_panels, Store{});
    if (wants_V)
      pack(m_strips, [&](int64_t n) { return static_cast<const Element*>(m_rows) + n * m_stride; }, H, m_panels, Element{});
    if constexpr (W == 2) {
      auto interleave = [&](const Element* from, ptrdiff_t stride, ptrdiff_t numbers, Pack* to) {
        Range mine = share(int(padded<Mode>(tokens) / 2), thread, threads);
        for (int k = mine.first; k < mine.end; ++k) {
          const Element* even = from + ptrdiff_t(2 * k) * stride;
          const Element* odd = even + stride;
          const bool both = 2 * k + 1 < tokens;
          pair_up(even, both ? odd : nullptr, numbers, to + ptrdiff_t(k) * stride);
        }
      };
      if (wants_W || wants_U) interleave(chunk, d_stride, ptrdiff_t(columns.count) * columns.stride, d_pairs);
      if (wants_V) interleave(dh_rows, dh_stride, P, dh_pairs);
    }
  }

  // The sequence of a token.
  int64_t sequence(int64_t token) const {
    const auto& first = at.first;
    int64_t t = std::upper_bound(first.begin(), first.end(), token) - first.begin() - 1;
    return token - first[t];
  }

  // out[row .. row + count][strip v] += (columns of d)^T panel, summed over the chunk's tokens.
  void outer_product(int thread, const Element* rows, const Pack* pairs, ptrdiff_t stride, int column,
                     int count, const Element* panel, ptrdiff_t K, bool first, void* out, int row,
                     int width_of_out, int v, Real* apart, int width_apart) {
    const Pack* a = W == 2 ? pairs + column : reinterpret_cast<const Pack*>(rows + column);
    const Pack* b = reinterpret_cast<const Pack*>(panel);
    Real* to = nullptr;
    ptrdiff_t to_stride = 0;
    const int live = std::min(strip, width_of_out - v * strip);
    if constexpr (std::is_same_v<Store, Real>) {
      to = static_cast<Real*>(out) + ptrdiff_t(row) * width_of_out + v * strip;
      to_stride = width_of_out;
    } else {
      to = apart + ptrdiff_t(row) * width_apart + v * strip;
      to_stride = width_apart;
    }
    if (live == strip || !std::is_same_v<Store, Real>) {
      if (first)
        for (int r = 0; r < count; ++r) std::memset(to + r * to_stride, 0, strip * sizeof(Real));
      for (int r = 0; r < count; ++r)  // the next tile begins where this one ends
        for (int s = 0; s < 4; ++s) __builtin_prefetch(to + (count + r) * to_stride + s * L, 1);
      tile<Pack, 4, Along::column>(count, a, stride, b, K, to, to_stride);
      return;
    }
    Real* acc = own[size_t(thread)].tile;
    for (int r = 0; r < count; ++r)
      for (int l = 0; l < live; ++l) acc[r * strip + l] = first ? Real(0) : to[r * to_stride + l];
    tile<Pack, 4, Along::column>(count, a, stride, b, K, acc, strip);
    for (int r = 0; r < count; ++r) std::memcpy(to + r * to_stride, acc + r * strip, size_t(live) * sizeof(Real));
  }

  // dx = d W, for the thread's share of the chunk's tokens.
  void input_gradients(int thread, int threads, int64_t origin, int64_t tokens, const Element* chunk) {
    const Range mine = share(int(tokens), thread, threads);
    auto* dx = static_cast<Store*>(f.dx) + origin * I;
    Real* acc = own[size_t(thread)].tile;
    for (int v = 0; v < x_strips; ++v) {
      const Pack* weights = reinterpret_cast<const Pack*>(p.dx.template as<Element>() + v * panel);
      for_tiles<4>(mine.first, mine.end, [&](int row, int count) {
        std::memset(acc, 0, size_t(count) * strip * sizeof(Real));
        tile<Pack, 4, Along::row>(count, reinterpret_cast<const Pack*>(chunk + row * d_stride), d_stride / W,
                                  weights, columns.sum / W, acc, strip);
        for (int r = 0; r < count; ++r)
          for (int s = 0; s < 4; ++s) {
            const int j = v * strip + s * L, n = std::min(L, I - j);
            if (n <= 0) break;
            store(dx + ptrdiff_t(row + r) * I + j, load(acc + r * strip + s * L), n);
          }
      });
    }
  }

  static int clamped(int lanes_left) { return std::max(0, std::min(L, lanes_left)); }

  // Sums over tokens: of `d` for the biases, and of d times the cell state for the peepholes.
  void sum_columns(int thread, int threads, int64_t low, int64_t high, int64_t origin,
                   const Element* chunk, const int64_t* before) {
    const int64_t tokens = at.first[high + 1] - origin;
    constexpr int side = 8;  // vectors summed side by side: whole cache lines of each row are read
    const int all = columns.count * columns.stride;
    const Range blocks = share((all + side * L - 1) / (side * L), thread, threads);
    for (int i = blocks.first; i < blocks.end; ++i) {
      const int first = i * side * L;
      Vec<Real> sum[side];
      for (int s = 0; s < side; ++s) sum[s] = load(b_sums + first + s * L, clamped(all - first - s * L));
      for (int64_t k = 0; k < tokens; ++k) {
        const Element* from = chunk + k * d_stride + first;
        for (int s = 0; s < side; ++s) sum[s] = sum[s] + load(from + s * L, clamped(all - first - s * L));
      }
      for (int s = 0; s < side; ++s) store(b_sums + first + s * L, sum[s], clamped(all - first - s * L));
    }
    if (kind != Kind::lstm || !f.dp) return;

    const int vectors = (H + L - 1) / L;
    const Range mine = share(columns.count * vectors, thread, threads);
    const auto* cells = static_cast<const Real*>(f.c);
    const auto* c_0 = static_cast<const Store*>(f.c_0);
    for (int i = mine.first; i < mine.end; ++i) {
      const int g = i / vectors, j = i % vectors * L, n = std::min(L, H - j);
      const Element* from = chunk + ptrdiff_t(g) * columns.stride + j;
      const int row = p.cell.peephole[g];
      if (row < 0) continue;
      Real* to_p = b_sums + ptrdiff_t(columns.count) * columns.stride + ptrdiff_t(row) * H + j;
      Vec<Real> sum_p = load(to_p, n);
      for (int64_t t = low; t <= high; ++t)
        for (int64_t b = 0; b < at.size(t); ++b) {
          const int64_t k = at.first[t] + b - origin;
          const int64_t token = g == 3 ? k + origin : before[k];
          Vec<Real> c = token >= 0 ? load(cells + token * H + j, n) : load(c_0 + b * H + j, n);
          sum_p = fma(load(from + k * d_stride, n), c, sum_p);
        }
      store(to_p, sum_p, n);
    }
  }

  // Sums that were kept apart, rounded to the caller's tensors.
  void finish(int thread, int threads) {
    if (kind == Kind::lstm && f.dc_0) {
      const Group& group = group_of(thread);
      const Range mine = share(group.rows.size(), thread % grid.by_unit, grid.by_unit);
      for (int r = mine.first; r < mine.end; ++r)
        convert_row(static_cast<Store*>(f.dc_0) + ptrdiff_t(group.rows.first + r) * H, group.carry + ptrdiff_t(r) * H, H);
    }
    if constexpr (!std::is_same_v<Store, Real>) {
      auto hand_over = [&](bool wanted, void* out, const Real* from, int rows, int numbers, int count) {
        if (!wanted) return;
        Range mine = share(rows, thread, threads);
        for (int r = mine.first; r < mine.end; ++r)
          convert_row(static_cast<Store*>(out) + ptrdiff_t(r) * numbers, from + ptrdiff_t(r) * count * strip, numbers);
      };
      hand_over(wants_W, f.dW, W_sums, columns.gates * H, I, x_strips);
      hand_over(wants_U, f.dU, U_sums, columns.gates * H, P, h_strips);
      hand_over(wants_V, f.dV, V_sums, P, H, m_strips);
    }
    if (thread != 0) return;
    for (int g = 0; g < columns.gates; ++g) {
      const Real* of_x = b_sums + ptrdiff_t(g) * columns.stride;
      if (f.db_x) convert_row(static_cast<Store*>(f.db_x) + ptrdiff_t(columns.x_gate[g]) * H, of_x, H);
      if (f.db_h)
        convert_row(static_cast<Store*>(f.db_h) + ptrdiff_t(columns.h_gate[g]) * H, of_x + columns.h_first, H);
    }
    if (f.dp)
      for (int g = 0; g < 4; ++g)
        if (int row = p.cell.peephole[g]; row >= 0)
          convert_row(static_cast<Store*>(f.dp) + ptrdiff_t(row) * H,
                      b_sums + ptrdiff_t(columns.count) * columns.stride + ptrdiff_t(row) * H, H);
  }

  const Backward& f;
  const Panels& p;
  const Offsets at;
  const GateColumns<Mode> columns;
  const int I, H, P;
  const bool projected;
  int x_strips, h_strips, m_strips;
  size_t panel, v_panel;
  ptrdiff_t d_stride, dh_stride, m_stride;
  bool wants_W, wants_U, wants_V;
  Grid grid{1, 1};
  std::vector<Group> groups;
  std::vector<Own> own;
  std::vector<Chunk> chunks;
  int64_t most_tokens = 0;
  Scratch scratch;
  Element *d[2];   // (token of the chunk, gate columns): this chunk's and the one before
  Element *x_panels, *h_panels, *m_panels;
  Element *dh_rows, *m_rows;  // projected: dL/dh_t and m_t of the chunk
  Pack *d_pairs, *dh_pairs;
  Real *W_sums, *U_sums, *V_sums, *b_sums;
};

}  // namespace glasscell::GLASSCELL_VARIANT
