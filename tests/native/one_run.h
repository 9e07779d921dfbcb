// One forward and backward pass of a cell: everything it is given, and everything it gives back.
#pragma once

#include <map>
#include <random>
#include <string>
#include <vector>

#include "isa.h"
#include "numbers.h"

namespace glasscell {

struct Subject {
  const char* name;
  Kind kind;
  int squash;  // of an RNN, as squash.h numbers them
  bool bias, projection;
  int peephole[4];
};

struct Case {
  const Subject* subject;
  Dtype dtype;
  int I, H, P;
  std::vector<int64_t> sizes;  // of each step's batch
  bool dense, reverse, odd;    // odd: at odd addresses
};

// How much of the record and of the gradients is asked for.
struct Wishes {
  bool record = true;
  bool states = true, gates = true;  // whether the loss reaches them, beside h
  unsigned gradients = ~0u;          // a bit for each, in the order of `Backward`
  bool of_steps = true;
  bool in_place = false;  // a single step that leaves its states where it found them
  enum class Edited { no, nowhere, everywhere } edited = Edited::no;  // nowhere: no token is touched
};

using Results = std::map<std::string, Numbers>;

inline Results run(const Kernels& kernels, const Case& c, const Wishes& wishes, int threads) {
  const Subject& s = *c.subject;
  const bool lstm = s.kind == Kind::lstm, gru = s.kind == Kind::gru;
  const size_t G = size_t(gates_of(s.kind)), I = size_t(c.I), H = size_t(c.H), P = s.projection ? size_t(c.P) : H;
  const size_t B = size_t(c.sizes[0]);
  size_t N = 0, K = 0;
  for (int64_t size : c.sizes) N += size_t(size);
  for (int row : s.peephole) K = std::max(K, size_t(row + 1));
  const Dtype exact = c.dtype == Dtype::bfloat16 ? Dtype::float32 : c.dtype;

  std::mt19937 random(1);
  auto drawn = [&](size_t count, double scale, Dtype dtype) {
    Numbers numbers(dtype, count, c.odd);
    for (size_t k = 0; k < count; ++k) numbers.set(k, scale * (double(random()) / double(random.max()) * 2 - 1));
    return numbers;
  };
  const double scale = 1 / std::sqrt(double(std::max(H, P)));
  const Numbers W = drawn(G * H * I, scale, c.dtype), U = drawn(G * H * P, scale, c.dtype);
  const Numbers b_x = s.bias ? drawn(G * H, scale, c.dtype) : Numbers();
  const Numbers b_h = s.bias ? drawn(G * H, scale, c.dtype) : Numbers();
  const Numbers V = s.projection ? drawn(P * H, scale, c.dtype) : Numbers();
  const Numbers p = K ? drawn(K * H, scale, c.dtype) : Numbers();
  const Numbers x = drawn(N * I, 2, c.dtype);
  Numbers h_0 = drawn(B * P, 1, c.dtype), c_0 = lstm ? drawn(B * H, 1, c.dtype) : Numbers();
  const Numbers dh = drawn(N * P, 1, c.dtype), dc = lstm ? drawn(N * H, 1, exact) : Numbers();
  const Numbers dgates = drawn(N * G * H, 1, c.dtype), dpre = drawn(N * G * H, 1, c.dtype);

  CellWeights cell{s.kind, c.dtype, c.I, c.H, int(P), {0, 0, 1, 0}, 1, {}, W.data(), U.data(),
                   b_x.data(), b_h.data(), V.data(), p.data()};
  if (gru || lstm) cell.squash[2] = 1;
  if (s.kind == Kind::rnn) cell.squash[0] = s.squash;
  for (int g = 0; g < 4; ++g) cell.peephole[g] = s.peephole[g];
  Panels panels{};
  kernels.pack_forward(cell, panels, threads);

  std::vector<int64_t> sizes(c.sizes);
  sizes.shrink_to_fit();
  const Sequences sequences{int64_t(sizes.size()), int64_t(B), int64_t(N), c.dense ? nullptr : sizes.data(), c.reverse};
  Results results;
  auto result = [&](const char* name, bool there, size_t count, Dtype dtype) -> void* {
    if (!there) return nullptr;
    return (results[name] = Numbers(dtype, count, c.odd)).data();
  };
  // Edits of every quantity there is: each token has a row of its own, some are left alone.
  Edits edits{};
  std::vector<std::vector<int64_t>> rows(Edits::slots);
  std::vector<Numbers> tables;
  tables.reserve(2 * Edits::slots);
  if (wishes.edited != Wishes::Edited::no) {
    edits.any = true;
    for (int slot = 0; slot < Edits::slots; ++slot) {
      if (slot < 4 ? size_t(slot) >= G || s.kind == Kind::rnn : slot == Edits::cell && !lstm) continue;
      const size_t width = slot == Edits::hidden ? P : H;
      rows[size_t(slot)].resize(N);
      for (size_t n = 0; n < N; ++n)
        rows[size_t(slot)][n] = wishes.edited == Wishes::Edited::nowhere || random() % 3 == 0 ? -1 : int64_t(random() % 2);
      tables.push_back(drawn(2 * width, 1, c.dtype));
      for (size_t k = 0; k < 2 * width; k += 3) tables.back().set(k, std::nan(""));
      tables.push_back(drawn(2 * width, 1, c.dtype));
      edits.of[slot] = {rows[size_t(slot)].data(), (&tables.back())[-1].data(), tables.back().data()};
    }
  }
  Forward f{};
  f.sequences = sequences, f.panels = &panels, f.threads = threads, f.edits = edits;
  f.x = x.data(), f.h_0 = h_0.data(), f.c_0 = c_0.data();
  if (wishes.in_place) {
    f.h = h_0.data(), f.c_n = c_0.data();
    kernels.forward(f);
    results["h"] = std::move(h_0);
    if (lstm) results["c_n"] = std::move(c_0);
    return results;
  }
  f.h = result("h", true, N * P, c.dtype), f.h_n = result("h_n", true, B * P, c.dtype);
  f.c_n = result("c_n", lstm, B * H, c.dtype);
  f.c = result("c", lstm && wishes.record, N * H, exact);
  f.gates = result("gates", wishes.record, N * G * H, c.dtype);
  f.pre = result("pre", wishes.record, N * G * H, c.dtype);
  f.q = result("q", gru && wishes.record, N * H, c.dtype);
  kernels.forward(f);
  if (!wishes.record) return results;

  kernels.pack_backward(cell, panels, threads);
  Backward b{};
  b.sequences = sequences, b.panels = &panels, b.threads = threads;
  b.pre = f.pre, b.edits = edits;
  b.x = f.x, b.h_0 = f.h_0, b.c_0 = f.c_0, b.h = f.h, b.c = f.c, b.gates = f.gates, b.q = f.q;
  b.dh = dh.data(), b.dc = wishes.states ? dc.data() : nullptr;
  if (wishes.gates) b.dgates = dgates.data(), b.dpre = dpre.data();
  auto wanted = [&](int bit) { return (wishes.gradients >> bit & 1) != 0; };
  b.dx = result("dx", wanted(0), N * I, c.dtype), b.dh_0 = result("dh_0", wanted(1), B * P, c.dtype);
  b.dc_0 = result("dc_0", lstm && wanted(2), B * H, c.dtype);
  b.dW = result("dW", wanted(3), G * H * I, c.dtype), b.dU = result("dU", wanted(4), G * H * P, c.dtype);
  b.db_x = result("db_x", s.bias && wanted(5), G * H, c.dtype);
  b.db_h = result("db_h", s.bias && wanted(6), G * H, c.dtype);
  b.dV = result("dV", s.projection && wanted(7), P * H, c.dtype);
  b.dp = result("dp", K && wanted(8), K * H, c.dtype);
  b.step_dh = result("step_dh", wishes.of_steps, N * P, c.dtype);
  b.step_dc = result("step_dc", lstm && wishes.of_steps, N * H, exact);
  b.step_dgates = result("step_dgates", wishes.of_steps, N * G * H, c.dtype);
  kernels.backward(b);
  return results;
}

}  // namespace glasscell
