// Exponential, logarithm, logistic function and hyperbolic tangent, from operations that IEEE 754 rounds in one way.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "vector.h"

namespace native {

// What e^x needs to know of a type: its bits, and ln 2 in two parts of which the first has trailing zeros.
template <typename T>
struct Type;

template <>
struct Type<float> {
  using Bits = std::uint32_t;
  static constexpr int kFraction = 23, kBias = 127, kTerms = 7;
  static constexpr float kLargest = 87, kLn2 = 0x1.62e4p-1f, kLn2Rest = 0x1.7f7d1cp-20f;
};

template <>
struct Type<double> {
  using Bits = std::uint64_t;
  static constexpr int kFraction = 52, kBias = 1023, kTerms = 13;
  static constexpr double kLargest = 700, kLn2 = 0x1.62e42feep-1, kLn2Rest = 0x1.a39ef35793c76p-33;
};

// e^x - less, less being 0 or 1, x cut to where 2^n is a normal number: with x = n ln 2 + r, it is
// 2^n (e^r - 1) + 2^n - less, e^r by Taylor. It has no branch, so that loops over it become vector instructions.
template <typename T>
inline T exponential(T x, T less) {
  using Bits = typename Type<T>::Bits;
  constexpr int kFraction = Type<T>::kFraction;
  constexpr T kRound = T(Bits(3) << (kFraction - 1));  // adding it leaves the nearest integer in the lowest bits
  x = std::min(std::max(x, -Type<T>::kLargest), Type<T>::kLargest);
  const T rounded = fma(x, T(1.4426950408889634), kRound);
  const T n = rounded - kRound;
  const T r = fma(-n, Type<T>::kLn2Rest, fma(-n, Type<T>::kLn2, x));
  T series = 1;
  for (int term = Type<T>::kTerms; term > 1; term--) series = fma(series * r, T(1) / term, T(1));
  Bits bits;
  std::memcpy(&bits, &rounded, sizeof bits);
  bits = (bits << kFraction) + (Bits(Type<T>::kBias) << kFraction);
  T power;
  std::memcpy(&power, &bits, sizeof power);
  return fma(series * r, power, power - less);
}

template <typename T>
inline T sigmoid(T x) {
  return 1 / (2 + exponential(-x, T(1)));
}

template <typename T>
inline T hyperbolic_tangent(T x) {
  const T e = exponential(-2 * x, T(1));
  return -e / (2 + e);
}

// ln x of a positive, normal number: x = 2^n m, ln m = 2 atanh((m - 1) / (m + 1)), by Taylor.
inline double logarithm(double x) {
  if (!(x > 0 && x <= 0x1.fffffffffffffp1023)) return x == 0 ? -HUGE_VAL : x;  // NaN and infinity stay
  int n;
  double m = std::frexp(x, &n);
  if (m < 0x1.6a09e667f3bcdp-1) m *= 2, n--;
  const double s = (m - 1) / (m + 1);
  double series = 0;
  for (int power = 23; power > 0; power -= 2) series = fma(series, s * s, 1.0 / power);
  return fma(double(n), Type<double>::kLn2, fma(double(n), Type<double>::kLn2Rest, 2 * s * series));
}

}  // namespace native
