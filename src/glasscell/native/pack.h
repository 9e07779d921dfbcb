// Weights, re-ordered once into the panels that the product kernel walks through.
#pragma once

#include "precision.h"
#include "threads.h"

namespace glasscell::GLASSCELL_VARIANT {

// Which rows of a weight matrix lie side by side in a panel: slot s of panel u begins with row
// start[s] + u * step, and holds as many rows as there are lanes, if `rows` does not end first.
struct Slots {
  int count;
  int start[4];
  int step;
  int rows;  // of each slot's matrix: H for gates, all of them for a plain matrix
  int panels;
};

// Every gate of the same units side by side: a tile then holds all that a unit's step needs.
template <class R>
inline Slots gate_slots(int G, int H) {
  Slots slots{G, {0, 0, 0, 0}, lanes<R>, H, (H + lanes<R> - 1) / lanes<R>};
  for (int g = 0; g < G; ++g) slots.start[g] = g * H;
  return slots;
}

// A plain matrix: four vectors of rows side by side.
template <class R>
inline Slots plain_slots(int rows) {
  constexpr int strip = 4 * lanes<R>;
  Slots slots{4, {0, lanes<R>, 2 * lanes<R>, 3 * lanes<R>}, strip, rows, (rows + strip - 1) / strip};
  return slots;
}

// Rows of slot s in panel u that exist.
template <class R>
inline int live_rows(const Slots& slots, int u, int s) {
  bool plain = slots.step != lanes<R>;
  int first = u * slots.step + (plain ? slots.start[s] : 0);
  return std::max(0, std::min(lanes<R>, slots.rows - first));
}

template <class Mode>
inline size_t panel_elements(int slots, ptrdiff_t K) {
  return size_t(padded<Mode>(K)) * slots * lanes_of<Mode>;
}

// One panel of `matrix` (rows, K): element (k, s, l) is matrix[row of (s, l)][k].
template <class Mode>
inline void pack_rows(const typename Mode::Store* matrix, ptrdiff_t K, const Slots& slots, int u,
                      typename Mode::Element* panel) {
  constexpr int L = lanes_of<Mode>, W = width<Mode>;
  for (int s = 0; s < slots.count; ++s) {
    int live = live_rows<typename Mode::Real>(slots, u, s);
    const auto* row = matrix + ptrdiff_t(slots.start[s] + u * slots.step) * K;
    for (ptrdiff_t k = 0; k < padded<Mode>(K); k += W) {
      auto* to = panel + (k / W * slots.count + s) * L * W;
      for (int l = 0; l < L; ++l)
        for (int w = 0; w < W; ++w) {
          bool real = l < live && k + w < K;
          to_store(to[l * W + w], real ? to_real(row[l * K + k + w]) : typename Mode::Real(0));
        }
    }
  }
}

// Neighbours along a sum, from two rows: pairs[j] = (even[j], odd[j]), with zeros for an absent row.
inline void pair_up(const bfloat16* even, const bfloat16* odd, ptrdiff_t n, bfloat16_pair* pairs) {
  if (odd) {
    for (ptrdiff_t j = 0; j < n; ++j) pairs[j].bits = uint32_t(even[j].bits) | uint32_t(odd[j].bits) << 16;
  } else {
    for (ptrdiff_t j = 0; j < n; ++j) pairs[j].bits = even[j].bits;
  }
}

// One strip of `matrix` (K, columns): element (k, s, l) is matrix[k][column of (s, l)]. `row`
// gives the matrix's row for each k of the sum, or null for a row of zeros.
template <class Mode, class Store, class Row>
inline void pack_columns(const Row& row, ptrdiff_t K, ptrdiff_t columns, int u,
                         typename Mode::Element* panel) {
  constexpr int L = lanes_of<Mode>, W = width<Mode>;
  ptrdiff_t first = ptrdiff_t(u) * 4 * L;
  int live = int(std::max<ptrdiff_t>(0, std::min<ptrdiff_t>(4 * L, columns - first)));
  for (ptrdiff_t k = 0; k < padded<Mode>(K); k += W) {
    auto* to = panel + k * 4 * L;
    if constexpr (W == 1) {
      const Store* from = k < K ? row(k) : nullptr;
      if (from && live == 4 * L) {
        for (int s = 0; s < 4; ++s) store(to + s * L, load(from + first + s * L));
      } else {
        for (int l = 0; l < 4 * L; ++l)
          to_store(to[l], from && l < live ? to_real(from[first + l]) : typename Mode::Real(0));
      }
    } else {
      const Store* even = k < K ? row(k) : nullptr;
      const Store* odd = k + 1 < K ? row(k + 1) : nullptr;
      if (even && live == 4 * L) {
        pair_up(even + first, odd ? odd + first : nullptr, 4 * L, reinterpret_cast<bfloat16_pair*>(to));
        continue;
      }
      for (int l = 0; l < 4 * L; ++l) {
        to[2 * l] = even && l < live ? even[first + l] : Store{};
        to[2 * l + 1] = odd && l < live ? odd[first + l] : Store{};
      }
    }
  }
}

// Where the columns of each gate's gradient lie in a row of all of them, in numbers. The GRU's
// go n r z q: what W sees is the first three, what U sees the last three. A normalised cell has one
// set for what W sees and one for what U sees, and then, at `pre_first`, the gradients of the sums of
// the two, for the biases and gains; after them the GRU's q, or of the LSTM dL/d(a_c * norm(c) + b_c)
// and norm(c).
template <class Mode>
struct GateColumns {
  GateColumns(Kind kind, int H)
      : stride(int(padded<Mode>(H))),
        count(columns_of(kind)) {
    for (int g = 0; g < 4; ++g) x_gate[g] = h_gate[g] = g;
    if (kind == Kind::gru) {
      h_first = stride;
      for (int g = 0; g < 3; ++g) {
        x_gate[g] = (g + 2) % 3;  // columns n r z are gates 2 0 1
        h_gate[g] = g;            // columns r z q are gates 0 1 2
      }
    }
    gates = gates_of(kind);
    if (is_normalised(kind)) h_first = gates * stride, pre_first = 2 * gates * stride;
    sum = ptrdiff_t(gates) * stride;
  }
  static int columns_of(Kind kind) {
    switch (kind) {
      case Kind::gru: return 4;
      case Kind::norm_lstm: return 3 * 4 + 2;
      case Kind::norm_gru: return 3 * 3 + 1;
      default: return gates_of(kind);
    }
  }

  int stride, count, gates;
  int h_first = 0, pre_first = 0;
  int x_gate[4], h_gate[4];
  ptrdiff_t sum;  // numbers in what W, or U, sees
};

template <class Mode>
void pack_forward(const CellWeights& cell, Panels& panels, int threads) {
  using Store = typename Mode::Store;
  using Real = typename Mode::Real;
  using Element = typename Mode::Element;
  constexpr int L = lanes<Real>;
  panels.cell = cell;
  const int H = cell.H, G = gates_of(cell.kind);
  const bool plain = cell.kind == Kind::rnn;
  const Slots gates = plain ? plain_slots<Real>(H) : gate_slots<Real>(G, H);
  const Slots outputs = plain_slots<Real>(cell.V ? cell.P : 0);
  const size_t x_panel = panel_elements<Mode>(gates.count, cell.I);
  const size_t h_panel = panel_elements<Mode>(gates.count, cell.P);
  const size_t v_panel = panel_elements<Mode>(4, H);
  panels.x = Block(gates.panels * x_panel * sizeof(Element));
  panels.h = Block(cell.reads_h ? gates.panels * h_panel * sizeof(Element) : 0);
  panels.v = Block(outputs.panels * v_panel * sizeof(Element));
  panels.bias = Block(size_t(gates.panels) * gates.count * L * sizeof(Real));
  panels.q_bias = Block(cell.kind == Kind::gru ? size_t(gates.panels) * L * sizeof(Real) : 0);

  int K = 0;
  for (int g = 0; g < 4; ++g) K = std::max(K, cell.peephole[g] + 1);
  panels.peepholes = Block(size_t(K) * size_t(H) * sizeof(Real));
  for (ptrdiff_t k = 0; k < ptrdiff_t(K) * H; ++k)
    panels.peepholes.as<Real>()[k] = to_real(static_cast<const Store*>(cell.p)[k]);

  if (is_normalised(cell.kind)) {
    const ptrdiff_t rows = ptrdiff_t(G) * H;
    panels.norms = Block(size_t(4 * rows + 2 * H) * sizeof(Real));
    Real* to = panels.norms.as<Real>();
    auto copy = [&](const void* from, ptrdiff_t count) {
      for (ptrdiff_t k = 0; k < count; ++k) *to++ = from ? to_real(static_cast<const Store*>(from)[k]) : Real(0);
    };
    copy(cell.a, 2 * rows), copy(cell.b_x, rows), copy(cell.b_h, rows), copy(cell.a_c, 2 * H);
  }

  const auto* W = static_cast<const Store*>(cell.W);
  const auto* U = static_cast<const Store*>(cell.U);
  const auto* V = static_cast<const Store*>(cell.V);
  const auto* b_x = static_cast<const Store*>(cell.b_x);
  const auto* b_h = static_cast<const Store*>(cell.b_h);
  const int jobs = gates.panels + outputs.panels;
  parallel(threads, [&](int thread, int count) {
    for (int u = thread; u < jobs; u += count) {
      if (u >= gates.panels) {
        int v = u - gates.panels;
        pack_rows<Mode>(V, H, outputs, v, panels.v.as<Element>() + v * v_panel);
        continue;
      }
      pack_rows<Mode>(W, cell.I, gates, u, panels.x.as<Element>() + u * x_panel);
      if (cell.reads_h) pack_rows<Mode>(U, cell.P, gates, u, panels.h.as<Element>() + u * h_panel);
      for (int s = 0; s < gates.count; ++s) {
        Real* bias = panels.bias.as<Real>() + (ptrdiff_t(u) * gates.count + s) * L;
        int live = live_rows<Real>(gates, u, s), row = gates.start[s] + u * gates.step;
        bool apart = cell.kind == Kind::gru && s == 2;  // r * (U h + b_h): b_h stays with U h
        for (int l = 0; l < L; ++l) {
          bool real = l < live;
          if (is_normalised(cell.kind)) {  // biases come after the norms
            bias[l] = Real(0);
            continue;
          }
          bias[l] = (real && b_x ? to_real(b_x[row + l]) : Real(0)) +
                    (real && b_h && !apart ? to_real(b_h[row + l]) : Real(0));
          if (apart) panels.q_bias.as<Real>()[u * L + l] = real && b_h ? to_real(b_h[row + l]) : Real(0);
        }
      }
    }
  });
}

template <class Mode>
void pack_backward(const CellWeights& cell, Panels& panels, int threads) {
  using Store = typename Mode::Store;
  using Real = typename Mode::Real;
  using Element = typename Mode::Element;
  constexpr int strip = 4 * lanes<Real>;
  const GateColumns<Mode> columns(cell.kind, cell.H);
  const int H = cell.H;
  const int x_strips = (cell.I + strip - 1) / strip, h_strips = cell.reads_h ? (cell.P + strip - 1) / strip : 0;
  const int v_strips = cell.V ? (H + strip - 1) / strip : 0;
  const size_t panel = panel_elements<Mode>(4, columns.sum);
  const size_t v_panel = panel_elements<Mode>(4, cell.P);
  panels.dx = Block(x_strips * panel * sizeof(Element));
  panels.dh = Block(h_strips * panel * sizeof(Element));
  panels.dv = Block(v_strips * v_panel * sizeof(Element));
  const auto* W = static_cast<const Store*>(cell.W);
  const auto* U = static_cast<const Store*>(cell.U);
  const auto* V = static_cast<const Store*>(cell.V);
  parallel(threads, [&](int thread, int count) {
    auto rows_of = [&](const Store* matrix, ptrdiff_t ld, const int* gate) {
      return [=, &columns](ptrdiff_t k) -> const Store* {
        int g = int(k / columns.stride), j = int(k % columns.stride);
        return j < H ? matrix + (ptrdiff_t(gate[g]) * H + j) * ld : nullptr;
      };
    };
    for (int u = thread; u < x_strips + h_strips + v_strips; u += count) {
      if (u < x_strips) {
        pack_columns<Mode, Store>(rows_of(W, cell.I, columns.x_gate), columns.sum, cell.I, u,
                                  panels.dx.as<Element>() + u * panel);
      } else if (u < x_strips + h_strips) {
        int v = u - x_strips;
        pack_columns<Mode, Store>(rows_of(U, cell.P, columns.h_gate), columns.sum, cell.P, v,
                                  panels.dh.as<Element>() + v * panel);
      } else {
        int v = u - x_strips - h_strips;
        pack_columns<Mode, Store>([&](ptrdiff_t k) { return V + k * H; }, cell.P, H, v,
                                  panels.dv.as<Element>() + v * v_panel);
      }
    }
  });
}

}  // namespace glasscell::GLASSCELL_VARIANT
