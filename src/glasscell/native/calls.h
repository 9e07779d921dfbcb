// What a run is given: plain structures that every instruction set's kernels share.
#pragma once

#include <cstdint>
#include <vector>

#include "memory.h"
#include "partition.h"

namespace glasscell {

// lstm3 and lstm2 are LSTMs with as many gates, the candidate among them; a gru2 has no reset gate.
enum class Kind : int {
  lstm = 0, gru = 1, rnn = 2, lstm3 = 3, lstm2 = 4, gru2 = 5, slstm = 6, norm_lstm = 7, norm_gru = 8
};
enum class Dtype : int { float32 = 0, float64 = 1, bfloat16 = 2 };

constexpr int gates_of(Kind kind) {
  switch (kind) {
    case Kind::lstm:
    case Kind::slstm:
    case Kind::norm_lstm: return 4;
    case Kind::gru:
    case Kind::norm_gru:
    case Kind::lstm3: return 3;
    case Kind::lstm2:
    case Kind::gru2: return 2;
    default: return 1;
  }
}

constexpr bool is_lstm(Kind kind) { return kind == Kind::lstm || kind == Kind::lstm3 || kind == Kind::lstm2; }
constexpr bool is_gru(Kind kind) { return kind == Kind::gru || kind == Kind::gru2 || kind == Kind::norm_gru; }
constexpr bool is_normalised(Kind kind) { return kind == Kind::norm_lstm || kind == Kind::norm_gru; }

// Vectors of H that are carried beside the hidden state: c, and an sLSTM's n and m.
constexpr int carried_of(Kind kind) { return is_lstm(kind) || kind == Kind::norm_lstm ? 1 : kind == Kind::slstm ? 3 : 0; }

// Of a normalised cell, how many numbers of a token the backward asks for: both normalised terms, and what
// they were divided by, with as much room as keeps rows on cache lines of their own.
constexpr int64_t kept_width(int G, int H) { return int64_t(2) * G * H + 16; }

enum class Sharing : int { none = 0, complement = 1, normalized = 2 };
enum class Stochastic : int { none = 0, bernoulli = 1, gumbel = 2 };

// A cell with its weights, as `cells.Weights` has them: row-major, of one dtype.
struct CellWeights {
  Kind kind;
  Dtype dtype;
  int I, H, P;
  bool reads_h;          // whether U has rows
  bool ordinary;         // whether it has all its gates, which do not share, and reads h
  int squash[4];         // of each gate, as squash.h numbers them
  int output_squash;     // LSTM: of the cell state on its way out
  int peephole[4];       // the row of p that belongs to each gate, or -1
  int slot[4];           // LSTM: which of its gates i, f, g, o are, or -1
  int sharing;           // LSTM: as Sharing
  double complement;     // e^beta
  int stochastic[4];     // of each gate, as Stochastic
  int draws, draw[4];    // how many are, and the place of each among them
  double temperature[4];
  bool log_forget;       // sLSTM: whether its forget gate is a sigmoid
  const void *W, *U, *b_x, *b_h, *V, *p, *a, *a_c;
};

inline bool is_ordinary(const CellWeights& cell) {
  const bool has_all = cell.kind != Kind::lstm3 && cell.kind != Kind::lstm2 && cell.kind != Kind::gru2;
  return has_all && cell.reads_h && !cell.sharing && (cell.kind != Kind::rnn || cell.peephole[0] < 0);
}

// The weights as the kernels read them; made once, read by any number of threads.
struct Panels {
  CellWeights cell;  // its pointers are not valid any more
  Block x, h, v;     // for the forward pass: W, U, V
  Block bias, q_bias, peepholes;
  Block norms;       // of a normalised cell: a, b_x, b_h and a_c
  Block dx, dh, dv;  // for the backward pass: the same, by columns
};

// Packed tokens, as engines/packing.py describes them.
struct Sequences {
  int64_t T, B, N;
  const int64_t* batch_sizes;  // (T,), or null where every step has all B
  bool reverse;
};

// How one quantity is changed: each token's row of the tables scale and shift, or -1.
struct Edit {
  const int64_t* rows;  // (N,), or null where nothing changes it
  const void *scale, *shift;
};

// The edits of a run: of each gate, of the cell state and of the hidden state.
struct Edits {
  static constexpr int cell = 4, hidden = 5, normalizer = 6, stabilizer = 7, slots = 8;
  Edit of[slots];
  bool any;
};

// What chance does in a run, as engines/noise.py describes it.
struct Noise {
  bool any, training;
  uint64_t seed;
  double zoneout_cell, zoneout_hidden;
  const void* mask;  // (B, P): what products read of the hidden state, or null
};

// How many numbers of a token an sLSTM's backward asks for besides its state: what goes into the forget
// gate, and where its cell is held m' - m_t as well.
inline ptrdiff_t kept_of_slstm(int H, const Noise& noise) { return noise.zoneout_cell ? 2 * ptrdiff_t(H) : H; }

struct Forward {
  Sequences sequences;
  const Panels* panels;
  const void *x, *h_0, *c_0;
  void* h;              // (N, P)
  void *h_n, *c_n;      // (B, P), (B, C*H)
  void* c;              // (N, C*H) or null; float32 where the rest is bfloat16
  void *gates, *pre;    // (N, G, H) or null
  // (N, H) or null: the GRU's U_n h + b_n; what goes into the sLSTM's forget gate, and where its cell is
  // held (N, 2, H), m' - m_t. Of an LSTM that draws (N, draws, H): the odds. Of a normalised cell (N,
  // `kept_width`): norm(W x), norm(U h), and what they were divided by.
  void* q;
  Edits edits;
  Noise noise;
  int threads;
};

struct Backward {
  Sequences sequences;
  const Panels* panels;
  const void *x, *h_0, *c_0, *h, *c, *gates, *q;
  const void* pre;  // where the equations ask for it (`_needs_pre` in engines/native.py); else null
  const void *h_read, *h_0_read;  // what products read of h and h_0
  // dL/d(each of the steps), or null where the loss does not reach
  const void *dh, *dc, *dgates, *dpre;
  // dL/d(inputs and weights), or null where nobody asks
  void *dx, *dh_0, *dc_0, *dW, *dU, *db_x, *db_h, *dV, *dp, *da, *da_c;
  // dL/dh_t, dL/dc_t, dL/dgate_t of every step, or null
  void *step_dh, *step_dc, *step_dgates;
  Edits edits;
  Noise noise;
  int threads;
};

struct Bytes {
  const char* first;
  size_t count;
};

// The kernels of one instruction set.
struct Kernels {
  const char* name;
  uint64_t (*fingerprint)(const Bytes* tensors, size_t count, int threads);
  void (*pack_forward)(const CellWeights&, Panels&, int threads);
  void (*pack_backward)(const CellWeights&, Panels&, int threads);
  void (*forward)(const Forward&);
  void (*backward)(const Backward&);
};

// Where each step's tokens are.
struct Offsets {
  explicit Offsets(const Sequences& s) : sequences(s), first(size_t(s.T) + 1) {
    for (int64_t t = 0; t < s.T; ++t) first[t + 1] = first[t] + size(t);
  }
  int64_t size(int64_t t) const { return sequences.batch_sizes ? sequences.batch_sizes[t] : sequences.B; }
  // The t that the recurrence visits in place k.
  int64_t step(int64_t k) const { return sequences.reverse ? sequences.T - 1 - k : k; }
  // The row of the token before (t, b) in the recurrence, or -1 where it starts from the initial state.
  int64_t previous(int64_t t, int64_t b) const {
    if (!sequences.reverse) return t == 0 ? -1 : first[t - 1] + b;
    return t + 1 < sequences.T && b < size(t + 1) ? first[t + 1] + b : -1;
  }
  // The sequences of one part of several, cut so that each has about as many tokens.
  Range share_of_tokens(int part, int parts) const {
    return {sequences_with_tokens(first.back() * part / parts),
            part + 1 == parts ? int(sequences.B) : sequences_with_tokens(first.back() * (part + 1) / parts)};
  }

  Sequences sequences;
  std::vector<int64_t> first;  // (T + 1,)

 private:
  // How many of the longest sequences have `tokens` tokens together.
  int sequences_with_tokens(int64_t tokens) const {
    int b = 0;
    int64_t t = sequences.T;  // the length of sequence b: how many steps it reaches
    for (int64_t sum = 0; sum < tokens; ++b) {
      while (size(t - 1) <= b) --t;
      sum += t;
    }
    return b;
  }
};

}  // namespace glasscell
