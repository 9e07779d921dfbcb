// The squashes at the end of a gate map, on whole vectors.
//
// Both logistic functions come from one exponential, written as e^r - 1 so that tanh keeps its
// relative accuracy near 0:
//
//     x = n ln 2 + r,  |r| <= ln 2 / 2        e^x - 1 = 2^n (e^r - 1) + (2^n - 1)
//     sigmoid(x) = 1 / (1 + e^-x)             tanh(x) = (e^2x - 1) / (e^2x - 1 + 2)
//
// The polynomial interpolates (e^r - 1 - r) / r^2 at Chebyshev nodes; NaN and infinities pass.
#pragma once

#include "vec.h"

namespace glasscell::GLASSCELL_VARIANT {

template <class R>
struct Exponential;

template <>
struct Exponential<float> {
  static constexpr float log2e = 1.44269504088896341f;
  static constexpr float ln2_high = 0.693359375f, ln2_low = -2.1219444005469058e-4f;
  static constexpr float round = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
  static constexpr int mantissa_bits = 23, bias = 127;
  static constexpr float greatest_exponent = 88.0f, least_exponent = -87.0f, saturated = 20.0f;
  static constexpr float polynomial[] = {0.5f, 0.16666576989698775683f, 0.041666554617204574203f,
                                         0.0083631790527225773704f, 0.0013926183587713494542f};
};

template <>
struct Exponential<double> {
  static constexpr double log2e = 1.44269504088896340736;
  static constexpr double ln2_high = 0.693147175014019, ln2_low = 5.5459262969660602465e-9;
  static constexpr double round = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr int mantissa_bits = 52, bias = 1023;
  static constexpr double greatest_exponent = 708.0, least_exponent = -708.0, saturated = 40.0;
  static constexpr double polynomial[] = {
      0.5, 0.16666666666666670991, 0.041666666666666669755, 0.0083333333333261351258,
      0.0013888888888883748305, 0.00019841269874820625271, 0.000024801587325547741216,
      2.755725540020642443e-6, 2.7557273643110295328e-7, 2.5105217004720745164e-8,
      2.0914686968086877233e-9};
};

// 2^n and e^r - 1, for x within the range whose exponential is finite.
template <class R>
GLASSCELL_INLINE void split_exponential(Vec<R> x, Vec<R>& power, Vec<R>& rest) {
  using E = Exponential<R>;
  const Vec<R> magic = splat(E::round);
  Vec<R> shifted = fma(x, splat(E::log2e), magic);
  Vec<R> n = shifted - magic;
  Vec<R> r = fma(n, splat(-E::ln2_high), x);
  r = fma(n, splat(-E::ln2_low), r);
  constexpr int degree = int(sizeof E::polynomial / sizeof(R)) - 1;
  Vec<R> q = splat(E::polynomial[degree]);
#pragma GCC unroll 16
  for (int k = degree - 1; k >= 0; --k) q = fma(q, r, splat(E::polynomial[k]));
  rest = fma(r * r, q, r);
  // `shifted` holds n in the low bits of its mantissa: they become the exponent.
  IntVec<R> exponent = ((IntVec<R>)shifted - (IntVec<R>)magic + E::bias) << E::mantissa_bits;
  power = (Vec<R>)exponent;
}

template <class R>
GLASSCELL_INLINE Vec<R> sigmoid(Vec<R> x) {
  using E = Exponential<R>;
  Vec<R> t = greatest(splat(E::least_exponent), least(splat(E::greatest_exponent), -x));
  Vec<R> power, rest;
  split_exponential<R>(t, power, rest);
  Vec<R> y = splat(R(1)) / (splat(R(1)) + fma(power, rest, power));
  return x < splat(-E::greatest_exponent) ? Vec<R>{} : y;  // below the least normal number
}

template <class R>
GLASSCELL_INLINE Vec<R> tanh(Vec<R> x) {
  using E = Exponential<R>;
  Vec<R> t = greatest(splat(-E::saturated), least(splat(E::saturated), x + x));
  Vec<R> power, rest;
  split_exponential<R>(t, power, rest);
  Vec<R> em1 = fma(power, rest, power - splat(R(1)));  // e^2x - 1
  return em1 / (em1 + splat(R(2)));
}

// NaN passes: it is not below 0.
template <class R>
GLASSCELL_INLINE Vec<R> relu(Vec<R> x) {
  return x < Vec<R>{} ? Vec<R>{} : x;
}

// x from low to high, and NaN.
template <class R>
GLASSCELL_INLINE Vec<R> clamped(Vec<R> x, R low, R high) {
  return greatest(splat(low), least(splat(high), x));
}

template <class R>
GLASSCELL_INLINE Vec<R> hard_sigmoid(Vec<R> x) {
  return clamped<R>(x + splat(R(3)), R(0), R(6)) / splat(R(6));
}

// x + 1/2 from 0 on, sigmoid(x) below.
template <class R>
GLASSCELL_INLINE Vec<R> positive(Vec<R> x) {
  const Vec<R> below = sigmoid<R>(x);
  return x >= Vec<R>{} ? x + splat(R(0.5)) : below;
}

// e^x, finite as far as numbers go.
template <class R>
GLASSCELL_INLINE Vec<R> exponential(Vec<R> x) {
  using E = Exponential<R>;
  Vec<R> power, rest;
  split_exponential<R>(clamped<R>(x, E::least_exponent, E::greatest_exponent), power, rest);
  const Vec<R> y = fma(power, rest, power);
  return x < splat(E::least_exponent) ? Vec<R>{} : y;
}

// The natural logarithm of normal positive numbers: x = 2^n m with m near 1, and
//
//     log m = 2 (s + s^3 / 3 + s^5 / 5 + ...),   s = (m - 1) / (m + 1),   |s| <= 0.172
template <class R>
GLASSCELL_INLINE Vec<R> logarithm(Vec<R> x) {
  using E = Exponential<R>;
  constexpr int terms = sizeof(R) == 4 ? 5 : 11;
  const auto bits = (IntVec<R>)x;
  auto n = (bits >> E::mantissa_bits) - E::bias;
  Vec<R> m = (Vec<R>)(bits - (n << E::mantissa_bits));  // from 1 to 2
  const auto large = m > splat(R(1.41421356237309504880));
  m = large ? m * splat(R(0.5)) : m;
  n = n - (IntVec<R>)large;  // true is -1
  const Vec<R> s = (m - splat(R(1))) / (m + splat(R(1))), square = s * s;
  Vec<R> sum = splat(R(1) / R(2 * terms - 1));
#pragma GCC unroll 16
  for (int k = terms - 2; k >= 0; --k) sum = fma(sum, square, splat(R(1) / R(2 * k + 1)));
  const Vec<R> whole = __builtin_convertvector(n, Vec<R>);
  const Vec<R> low = fma(whole, splat(E::ln2_low), (s + s) * sum);
  return fma(whole, splat(E::ln2_high), low);
}

// log sigmoid(x) = min(x, 0) - log(1 + e^-|x|)
template <class R>
GLASSCELL_INLINE Vec<R> log_sigmoid(Vec<R> x) {
  const Vec<R> minus = x > Vec<R>{} ? -x : x;
  return least(splat(R(0)), x) - logarithm<R>(splat(R(1)) + exponential<R>(minus));
}

// The codes that `engines/packed.py` gives to `cells.Squash`, by name.
enum class Squash : int { sigmoid = 0, tanh = 1, relu = 2, identity = 3, hard_sigmoid = 4, hard_tanh = 5, positive = 6 };

template <class R>
GLASSCELL_INLINE Vec<R> apply(Squash squash, Vec<R> x) {
  switch (squash) {
    case Squash::sigmoid: return sigmoid<R>(x);
    case Squash::tanh: return tanh<R>(x);
    case Squash::identity: return x;
    case Squash::hard_sigmoid: return hard_sigmoid<R>(x);
    case Squash::hard_tanh: return clamped<R>(x, R(-1), R(1));
    case Squash::positive: return positive<R>(x);
    default: return relu<R>(x);
  }
}

// The derivative in terms of the output y, as in cells/gates.py.
template <class R>
GLASSCELL_INLINE Vec<R> slope(Squash squash, Vec<R> y) {
  const Vec<R> one = splat(R(1));
  switch (squash) {
    case Squash::sigmoid: return y * (one - y);
    case Squash::tanh: return one - y * y;
    case Squash::identity: return one;
    case Squash::hard_sigmoid: return (y > Vec<R>{}) & (y < one) ? one / splat(R(6)) : Vec<R>{};
    case Squash::hard_tanh: return (y > -one) & (y < one) ? one : Vec<R>{};
    case Squash::positive: return y >= splat(R(0.5)) ? one : y * (one - y);
    default: return y > Vec<R>{} ? one : Vec<R>{};
  }
}

}  // namespace glasscell::GLASSCELL_VARIANT
