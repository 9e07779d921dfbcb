// Chance inside the recurrence: numbers drawn by their place, and what becomes of gates and states.
//
// Philox4x32-7 (Salmon et al. 2011), as engines/philox.py writes it out: the counter is (token, its
// upper half, unit, block), the key the seed. Block 0 is for gates, block 1 for the zoneout of the cell
// and of the hidden state. Where two numbers do, two neighbouring units share the four of one counter.
// Nothing is kept of what is held: the backward draws again.
#pragma once

#include <limits>
#include <type_traits>

#include "precision.h"
#include "squash.h"

namespace glasscell::GLASSCELL_VARIANT {

using Words = uint64_t __attribute__((vector_size(vector_bytes)));  // of 32 bits each

// The products of the lower halves, in full.
GLASSCELL_INLINE Words product(Words a, Words b) {
#if defined(__AVX512F__)
  return (Words)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (Words)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#else
  return (a & 0xffffffffu) * (b & 0xffffffffu);
#endif
}

// Of one number for all units.
GLASSCELL_INLINE uint64_t product(uint64_t a, uint64_t b) { return uint64_t(uint32_t(a)) * uint32_t(b); }
GLASSCELL_INLINE Words product(Words a, uint64_t b) { return product(a, Words{} + b); }

// A round's four numbers of 32 bits: in the lower halves, of what comes and of what goes.
template <class A, class B, class C, class D>
struct Four {
  A a;
  B b;
  C c;
  D d;
};

constexpr int philox_rounds = 7;

// The keys of all rounds, from a seed.
struct Keys {
  explicit Keys(uint64_t seed) {
    for (uint32_t round = 0; round < philox_rounds; ++round) {
      low[round] = uint32_t(seed) + round * 0x9E3779B9u;
      high[round] = uint32_t(seed >> 32) + round * 0xBB67AE85u;
    }
  }
  uint32_t low[philox_rounds], high[philox_rounds];
};

template <int round, class A, class B, class C, class D>
GLASSCELL_INLINE auto philox_round(const Four<A, B, C, D>& x, const Keys& keys) {
  const A first = product(x.a, uint64_t(0xD2511F53u));
  const C second = product(x.c, uint64_t(0xCD9E8D57u));
  const auto a = (second >> 32) ^ x.b ^ uint64_t(keys.low[round]);
  const auto c = (first >> 32) ^ x.d ^ uint64_t(keys.high[round]);
  return Four<std::decay_t<decltype(a)>, C, std::decay_t<decltype(c)>, A>{a, second, c, first};
}

template <int round = 0, class A, class B, class C, class D>
GLASSCELL_INLINE auto philox(const Four<A, B, C, D>& x, const Keys& keys) {
  if constexpr (round == philox_rounds) {
    return x;
  } else {
    return philox<round + 1>(philox_round<round>(x, keys), keys);
  }
}

struct FourWords {
  Words of[4];
};

// Of some units of a token. All but the unit is the same for all of them, and stays one number for as
// long as a round leaves it so.
GLASSCELL_INLINE FourWords philox(int64_t token, Words units, int block, const Keys& keys) {
  const auto x = philox(Four<uint64_t, uint64_t, Words, uint64_t>{uint64_t(token), uint64_t(token) >> 32, units,
                                                                  uint64_t(block)}, keys);
  return {{x.a, x.b, x.c, x.d}};
}

// Uniform numbers between 0 and 1 for the units of a token from unit j on: four for each, or two.
template <class R>
struct Draws {
  static constexpr int L = lanes<R>, words = vector_bytes / 8;

  Draws() = default;
  GLASSCELL_INLINE Draws(const Keys& keys, int64_t token, int unit, int block, bool two) {
    Words place;
    for (int l = 0; l < words; ++l) place[l] = uint64_t(l);
    auto of_units = [&](Words units) __attribute__((always_inline)) { return philox(token, units, block, keys); };
    if (two) {
      if constexpr (sizeof(R) == 4) {
        const FourWords each = of_units(place + uint64_t(unit / 2));
        for (int k = 0; k < 2; ++k) numbers[k] = interleaved(each.of[k], each.of[2 + k]);
      } else {
        const FourWords each = of_units((place + uint64_t(unit)) >> 1);
        const Words odd = -((place + uint64_t(unit)) & 1);
        for (int k = 0; k < 2; ++k) numbers[k] = alone((each.of[k] & ~odd) | (each.of[2 + k] & odd));
      }
      return;
    }
    if constexpr (sizeof(R) == 4) {
      const FourWords even = of_units(2 * place + uint64_t(unit)), odd = of_units(2 * place + uint64_t(unit) + 1);
      for (int k = 0; k < 4; ++k) numbers[k] = interleaved(even.of[k], odd.of[k]);
    } else {
      const FourWords each = of_units(place + uint64_t(unit));
      for (int k = 0; k < 4; ++k) numbers[k] = alone(each.of[k]);
    }
  }

  // The upper 23 bits of a word become the mantissa of a number from 1 to 2; what is taken off leaves
  // a half of the last of them.
  static GLASSCELL_INLINE Vec<R> interleaved(Words even, Words odd) {
    using Halves = uint32_t __attribute__((vector_size(vector_bytes)));
    const Halves words = (Halves)((even & 0xffffffffu) | odd << 32);
    return (Vec<R>)(words >> 9 | 0x3f800000u) - splat(R(1) - R(0x1p-24));
  }
  static GLASSCELL_INLINE Vec<R> alone(Words each) {
    const Words bits = (each & 0xffffffffu) >> 9 << 29 | 0x3ff0000000000000u;
    return (Vec<R>)bits - splat(R(1) - R(0x1p-24));
  }

  Vec<R> numbers[4];
};

// What stays of the old states at some units of a token: 0 or 1 in training, the rate else.
template <class R>
struct Staying {
  Staying() = default;
  GLASSCELL_INLINE Staying(const Noise& noise, const Keys& keys, int64_t token, int unit)
      : cell(splat(R(noise.zoneout_cell))), hidden(splat(R(noise.zoneout_hidden))) {
    if (!noise.training) return;
    const Draws<R> draws(keys, token, unit, 1, true);
    const Vec<R> one = splat(R(1));
    cell = draws.numbers[0] < splat(R(float(noise.zoneout_cell))) ? one : Vec<R>{};
    hidden = draws.numbers[1] < splat(R(float(noise.zoneout_hidden))) ? one : Vec<R>{};
  }

  Vec<R> cell, hidden;
};

// A state after zoneout.
template <class R>
GLASSCELL_INLINE Vec<R> held(Vec<R> stays, Vec<R> fresh, Vec<R> old) {
  return fma(stays, old, (splat(R(1)) - stays) * fresh);
}

// What an sLSTM's held and new state are told in: log k + m_{t-1} and log(1 - k) + m' (cells/slstm.py).
template <class R>
struct Exponents {
  GLASSCELL_INLINE Exponents(Vec<R> stays, Vec<R> m_prev, Vec<R> m_new)
      : held(logarithm_or_none(stays) + m_prev), moved(logarithm_or_none(splat(R(1)) - stays) + m_new) {}

  // log(exp(held) + exp(moved))
  GLASSCELL_INLINE Vec<R> together() const {
    const Vec<R> larger = greatest(held, moved), smaller = least(held, moved);
    const Vec<R> both = larger + logarithm<R>(splat(R(1)) + exponential<R>(smaller - larger));
    return larger == none() ? larger : both;
  }

  // How much is held and how much is new, of a state too of which there is nothing yet: m_{t-1} = -inf.
  GLASSCELL_INLINE Vec<R> rho(Vec<R> m_t) const { return held == m_t ? splat(R(1)) : exponential<R>(held - m_t); }
  GLASSCELL_INLINE Vec<R> nu(Vec<R> m_t) const { return m_t == none() ? Vec<R>{} : exponential<R>(moved - m_t); }

  // How much of dL/dm_t is held's.
  GLASSCELL_INLINE Vec<R> share_held() const { return moved == none() ? splat(R(1)) : sigmoid<R>(held - moved); }

  static GLASSCELL_INLINE Vec<R> none() { return splat(-std::numeric_limits<R>::infinity()); }
  static GLASSCELL_INLINE Vec<R> logarithm_or_none(Vec<R> x) {
    return x > Vec<R>{} ? logarithm<R>(x) : none();
  }

  Vec<R> held, moved;
};

// What may happen to a cell's equations in a run, as far as the compiler is told: nothing, so that no gate
// is missing, drawn or edited and no state is held; to an LSTM that gates are drawn, or that states are
// held; or anything.
enum class Path { plain, drawn, held, any };

// Whether gates are drawn in this run, of this cell.
inline bool draws_gates(const CellWeights& cell, const Noise& noise) {
  return noise.any && noise.training && cell.draws > 0;
}

inline bool holds_states(const Noise& noise) { return noise.zoneout_cell || noise.zoneout_hidden; }

inline Path path_of(const CellWeights& cell, const Noise& noise, const Edits& edits) {
  if (!cell.ordinary || edits.any) return Path::any;
  const bool drawn = draws_gates(cell, noise), held = holds_states(noise);
  if (!drawn && !held) return Path::plain;
  if (cell.kind != Kind::lstm || (drawn && held)) return Path::any;
  return drawn ? Path::drawn : Path::held;
}

// Calls body(path), the path known to the compiler.
template <Kind kind, class Body>
GLASSCELL_INLINE void on_path(Path path, const Body& body) {
  if constexpr (kind == Kind::lstm) {
    if (path == Path::drawn) return body(std::integral_constant<Path, Path::drawn>{});
    if (path == Path::held) return body(std::integral_constant<Path, Path::held>{});
  }
  if constexpr (kind != Kind::lstm3 && kind != Kind::lstm2 && kind != Kind::gru2)
    if (path == Path::plain) return body(std::integral_constant<Path, Path::plain>{});
  body(std::integral_constant<Path, Path::any>{});
}

// The numbers by which the gates of a token are drawn.
template <class R>
GLASSCELL_INLINE Draws<R> gate_draws(const CellWeights& cell, const Keys& keys, int64_t token, int unit) {
  return Draws<R>(keys, token, unit, 0, cell.draws <= 2);
}

// Whether gate g is 0 or 1, and its slope that of its odds.
GLASSCELL_INLINE bool by_odds(const CellWeights& cell, int g) {
  return Stochastic(cell.stochastic[g]) == Stochastic::bernoulli;
}

// The value of gate g, one that is drawn, from what goes into its squash. Its odds go to `kept`, if
// that is given.
template <class R, class Store>
GLASSCELL_INLINE Vec<R> drawn_gate(const CellWeights& cell, int g, Vec<R> v, const Draws<R>& draws, Store* kept, int n) {
  const Vec<R> u = draws.numbers[cell.draw[g]];
  if (by_odds(cell, g)) {
    const Vec<R> odds = apply<R>(Squash(cell.squash[g]), v);
    if (kept) store(kept, odds, n);
    return u < odds ? splat(R(1)) : Vec<R>{};
  }
  if (cell.temperature[g] == 1) {  // sigmoid(v + log u - log(1 - u)), without logarithms
    const Vec<R> opens = u * exponential<R>(v);
    return opens / (opens + (splat(R(1)) - u));
  }
  const Vec<R> odds = logarithm<R>(u / (splat(R(1)) - u));
  return sigmoid<R>((v + odds) * splat(R(1) / R(cell.temperature[g])));
}

// d(that value)/dv, from the value itself.
template <class R>
GLASSCELL_INLINE Vec<R> gate_slope(const CellWeights& cell, int g, Vec<R> v, Vec<R> value, bool drawn) {
  const Squash squash = Squash(cell.squash[g]);
  if (!drawn || !cell.stochastic[g]) return slope<R>(squash, value);
  if (Stochastic(cell.stochastic[g]) == Stochastic::bernoulli) return slope<R>(squash, apply<R>(squash, v));
  return value * (splat(R(1)) - value) * splat(R(1) / R(cell.temperature[g]));
}

// How an LSTM's input and forget gates share what they have: of the candidate, how much is written;
// of the cell state, how much stays.
template <class R>
struct Shares {
  Vec<R> written, kept;
};

template <class R>
GLASSCELL_INLINE Vec<R> at_least_tiny(Vec<R> v) {
  return greatest(splat(std::numeric_limits<R>::min()), v);
}

// So that two gates that are both shut, as drawn ones can be, let nothing through: not 0 / 0.
template <class R>
GLASSCELL_INLINE Vec<R> or_one(Vec<R> total) {
  return total == Vec<R>{} ? splat(R(1)) : total;
}

template <class R>
GLASSCELL_INLINE Shares<R> shared(const CellWeights& cell, Vec<R> i, Vec<R> f) {
  const Vec<R> one = splat(R(1));
  if (Sharing(cell.sharing) == Sharing::complement) {
    if (cell.slot[1] < 0) return {i, one - i};
    const Vec<R> rest = splat(R(cell.complement)) * (one - f);
    return {rest / (f + rest), f};
  }
  if (Sharing(cell.sharing) == Sharing::normalized) {
    const Vec<R> total = or_one<R>(i + f);
    return {i / total, f / total};
  }
  return {i, f};
}

// dL/di and dL/df, in that order, from dL/d(how much is written, how much stays).
template <class R>
GLASSCELL_INLINE Shares<R> shared_backward(const CellWeights& cell, Vec<R> dwritten, Vec<R> dkept, Vec<R> i, Vec<R> f) {
  const Vec<R> one = splat(R(1));
  if (Sharing(cell.sharing) == Sharing::complement) {
    if (cell.slot[1] < 0) return {dwritten - dkept, Vec<R>{}};
    const Vec<R> k = splat(R(cell.complement)), total = f + k * (one - f);
    return {Vec<R>{}, dkept - dwritten * k / (total * total)};
  }
  if (Sharing(cell.sharing) == Sharing::normalized) {
    const Vec<R> total = or_one<R>(i + f), d = dwritten - dkept;
    const auto shut = i + f == Vec<R>{};
    return {shut ? dwritten : d * (f / total) / total, shut ? dkept : -d * (i / total) / total};
  }
  return {dwritten, dkept};
}

}  // namespace glasscell::GLASSCELL_VARIANT
