// The loops of lstm_fused.py, which has their derivation (the same buffers, the same names), and matrix products.
//
// The same bytes on every processor: each sum is taken in one order, whatever the width of a vector and the number of
// threads; products and sums are fused only where the code says fma (compile with -ffp-contract=off); all else is
// addition, subtraction, multiplication and division, which IEEE 754 rounds in one way.
//
// Rows of a batch never meet inside a window, so each thread takes some of them through all its steps and waits for
// nobody.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace {

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

// A tile of a product: 6 rows by 2 vectors of sums fill 12 of AVX2's 16 registers, enough to hide an addition's latency.
constexpr Index kTileRows = 6;
constexpr Index kTileVectors = 2;
template <typename T>
constexpr Index kTileColumns = kTileVectors * kLanes<T>;

// So many rows of a panel fit into a processor's first-level cache.
constexpr Index kBlock = 256;

// Calls work(first, count) for each thread's share of so many things.
template <typename Work>
void share(Index things, Index threads, const Work& work) {
  const Index shares = std::min(threads, things);
#pragma omp parallel for num_threads(shares)
  for (Index number = 0; number < shares; number++) {
    const Index first = things * number / shares;
    work(first, things * (number + 1) / shares - first);
  }
}

// Numbers in memory; a transposed matrix is the same numbers with the strides exchanged.
template <typename T>
struct Matrix {
  const T* numbers;
  Index row_stride, column_stride;

  const T* at(Index row, Index column) const { return numbers + row * row_stride + column * column_stride; }
};

// A matrix as a product reads it: panels of kTileColumns columns, each contiguous, the last one filled up with zeros.
template <typename T>
class Panels {
 public:
  Panels(Matrix<T> matrix, Index rows, Index columns, Index threads)
      : rows_(rows), panels_((columns + kTileColumns<T> - 1) / kTileColumns<T> * kTileColumns<T> * rows) {
    share((columns + kTileColumns<T> - 1) / kTileColumns<T>, threads, [=](Index first_panel, Index panels) {
      for (Index row = 0; row < rows; row++)
        for (Index panel = first_panel; panel < first_panel + panels; panel++) {
          const Index first = panel * kTileColumns<T>, width = std::min(kTileColumns<T>, columns - first);
          T* to = &panels_[first * rows + row * kTileColumns<T>];
          if (matrix.column_stride == 1)
            std::copy_n(matrix.at(row, first), width, to);
          else
            for (Index column = 0; column < width; column++) to[column] = *matrix.at(row, first + column);
        }
    });
  }

  Index rows() const { return rows_; }
  const T* at(Index row, Index column) const { return &panels_[column * rows_ + row * kTileColumns<T>]; }

 private:
  Index rows_;
  std::vector<T> panels_;
};

// total (kRows, kTileColumns) += left (kRows, depth) panel (depth, kTileColumns)
template <typename T, Index kRows>
void add_tile(Matrix<T> left, const T* panel, Index depth, T* total, Index total_stride) {
  Vector<T> sums[kRows][kTileVectors];
  for (Index row = 0; row < kRows; row++)
    for (Index v = 0; v < kTileVectors; v++) sums[row][v] = load(total + row * total_stride + v * kLanes<T>);
  for (Index k = 0; k < depth; k++) {
    Vector<T> right[kTileVectors];
    for (Index v = 0; v < kTileVectors; v++) right[v] = load(panel + k * kTileColumns<T> + v * kLanes<T>);
    for (Index row = 0; row < kRows; row++) {
      const Vector<T> factor = *left.at(row, k) - Vector<T>{};  // the number in every lane
      for (Index v = 0; v < kTileVectors; v++) sums[row][v] = fma(factor, right[v], sums[row][v]);
    }
  }
  for (Index row = 0; row < kRows; row++)
    for (Index v = 0; v < kTileVectors; v++) store<T>(sums[row][v], total + row * total_stride + v * kLanes<T>);
}

template <typename T>
constexpr decltype(&add_tile<T, 1>) kAddTile[] = {
    add_tile<T, 1>, add_tile<T, 2>, add_tile<T, 3>, add_tile<T, 4>, add_tile<T, 5>, add_tile<T, 6>};

// total (rows, columns) += left (rows, depth) right (depth, columns); rows of total lie total_stride apart.
template <typename T>
void add_product(Matrix<T> left, const Panels<T>& right, T* total, Index rows, Index columns, Index total_stride) {
  const Index depth = right.rows(), tiles = (rows + kTileRows - 1) / kTileRows;
  // The numbers of a tile that is far apart in memory would push one another out of the cache: it is copied first.
  std::vector<T> copy(left.column_stride == 1 ? 0 : rows * std::min(kBlock, depth));
  for (Index k = 0; k < depth; k += kBlock) {
    const Index block = std::min(kBlock, depth - k);
    const auto rows_of = [=](Index tile) { return rows * (tile + 1) / tiles - rows * tile / tiles; };
    if (!copy.empty())
      for (Index tile = 0, row = 0; tile < tiles; row += rows_of(tile++))
        for (Index j = 0; j < block; j++)
          for (Index i = 0; i < rows_of(tile); i++) copy[row * block + j * rows_of(tile) + i] = *left.at(row + i, k + j);
    for (Index column = 0; column < columns; column += kTileColumns<T>) {
      const Index width = std::min(kTileColumns<T>, columns - column);
      for (Index tile = 0, row = 0, height; tile < tiles; tile++, row += height) {
        height = rows_of(tile);
        const auto add = kAddTile<T>[height - 1];
        const Matrix<T> from = copy.empty() ? Matrix<T>{left.at(row, k), left.row_stride, left.column_stride}
                                            : Matrix<T>{&copy[row * block], 1, height};
        T* to = total + row * total_stride + column;
        if (width == kTileColumns<T>) {
          add(from, right.at(k, column), block, to, total_stride);
          continue;
        }
        T edge[kTileRows * kTileColumns<T>] = {};  // a whole tile would write past the row's end
        for (Index i = 0; i < height; i++) std::copy_n(to + i * total_stride, width, edge + i * kTileColumns<T>);
        add(from, right.at(k, column), block, edge, kTileColumns<T>);
        for (Index i = 0; i < height; i++) std::copy_n(edge + i * kTileColumns<T>, width, to + i * total_stride);
      }
    }
  }
}

// total (rows, columns) += left (rows, depth) right (depth, columns), the longer side of total shared by the threads.
template <typename T>
void multiply(Matrix<T> left, Matrix<T> right, T* total, Index rows, Index depth, Index columns, Index threads) {
  if (rows >= columns) {
    const Panels<T> panels(right, depth, columns, threads);
    share(rows, threads, [=, &panels](Index first, Index count) {
      const Matrix<T> own{left.at(first, 0), left.row_stride, left.column_stride};
      add_product(own, panels, total + first * columns, count, columns, columns);
    });
  } else {
    share(columns, threads, [=](Index first, Index count) {
      const Matrix<T> own{right.at(0, first), right.row_stride, right.column_stride};
      add_product(left, Panels<T>(own, depth, count, 1), total + first, rows, count, columns);
    });
  }
}

// What e^x needs to know of a type: its bits, and ln 2 in two parts of which the first has trailing zeros.
template <typename T>
struct Type;

template <>
struct Type<float> {
  using Bits = std::int32_t;
  static constexpr int kFraction = 23, kBias = 127, kTerms = 7;
  static constexpr float kLargest = 87, kLn2 = 0x1.62e4p-1f, kLn2Rest = 0x1.7f7d1cp-20f;
};

template <>
struct Type<double> {
  using Bits = std::int64_t;
  static constexpr int kFraction = 52, kBias = 1023, kTerms = 13;
  static constexpr double kLargest = 700, kLn2 = 0x1.62e42feep-1, kLn2Rest = 0x1.a39ef35793c76p-33;
};

// e^x - 1, x cut to where 2^n is a normal number: with x = n ln 2 + r, it is 2^n (e^r - 1) + 2^n - 1, e^r by Taylor.
// It has no branch, so that loops over it become vector instructions.
template <typename T>
inline T exponential_minus_one(T x) {
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
  return fma(series * r, power, power - 1);
}

template <typename T>
inline T sigmoid(T x) {
  return 1 / (2 + exponential_minus_one(-x));
}

template <typename T>
inline T hyperbolic_tangent(T x) {
  const T e = exponential_minus_one(-2 * x);
  return -e / (2 + e);
}

struct Sizes {
  Index num_steps, batch_size, hidden;
};

template <typename T>
void forward(T* gates, const T* recurrent, T* hidden, T* cells, T* squashed, Sizes sizes, Index threads) {
  const Index n = sizes.hidden, step = sizes.batch_size * n;
  const Panels<T> right({recurrent, 4 * n, 1}, n, 4 * n, threads);
  share(sizes.batch_size, threads, [=, &right](Index first, Index rows) {
    for (Index t = 0; t < sizes.num_steps; t++) {
      const Index begin = t * step + first * n;
      add_product({hidden + begin, n, 1}, right, gates + 4 * begin, rows, 4 * n, 4 * n);
      for (Index at = begin; at < begin + rows * n; at += n) {
        T *C_tilde = gates + 4 * at, *I = C_tilde + n, *F = I + n, *O = F + n;
        const T* C_before = cells + at;
        T *C = cells + at + step, *tanh_C = squashed + at, *H = hidden + at + step;
#pragma omp simd
        for (Index j = 0; j < n; j++) {
          C_tilde[j] = hyperbolic_tangent(C_tilde[j]);
          I[j] = sigmoid(I[j]);
          F[j] = sigmoid(F[j]);
          O[j] = sigmoid(O[j]);
          C[j] = fma(F[j], C_before[j], I[j] * C_tilde[j]);
          tanh_C[j] = hyperbolic_tangent(C[j]);
          H[j] = O[j] * tanh_C[j];
        }
      }
    }
  });
}

template <typename T>
void backward(const T* gates, const T* recurrent, const T* cells, const T* squashed, T* d_gates, T* d_hidden,
              T* d_cell, Sizes sizes, Index threads) {
  const Index n = sizes.hidden, step = sizes.batch_size * n;
  const Panels<T> transposed({recurrent, 1, 4 * n}, 4 * n, n, threads);
  share(sizes.batch_size, threads, [=, &transposed](Index first, Index rows) {
    for (Index t = sizes.num_steps - 1; t >= 0; t--) {
      const Index begin = t * step + first * n;
      for (Index row = 0; row < rows; row++) {
        const Index at = begin + row * n;
        const T *C_tilde = gates + 4 * at, *I = C_tilde + n, *F = I + n, *O = F + n;
        const T *C_before = cells + at, *tanh_C = squashed + at, *dH = d_hidden + at + step;
        T *to_C_tilde = d_gates + 4 * at, *to_I = to_C_tilde + n, *to_F = to_I + n, *to_O = to_F + n;
        T* dC = d_cell + (first + row) * n;
#pragma omp simd
        for (Index j = 0; j < n; j++) {
          const T through_C = fma(dH[j] * O[j], fma(-tanh_C[j], tanh_C[j], T(1)), dC[j]);
          to_C_tilde[j] = through_C * I[j] * fma(-C_tilde[j], C_tilde[j], T(1));
          to_I[j] = through_C * C_tilde[j] * I[j] * (1 - I[j]);
          to_F[j] = through_C * C_before[j] * F[j] * (1 - F[j]);
          to_O[j] = dH[j] * tanh_C[j] * O[j] * (1 - O[j]);
          dC[j] = through_C * F[j];
        }
      }
      add_product({d_gates + 4 * begin, 4 * n, 1}, transposed, d_hidden + begin, rows, n, n);
    }
  });
}

}  // namespace

// Results depend on it, so they name it.
#ifdef __clang__
extern "C" const char* compiler() { return __VERSION__; }
#else
extern "C" const char* compiler() { return "GCC " __VERSION__; }
#endif

#define EXPORT(T)                                                                                                      \
  extern "C" void forward_##T(T* gates, const T* recurrent, T* hidden, T* cells, T* squashed, Index num_steps,         \
                              Index batch_size, Index n, Index threads) {                                              \
    forward(gates, recurrent, hidden, cells, squashed, {num_steps, batch_size, n}, threads);                           \
  }                                                                                                                    \
  extern "C" void backward_##T(const T* gates, const T* recurrent, const T* cells, const T* squashed, T* d_gates,      \
                               T* d_hidden, T* d_cell, Index num_steps, Index batch_size, Index n, Index threads) {    \
    backward(gates, recurrent, cells, squashed, d_gates, d_hidden, d_cell, {num_steps, batch_size, n}, threads);       \
  }                                                                                                                    \
  extern "C" void multiply_##T(const T* left, const T* right, T* total, Index rows, Index depth, Index columns,        \
                               Index left_row_stride, Index left_column_stride, Index right_row_stride,                \
                               Index right_column_stride, Index threads) {                                             \
    multiply<T>({left, left_row_stride, left_column_stride}, {right, right_row_stride, right_column_stride}, total,    \
                rows, depth, columns, threads);                                                                        \
  }

EXPORT(float)
EXPORT(double)
