// What a run is given: plain structures that every instruction set's kernels share.
#pragma once

#include <cstdint>
#include <vector>

#include "memory.h"
#include "partition.h"

namespace glasscell {

enum class Kind : int { lstm = 0, gru = 1, rnn = 2 };
enum class Dtype : int { float32 = 0, float64 = 1, bfloat16 = 2 };

constexpr int gates_of(Kind kind) { return kind == Kind::lstm ? 4 : kind == Kind::gru ? 3 : 1; }

// A cell with its weights, as `cells.Weights` has them: row-major, of one dtype.
struct CellWeights {
  Kind kind;
  Dtype dtype;
  int I, H, P;
  int squash[4];      // of each gate, as squash.h numbers them
  int output_squash;  // LSTM: of the cell state on its way out
  int peephole[4];    // LSTM: the row of p that belongs to each gate, or -1
  const void *W, *U, *b_x, *b_h, *V, *p;
};

// The weights as the kernels read them; made once, read by any number of threads.
struct Panels {
  CellWeights cell;  // its pointers are not valid any more
  Block x, h, v;     // for the forward pass: W, U, V
  Block bias, q_bias, peepholes;
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
  static constexpr int cell = 4, hidden = 5, slots = 6;
  Edit of[slots];
  bool any;
};

struct Forward {
  Sequences sequences;
  const Panels* panels;
  const void *x, *h_0, *c_0;
  void* h;              // (N, P)
  void *h_n, *c_n;      // (B, P), (B, H)
  void* c;              // (N, H) or null; float32 where the rest is bfloat16
  void *gates, *pre;    // (N, G, H) or null
  void* q;              // (N, H) or null
  Edits edits;
  int threads;
};

struct Backward {
  Sequences sequences;
  const Panels* panels;
  const void *x, *h_0, *c_0, *h, *c, *gates, *q;
  const void* pre;  // where gates are edited, else null
  // dL/d(each of the steps), or null where the loss does not reach
  const void *dh, *dc, *dgates, *dpre;
  // dL/d(inputs and weights), or null where nobody asks
  void *dx, *dh_0, *dc_0, *dW, *dU, *db_x, *db_h, *dV, *dp;
  // dL/dh_t, dL/dc_t, dL/dgate_t of every step, or null
  void *step_dh, *step_dc, *step_dgates;
  Edits edits;
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
