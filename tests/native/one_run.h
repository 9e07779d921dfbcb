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
  bool bias = true, projection = false;
  int peephole[4] = {-1, -1, -1, -1};
  int squash[4] = {0, 0, 1, 0};  // of each gate, as squash.h numbers them
  int output_squash = 1;
  int slot[4] = {0, 1, 2, 3};    // of an LSTM's gates i, f, g, o
  Sharing sharing = Sharing::none;
  bool reads_h = true;
  bool noise = false;  // a mask, and unless it says otherwise every gate that opens drawn, both states held
  bool draws = true, holds = true;
  bool by_odds = false;  // drawn to be 0 or 1: not alike where rounding differs
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
  const bool lstm = carried_of(s.kind) > 0, norm = is_normalised(s.kind);
  const size_t C = size_t(carried_of(s.kind));
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
  const Numbers W = drawn(G * H * I, scale, c.dtype), U = drawn(s.reads_h ? G * H * P : 0, scale, c.dtype);
  const Numbers b_x = s.bias ? drawn(G * H, scale, c.dtype) : Numbers();
  const Numbers b_h = s.bias && s.reads_h ? drawn(G * H, scale, c.dtype) : Numbers();
  const Numbers V = s.projection ? drawn(P * H, scale, c.dtype) : Numbers();
  const Numbers p = K ? drawn(K * H, scale, c.dtype) : Numbers();
  const Numbers a = norm ? drawn(2 * G * H, 1, c.dtype) : Numbers(), a_c = lstm && norm ? drawn(2 * H, 1, c.dtype) : Numbers();
  const Numbers mask = s.noise ? drawn(B * P, 1, c.dtype) : Numbers();
  const Numbers x = drawn(N * I, 2, c.dtype);
  Numbers h_0 = drawn(B * P, 1, c.dtype), c_0 = lstm ? drawn(B * C * H, 1, c.dtype) : Numbers();
  if (s.kind == Kind::slstm)  // its second part is a sum of what was written, and so never negative
    for (size_t k = 0; k < B * C * H; ++k) c_0.set(k, k / H % 3 == 1 ? 1.0 + double(k % 7) : 0.25 * double(k % 3));
  const Numbers dh = drawn(N * P, 1, c.dtype), dc = lstm ? drawn(N * C * H, 1, exact) : Numbers();
  const Numbers dgates = drawn(N * G * H, 1, c.dtype), dpre = drawn(N * G * H, 1, c.dtype);

  CellWeights cell{};
  cell.kind = s.kind, cell.dtype = c.dtype, cell.I = c.I, cell.H = c.H, cell.P = int(P);
  cell.reads_h = s.reads_h, cell.output_squash = s.output_squash, cell.sharing = int(s.sharing);
  cell.complement = 2, cell.log_forget = true;
  for (int g = 0; g < 4; ++g) {
    cell.squash[g] = s.squash[g], cell.peephole[g] = s.peephole[g], cell.slot[g] = s.slot[g];
    const Stochastic how = s.by_odds ? Stochastic::bernoulli : Stochastic::gumbel;
    const bool opens = size_t(g) < G && s.squash[g] == 0 && (s.kind != Kind::slstm || g == 3);
    cell.stochastic[g] = s.noise && s.draws && opens ? int(how) : 0;
    cell.temperature[g] = g == 0 ? 1 : 0.8, cell.draw[g] = cell.draws;
    cell.draws += cell.stochastic[g] != 0;
  }
  cell.ordinary = is_ordinary(cell);
  cell.W = W.data(), cell.U = U.data(), cell.b_x = b_x.data(), cell.b_h = b_h.data(), cell.V = V.data();
  cell.p = p.data(), cell.a = a.data(), cell.a_c = a_c.data();
  Noise noise{};
  if (s.noise) noise = {true, true, 0x0123456789abcdefu, 0, 0, mask.data()};
  if (s.noise && s.holds) noise.zoneout_cell = lstm ? 0.3 : 0.0, noise.zoneout_hidden = 0.2;
  // what the backward asks for besides, in numbers of a token
  size_t q_width = norm ? size_t(kept_width(int(G), int(H))) : s.kind == Kind::gru ? H : 0;
  if (s.kind == Kind::slstm) q_width = size_t(kept_of_slstm(int(H), noise));
  if (is_lstm(s.kind) && s.by_odds && wishes.edited == Wishes::Edited::no) q_width = size_t(cell.draws) * H;
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
  auto table = [&](size_t count) {
    Numbers numbers = drawn(count, 1, c.dtype);
    if (s.kind == Kind::slstm || s.sharing == Sharing::normalized)  // what is divided by stays well above 0
      for (size_t k = 0; k < count; ++k) numbers.set(k, 0.25 + double(random() % 4) / 4);
    return numbers;
  };
  tables.reserve(2 * Edits::slots);
  if (wishes.edited != Wishes::Edited::no) {
    edits.any = true;
    for (int slot = 0; slot < Edits::slots; ++slot) {
      if (slot < 4 ? size_t(slot) >= G || s.kind == Kind::rnn : slot == Edits::cell && !lstm) continue;
      if (slot >= Edits::normalizer && s.kind != Kind::slstm) continue;
      const size_t width = slot == Edits::hidden ? P : H;
      rows[size_t(slot)].resize(N);
      for (size_t n = 0; n < N; ++n)
        rows[size_t(slot)][n] = wishes.edited == Wishes::Edited::nowhere || random() % 3 == 0 ? -1 : int64_t(random() % 2);
      tables.push_back(table(2 * width));
      for (size_t k = 0; k < 2 * width; k += 3) tables.back().set(k, std::nan(""));
      tables.push_back(table(2 * width));
      edits.of[slot] = {rows[size_t(slot)].data(), (&tables.back())[-1].data(), tables.back().data()};
    }
  }
  Forward f{};
  f.sequences = sequences, f.panels = &panels, f.threads = threads, f.edits = edits, f.noise = noise;
  f.x = x.data(), f.h_0 = h_0.data(), f.c_0 = c_0.data();
  if (wishes.in_place) {
    f.h = h_0.data(), f.c_n = c_0.data();
    kernels.forward(f);
    results["h"] = std::move(h_0);
    if (lstm) results["c_n"] = std::move(c_0);
    return results;
  }
  f.h = result("h", true, N * P, c.dtype), f.h_n = result("h_n", true, B * P, c.dtype);
  f.c_n = result("c_n", lstm, B * C * H, c.dtype);
  f.c = result("c", lstm && wishes.record, N * C * H, exact);
  f.gates = result("gates", wishes.record, N * G * H, c.dtype);
  f.pre = result("pre", wishes.record, N * G * H, c.dtype);
  f.q = result("q", q_width && wishes.record, N * q_width, c.dtype);
  if (f.q && norm) std::memset(f.q, 0, results["q"].bytes());  // what fills up its rows is never written
  kernels.forward(f);
  if (!wishes.record) return results;

  kernels.pack_backward(cell, panels, threads);
  Backward b{};
  b.sequences = sequences, b.panels = &panels, b.threads = threads;
  b.pre = f.pre, b.edits = edits, b.noise = noise, b.h_read = f.h, b.h_0_read = f.h_0;
  b.x = f.x, b.h_0 = f.h_0, b.c_0 = f.c_0, b.h = f.h, b.c = f.c, b.gates = f.gates, b.q = f.q;
  b.dh = dh.data(), b.dc = wishes.states ? dc.data() : nullptr;
  if (wishes.gates) b.dgates = dgates.data(), b.dpre = dpre.data();
  auto wanted = [&](int bit) { return (wishes.gradients >> bit & 1) != 0; };
  b.dx = result("dx", wanted(0), N * I, c.dtype), b.dh_0 = result("dh_0", wanted(1), B * P, c.dtype);
  b.dc_0 = result("dc_0", lstm && wanted(2), B * C * H, c.dtype);
  b.dW = result("dW", wanted(3), G * H * I, c.dtype), b.dU = result("dU", s.reads_h && wanted(4), G * H * P, c.dtype);
  b.db_x = result("db_x", s.bias && wanted(5), G * H, c.dtype);
  b.db_h = result("db_h", s.bias && s.reads_h && wanted(6), G * H, c.dtype);
  b.dV = result("dV", s.projection && wanted(7), P * H, c.dtype);
  b.dp = result("dp", K && wanted(8), K * H, c.dtype);
  b.da = result("da", norm && wanted(9), 2 * G * H, c.dtype);
  b.da_c = result("da_c", norm && lstm && wanted(10), 2 * H, c.dtype);
  b.step_dh = result("step_dh", wishes.of_steps, N * P, c.dtype);
  b.step_dc = result("step_dc", lstm && wishes.of_steps, N * C * H, exact);
  b.step_dgates = result("step_dgates", wishes.of_steps, N * G * H, c.dtype);
  kernels.backward(b);
  return results;
}

}  // namespace glasscell
