// Vectors as wide as the processor has them. Products and sums are fused only where the code says fma.

#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__x86_64__) && !defined(__FMA__)
#error "no fused multiply-add in this processor, or none that the compiler may use: each would be a slow function call"
#endif

namespace native {

#ifndef VECTOR_BYTES
#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#endif

using Index = std::int64_t;

template <typename T>
using Vector __attribute__((vector_size(VECTOR_BYTES))) = T;

template <typename T>
constexpr Index kLanes = VECTOR_BYTES / sizeof(T);

// a b + c, rounded once.
inline float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }

// The same for each lane. GCC makes no vector instruction of the loop, so the common ones are named.
template <typename T>
inline Vector<T> fma_lanes(Vector<T> a, Vector<T> b, Vector<T> c) {
  Vector<T> sum;
  for (Index lane = 0; lane < kLanes<T>; lane++) sum[lane] = fma(a[lane], b[lane], c[lane]);
  return sum;
}
#if defined(__AVX512F__) && VECTOR_BYTES == 64
inline Vector<float> fma(Vector<float> a, Vector<float> b, Vector<float> c) { return _mm512_fmadd_ps(a, b, c); }
inline Vector<double> fma(Vector<double> a, Vector<double> b, Vector<double> c) { return _mm512_fmadd_pd(a, b, c); }
#elif defined(__FMA__) && VECTOR_BYTES == 32
inline Vector<float> fma(Vector<float> a, Vector<float> b, Vector<float> c) { return _mm256_fmadd_ps(a, b, c); }
inline Vector<double> fma(Vector<double> a, Vector<double> b, Vector<double> c) { return _mm256_fmadd_pd(a, b, c); }
#elif defined(__aarch64__) && VECTOR_BYTES == 16
inline Vector<float> fma(Vector<float> a, Vector<float> b, Vector<float> c) { return vfmaq_f32(c, a, b); }
inline Vector<double> fma(Vector<double> a, Vector<double> b, Vector<double> c) { return vfmaq_f64(c, a, b); }
#else
inline Vector<float> fma(Vector<float> a, Vector<float> b, Vector<float> c) { return fma_lanes<float>(a, b, c); }
inline Vector<double> fma(Vector<double> a, Vector<double> b, Vector<double> c) { return fma_lanes<double>(a, b, c); }
#endif

// Memory that a vector comes from need not be aligned.
template <typename T>
inline Vector<T> load(const T* from) {
  Vector<T> vector;
  std::memcpy(&vector, from, sizeof vector);
  return vector;
}

template <typename T>
inline void store(const Vector<T>& vector, T* to) {
  std::memcpy(to, &vector, sizeof vector);
}

// The same, but once and into a register, however often the vector is used. Where the compiler sees at most four uses, it
// would load the vector anew for each, and a product would wait for the loads.
template <typename T>
inline Vector<T> load_once(const T* from) {
  using Unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(T)), may_alias)) = T;
  return *reinterpret_cast<const volatile Unaligned*>(from);
}

}  // namespace native
