// The gradients of the weights and of the input, from the gradients of the pre-activations.
//
// Backpropagation leaves, chunk by chunk, `d`: dL/d(pre-activation) of some steps' tokens, still in
// the cache. Three products use it: dW += d^T x, dU += d^T h_prev and dx = d W; its columns, summed,
// are the gradients of the biases. Every number is summed in the order of tokens, chunk after chunk,
// by one thread.
#pragma once

#include "pack.h"
#include "partition.h"

namespace glasscell::GLASSCELL_VARIANT {

// From a token's row to the next one's, in elements.
struct Strides {
  ptrdiff_t d, dh, m;
};

// A chunk whose steps have all been visited: those from low to high.
template <class Element>
struct FinishedChunk {
  int64_t low, high;
  int64_t origin, tokens;    // its first token, and how many there are
  const Element *d, *dh, *m;  // of each token: dL/d(pre-activations); projected: dL/dh_t and m_t
  bool first;                // of all chunks
};

template <class Mode, Kind kind>
class WeightGradients {
  using Store = typename Mode::Store;
  using Real = typename Mode::Real;
  using Element = typename Mode::Element;
  using Pack = typename Mode::Pack;
  using Finished = FinishedChunk<Element>;
  static constexpr int L = lanes<Real>, strip = 4 * L, W = width<Mode>;

 public:
  WeightGradients(const Backward& f, const Offsets& at, const GateColumns<Mode>& columns, Strides stride)
      : f(f), p(*f.panels), at(at), columns(columns), stride(stride), I(p.cell.I), H(p.cell.H), P(p.cell.P),
        x_strips(strips(I)), h_strips(strips(P)), m_strips(strips(H)), wants_W(f.dW), wants_U(f.dU && p.cell.reads_h),
        wants_V(f.dV && p.dv.bytes() > 0) {}

  static int strips(int numbers) { return (numbers + strip - 1) / strip; }

  void ask(Scratch& scratch, int64_t most_tokens, int threads) {
    const bool sums_apart = !std::is_same_v<Store, Real>;
    const size_t rows = size_t(columns.gates) * H;
    const size_t tokens = size_t(padded<Mode>(most_tokens));
    scratch.ask(x_panels, wants_W ? tokens * x_strips * strip : 0);
    scratch.ask(h_panels, wants_U ? tokens * h_strips * strip : 0);
    scratch.ask(m_panels, wants_V ? tokens * m_strips * strip : 0);
    scratch.ask(d_pairs, W == 2 ? tokens / W * stride.d : 0);
    scratch.ask(dh_pairs, W == 2 && wants_V ? tokens / W * stride.dh : 0);
    scratch.ask(W_sums, sums_apart && wants_W ? rows * x_strips * strip : 0);
    scratch.ask(U_sums, sums_apart && wants_U ? rows * h_strips * strip : 0);
    scratch.ask(V_sums, sums_apart && wants_V ? size_t(P) * m_strips * strip : 0);
    scratch.ask(column_sums, count_of_column_sums());
    own.resize(size_t(threads));
    for (Own& each : own) {
      scratch.leave_gap();
      scratch.ask(each.tile, tile_rows<4> * strip);
      scratch.ask(each.previous, tokens);
    }
  }

  void start(int thread, int threads) {
    const Range mine = share(int(count_of_column_sums()), thread, threads);
    std::memset(column_sums + mine.first, 0, size_t(mine.size()) * sizeof(Real));
  }

  // What a finished chunk gives. Every thread takes part, and knows when all have done theirs.
  void add(int thread, int threads, const Finished& chunk, Meeting& meeting) {
    const int64_t tokens = chunk.tokens;
    int64_t* before = own[size_t(thread)].previous;
    for (int64_t t = chunk.low; t <= chunk.high; ++t)
      for (int64_t b = 0; b < at.size(t); ++b) before[at.first[t] + b - chunk.origin] = at.previous(t, b);
    prepare_operands(thread, threads, chunk, before);
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
          outer_product(thread, chunk.d, d_pairs, stride.d, first_column + g * columns.stride + rows.first,
                        rows.size(), panels + ptrdiff_t(v) * padded<Mode>(tokens) * strip, K, chunk.first, out,
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
          outer_product(thread, chunk.dh, dh_pairs, stride.dh, rows.first, rows.size(),
                        m_panels + ptrdiff_t(v) * padded<Mode>(tokens) * strip, K, chunk.first, f.dV, rows.first, H, v,
                        V_sums, m_strips * strip);
        }
    }
    if (f.dx) input_gradients(thread, threads, chunk);
    if (f.db_x || f.db_h || f.dp || f.da || f.da_c) sum_columns(thread, threads, chunk, before);
    meeting.all(thread);
  }

  // Sums that were kept apart, rounded to the caller's tensors.
  void finish(int thread, int threads) {
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
    if constexpr (is_normalised(kind)) return finish_norms();
    for (int g = 0; g < columns.gates; ++g) {
      const Real* of_x = column_sums + ptrdiff_t(g) * columns.stride;
      if (f.db_x) convert_row(static_cast<Store*>(f.db_x) + ptrdiff_t(columns.x_gate[g]) * H, of_x, H);
      if (f.db_h)
        convert_row(static_cast<Store*>(f.db_h) + ptrdiff_t(columns.h_gate[g]) * H, of_x + columns.h_first, H);
    }
    if (f.dp)
      for (int g = 0; g < 4; ++g)
        if (int row = p.cell.peephole[g]; row >= 0)
          convert_row(static_cast<Store*>(f.dp) + ptrdiff_t(row) * H,
                      column_sums + ptrdiff_t(columns.count) * columns.stride + ptrdiff_t(row) * H, H);
  }

 private:
  // The chunk's x, h_prev and m as panels, and where products take pairs, `d` in pairs of tokens.
  void prepare_operands(int thread, int threads, const Finished& chunk, const int64_t* before) {
    const int64_t origin = chunk.origin, tokens = chunk.tokens;
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
    const auto* h = static_cast<const Store*>(f.h_read);
    const auto* h_0 = static_cast<const Store*>(f.h_0_read);
    if (wants_W) pack(x_strips, [&](int64_t n) { return x + (origin + n) * I; }, I, x_panels, Store{});
    if (wants_U)
      pack(h_strips, [&](int64_t n) {
        if (before[n] >= 0) return h + before[n] * P;
        return h_0 + sequence(origin + n) * P;
      }, P, h_panels, Store{});
    if (wants_V)
      pack(m_strips, [&](int64_t n) { return chunk.m + n * stride.m; }, H, m_panels, Element{});
    if constexpr (W == 2) {
      auto interleave = [&](const Element* from, ptrdiff_t row, ptrdiff_t numbers, Pack* to) {
        Range mine = share(int(padded<Mode>(tokens) / 2), thread, threads);
        for (int k = mine.first; k < mine.end; ++k) {
          const Element* even = from + ptrdiff_t(2 * k) * row;
          const Element* odd = even + row;
          const bool both = 2 * k + 1 < tokens;
          pair_up(even, both ? odd : nullptr, numbers, to + ptrdiff_t(k) * row);
        }
      };
      if (wants_W || wants_U) interleave(chunk.d, stride.d, ptrdiff_t(columns.count) * columns.stride, d_pairs);
      if (wants_V) interleave(chunk.dh, stride.dh, P, dh_pairs);
    }
  }

  // The sequence of a token.
  int64_t sequence(int64_t token) const {
    const auto& first = at.first;
    int64_t t = std::upper_bound(first.begin(), first.end(), token) - first.begin() - 1;
    return token - first[t];
  }

  // out[row .. row + count][strip v] += (columns of d)^T panel, summed over the chunk's tokens.
  void outer_product(int thread, const Element* rows, const Pack* pairs, ptrdiff_t row_stride, int column,
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
      tile<Pack, 4, Along::column>(count, a, row_stride, b, K, to, to_stride);
      return;
    }
    Real* acc = own[size_t(thread)].tile;
    for (int r = 0; r < count; ++r)
      for (int l = 0; l < live; ++l) acc[r * strip + l] = first ? Real(0) : to[r * to_stride + l];
    tile<Pack, 4, Along::column>(count, a, row_stride, b, K, acc, strip);
    for (int r = 0; r < count; ++r) std::memcpy(to + r * to_stride, acc + r * strip, size_t(live) * sizeof(Real));
  }

  // dx = d W, for the thread's share of the chunk's tokens.
  void input_gradients(int thread, int threads, const Finished& chunk) {
    const Range mine = share(int(chunk.tokens), thread, threads);
    auto* dx = static_cast<Store*>(f.dx) + chunk.origin * I;
    Real* acc = own[size_t(thread)].tile;
    const size_t panel = panel_elements<Mode>(4, columns.sum);
    for (int v = 0; v < x_strips; ++v) {
      const Pack* weights = reinterpret_cast<const Pack*>(p.dx.template as<Element>() + v * panel);
      for_tiles<4>(mine.first, mine.end, [&](int row, int count) {
        std::memset(acc, 0, size_t(count) * strip * sizeof(Real));
        tile<Pack, 4, Along::row>(count, reinterpret_cast<const Pack*>(chunk.d + row * stride.d), stride.d / W,
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
  void sum_columns(int thread, int threads, const Finished& chunk, const int64_t* before) {
    constexpr int side = 8;  // vectors summed side by side: whole cache lines of each row are read
    const int all = columns.count * columns.stride, skipped = is_normalised(kind) ? columns.pre_first : 0;
    const Range blocks = share((all - skipped + side * L - 1) / (side * L), thread, threads);
    for (int i = blocks.first; i < blocks.end; ++i) {
      const int first = skipped + i * side * L;
      Vec<Real> sum[side];
      for (int s = 0; s < side; ++s) sum[s] = load(column_sums + first + s * L, clamped(all - first - s * L));
      for (int64_t k = 0; k < chunk.tokens; ++k) {
        const Element* from = chunk.d + k * stride.d + first;
        for (int s = 0; s < side; ++s) sum[s] = sum[s] + load(from + s * L, clamped(all - first - s * L));
      }
      for (int s = 0; s < side; ++s) store(column_sums + first + s * L, sum[s], clamped(all - first - s * L));
    }
    if constexpr (is_normalised(kind)) sum_gains(thread, threads, chunk);
    if (!f.dp) return;

    const int vectors = (H + L - 1) / L;
    const Range mine = share(columns.count * vectors, thread, threads);
    const auto* cells = static_cast<const Real*>(f.c);
    const auto* c_0 = static_cast<const Store*>(f.c_0);
    const auto* h = static_cast<const Store*>(f.h_read);
    const auto* h_0 = static_cast<const Store*>(f.h_0_read);
    const int after = is_lstm(kind) ? p.cell.slot[3] : -1;  // the gate that reads the cell state of its own step
    for (int i = mine.first; i < mine.end; ++i) {
      const int g = i / vectors, j = i % vectors * L, n = std::min(L, H - j);
      const Element* from = chunk.d + ptrdiff_t(g) * columns.stride + j;
      const int row = p.cell.peephole[g];
      if (row < 0) continue;
      Real* to_p = column_sums + ptrdiff_t(columns.count) * columns.stride + ptrdiff_t(row) * H + j;
      Vec<Real> sum_p = load(to_p, n);
      for (int64_t t = chunk.low; t <= chunk.high; ++t)
        for (int64_t b = 0; b < at.size(t); ++b) {
          const int64_t k = at.first[t] + b - chunk.origin;
          const int64_t token = g == after ? k + chunk.origin : before[k];
          Vec<Real> c;
          if constexpr (kind == Kind::rnn) {
            c = token >= 0 ? load(h + token * H + j, n) : load(h_0 + b * H + j, n);
          } else {
            c = token >= 0 ? load(cells + token * H + j, n) : load(c_0 + b * H + j, n);
          }
          sum_p = fma(load(from + k * stride.d, n), c, sum_p);
        }
      store(to_p, sum_p, n);
    }
  }

  // Sums of the columns of d, for the biases, and then those of the three rows of peepholes, or of a
  // normalised cell's gains.
  size_t count_of_column_sums() const {
    const size_t others = is_normalised(kind) ? size_t(2 * columns.gates + 1) : 3;
    return size_t(columns.count) * columns.stride + others * size_t(H);
  }

  // Which column of the gradients of sums belongs to a gate's bias, of W x or of U h.
  int pre_column(int term, int g) const { return is_gru(kind) && term == 1 && g == 2 ? 3 : g; }

  // The gains of norm(W x), norm(U h) and norm(c): sums of gradients times what was normalised.
  void sum_gains(int thread, int threads, const Finished& chunk) {
    constexpr int side = 4;  // vectors summed side by side
    const int G = columns.gates, blocks = (H + side * L - 1) / (side * L);
    const int rows = 2 * G + (kind == Kind::norm_lstm ? 1 : 0);
    const Range mine = share(rows * blocks, thread, threads);
    const ptrdiff_t width_of_kept = kept_width(G, H);
    for (int i = mine.first; i < mine.end; ++i) {
      const int row = i / blocks, j = i % blocks * side * L;
      const bool of_cell = row == 2 * G;
      const int column = of_cell ? G : pre_column(row / G, row % G);
      const Element* from = chunk.d + columns.pre_first + ptrdiff_t(column) * columns.stride + j;
      const Store* kept = static_cast<const Store*>(f.q) + chunk.origin * width_of_kept + ptrdiff_t(row) * H + j;
      Real* to = column_sums + ptrdiff_t(columns.count) * columns.stride + ptrdiff_t(row) * H + j;
      Vec<Real> sum[side];
      for (int s = 0; s < side; ++s) sum[s] = load(to + s * L, clamped(H - j - s * L));
      for (int64_t k = 0; k < chunk.tokens; ++k, from += stride.d, kept += width_of_kept)
        for (int s = 0; s < side; ++s) {
          const int n = clamped(H - j - s * L);
          const Vec<Real> hat = of_cell ? load(from + columns.stride + s * L, n) : load(kept + s * L, n);
          sum[s] = fma(load(from + s * L, n), hat, sum[s]);
        }
      for (int s = 0; s < side; ++s) store(to + s * L, sum[s], clamped(H - j - s * L));
    }
  }

  void finish_norms() {
    const int G = columns.gates;
    const Real* gains = column_sums + ptrdiff_t(columns.count) * columns.stride;
    auto of_column = [&](int column) { return column_sums + columns.pre_first + ptrdiff_t(column) * columns.stride; };
    for (int term = 0; term < 2; ++term)
      for (int g = 0; g < G; ++g) {
        void* bias = term == 0 ? f.db_x : f.db_h;
        if (bias) convert_row(static_cast<Store*>(bias) + ptrdiff_t(g) * H, of_column(pre_column(term, g)), H);
        const ptrdiff_t row = ptrdiff_t(term) * G + g;
        if (f.da) convert_row(static_cast<Store*>(f.da) + row * H, gains + row * H, H);
      }
    if (f.da_c) {
      convert_row(static_cast<Store*>(f.da_c), gains + ptrdiff_t(2 * G) * H, H);
      convert_row(static_cast<Store*>(f.da_c) + H, of_column(G), H);
    }
  }

  // What a thread keeps to itself.
  struct Own {
    Real* tile;         // of a product that does not end where its result does
    int64_t* previous;  // the token before each of the chunk's
  };

  const Backward& f;
  const Panels& p;
  const Offsets& at;
  const GateColumns<Mode>& columns;
  const Strides stride;
  const int I, H, P, x_strips, h_strips, m_strips;
  const bool wants_W, wants_U, wants_V;
  std::vector<Own> own;
  Element *x_panels, *h_panels, *m_panels;
  Pack *d_pairs, *dh_pairs;
  Real *W_sums, *U_sums, *V_sums, *column_sums;
};

}  // namespace glasscell::GLASSCELL_VARIANT
