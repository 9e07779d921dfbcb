// Chance inside the recurrence: numbers drawn by their place, and what becomes of gates and states.
//
// Philox4x32-10 (Salmon et al. 2011), as engines/philox.py writes it out: the counter is (token, its
// upper half, unit, block), the key the seed. Block 0 is for gates, block 1 for the zoneout of the cell
// and of the hidden state. Where two numbers do, two neighbouring units share the four of one counter.
// Nothing is kept: the backward draws again.
#pragma once

#include <limits>

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

struct FourWords {
  Words of[4];
};

// Only the lower halves count, of what comes and of what goes.
GLASSCELL_INLINE FourWords philox(Words a, Words b, Words c, Words d, uint64_t key) {
  uint32_t low = uint32_t(key), high = uint32_t(key >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    const Words first = product(a, Words{} + 0xD2511F53u), second = product(c, Words{} + 0xCD9E8D57u);
    a = (second >> 32) ^ b ^ uint64_t(low);
    c = (first >> 32) ^ d ^ uint64_t(high);
    b = second;
    d = first;
    low += 0x9E3779B9u, high += 0xBB67AE85u;
  }
  return {{a, b, c, d}};
}

// Uniform numbers between 0 and 1 for the units of a token from unit j on: four for each, or two.
template <class R>
struct Draws {
  static constexpr int L = lanes<R>, words = vector_bytes / 8;

  Draws() = default;
  GLASSCELL_INLINE Draws(uint64_t seed, int64_t token, int unit, int block, bool two) {
    Words place;
    for (int l = 0; l < words; ++l) place[l] = uint64_t(l);
    auto of_units = [&](Words units) {
      const Words zero{};
      return philox(zero + (uint64_t(token) & 0xffffffffu), zero + (uint64_t(token) >> 32), units,
                    zero + uint64_t(block), seed);
    };
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
    const Words bits = (even & 0xffffffffu) >> 9 | (odd & 0xffffffffu) >> 9 << 32 | 0x3f8000003f800000u;
    return (Vec<R>)bits - splat(R(1) - R(0x1p-24));
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
  GLASSCELL_INLINE Staying(const Noise& noise, int64_t token, int unit)
      : cell(splat(R(noise.zoneout_cell))), hidden(splat(R(noise.zoneout_hidden))) {
    if (!noise.training) return;
    const Draws<R> draws(noise.seed, token, unit, 1, true);
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

// Whether gates are drawn in this run, of this cell.
inline bool draws_gates(const CellWeights& cell, const Noise& noise) {
  return noise.any && noise.training && cell.draws > 0;
}

// The numbers by which the gates of a token are drawn.
template <class R>
GLASSCELL_INLINE Draws<R> gate_draws(const CellWeights& cell, const Noise& noise, int64_t token, int unit) {
  return Draws<R>(noise.seed, token, unit, 0, cell.draws <= 2);
}

// The value of gate g, one that is drawn, from what goes into its squash.
template <class R>
GLASSCELL_INLINE Vec<R> drawn_gate(const CellWeights& cell, int g, Vec<R> v, const Draws<R>& draws) {
  const Vec<R> u = draws.numbers[cell.draw[g]];
  if (Stochastic(cell.stochastic[g]) == Stochastic::bernoulli)
    return u < apply<R>(Squash(cell.squash[g]), v) ? splat(R(1)) : Vec<R>{};
  const Vec<R> odds = logarithm<R>(u) - logarithm<R>(splat(R(1)) - u);
  return sigmoid<R>((v + odds) / splat(R(cell.temperature[g])));
}

// d(that value)/dv, from the value itself.
template <class R>
GLASSCELL_INLINE Vec<R> gate_slope(const CellWeights& cell, int g, Vec<R> v, Vec<R> value, bool drawn) {
  const Squash squash = Squash(cell.squash[g]);
  if (!drawn || !cell.stochastic[g]) return slope<R>(squash, value);
  if (Stochastic(cell.stochastic[g]) == Stochastic::bernoulli) return slope<R>(squash, apply<R>(squash, v));
  return value * (splat(R(1)) - value) / splat(R(cell.temperature[g]));
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
