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
#include <memory>

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

// The same, but once and into a register, however often the vector is used. Where the compiler sees at most four uses, it
// would load the vector anew for each, and a product would wait for the loads.
template <typename T>
inline Vector<T> load_once(const T* from) {
  using Unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(T)), may_alias)) = T;
  return *reinterpret_cast<const volatile Unaligned*>(from);
}

// A tile of a product: 6 rows by 2 vectors of sums fill 12 of AVX2's 16 registers, enough to hide an addition's latency.
constexpr Index kTileRows = 6;
constexpr Index kTileVectors = 2;
template <typename T>
constexpr Index kTileColumns = kTileVectors * kLanes<T>;

// A product is computed in blocks that caches hold; blocks change no sum's order.
constexpr Index kBlockDepth = 512, kBlockRows = 48, kBlockColumns = 256;

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
  Matrix from(Index row, Index column) const { return {at(row, column), row_stride, column_stride}; }
};

// So many rows or columns of a matrix are copied together, so that what a cache line brings along is used at once.
constexpr Index kTogether = 16;

// The right matrix as a product reads it: panels of kTileColumns columns, each contiguous, the last filled with zeros.
template <typename T>
class Panels {
 public:
  Panels(Index rows, Index columns)
      : stride_((rows + 1) * kTileColumns<T>),  // panels 2^n bytes apart would share a few places in a cache
        copy_(new T[(columns + kTileColumns<T> - 1) / kTileColumns<T> * stride_]) {}

  void copy(Matrix<T> matrix, Index rows, Index columns, Index threads) {
    share((columns + kTileColumns<T> - 1) / kTileColumns<T>, threads, [=](Index first, Index panels) {
      for (Index panel = first; panel < first + panels; panel++) {
        const Index column = panel * kTileColumns<T>, width = std::min(kTileColumns<T>, columns - column);
        T* to = &copy_[panel * stride_];
        for (Index row = 0; row < rows; row++, to += kTileColumns<T>)
          if (matrix.column_stride == 1 && width == kTileColumns<T>)
            std::memcpy(to, matrix.at(row, column), sizeof(T) * kTileColumns<T>);
          else
            for (Index j = 0; j < kTileColumns<T>; j++) to[j] = j < width ? *matrix.at(row, column + j) : 0;
      }
    });
  }

  const T* at(Index row, Index panel) const { return &copy_[panel * stride_ + row * kTileColumns<T>]; }

 private:
  Index stride_;
  std::unique_ptr<T[]> copy_;
};

// The left matrix as a product reads it: kTileRows rows at a time or, so that they are even, a row less. If the numbers
// of a row are far apart, tiles are copied first: those of a tile would push one another out of the cache.
template <typename T>
class Tiles {
 public:
  Tiles(Matrix<T> matrix, Index rows, Index depth, Index threads)
      : matrix_(matrix), rows_(rows), depth_(depth), count_((rows + kTileRows - 1) / kTileRows) {
    if (matrix.column_stride == 1) return;
    copy_.reset(new T[rows * depth]);
    share((depth + kTogether - 1) / kTogether, threads, [=](Index first, Index groups) {
      for (Index group = first; group < first + groups; group++)
        for (Index tile = 0; tile < count_; tile++)
          for (Index k = group * kTogether; k < std::min((group + 1) * kTogether, depth); k++)
            for (Index i = 0; i < height(tile); i++)
              copy_[row(tile) * depth + k * height(tile) + i] = *matrix.at(row(tile) + i, k);
    });
  }

  Index count() const { return count_; }
  Index row(Index tile) const { return rows_ * tile / count_; }
  Index height(Index tile) const { return row(tile + 1) - row(tile); }
  Matrix<T> at(Index tile, Index k) const {
    if (!copy_) return matrix_.from(row(tile), k);
    return {&copy_[row(tile) * depth_ + k * height(tile)], 1, height(tile)};
  }

 private:
  Matrix<T> matrix_;
  Index rows_, depth_, count_;
  std::unique_ptr<T[]> copy_;
};

// total (kRows, kTileColumns) = left (kRows, depth) panel (depth, kTileColumns), added to total if `add`
template <typename T, Index kRows>
void multiply_tile(Matrix<T> left, const T* panel, Index depth, T* total, Index total_stride, bool add) {
  Vector<T> sums[kRows][kTileVectors];
  for (Index row = 0; row < kRows; row++)
    for (Index v = 0; v < kTileVectors; v++)
      sums[row][v] = add ? load(total + row * total_stride + v * kLanes<T>) : Vector<T>{};
  for (Index k = 0; k < depth; k++) {
    Vector<T> right[kTileVectors];
    for (Index v = 0; v < kTileVectors; v++) right[v] = load_once(panel + k * kTileColumns<T> + v * kLanes<T>);
    for (Index row = 0; row < kRows; row++) {
      const Vector<T> factor = *left.at(row, k) - Vector<T>{};  // the number in every lane
      for (Index v = 0; v < kTileVectors; v++) sums[row][v] = fma(factor, right[v], sums[row][v]);
    }
  }
  for (Index row = 0; row < kRows; row++)
    for (Index v = 0; v < kTileVectors; v++) store<T>(sums[row][v], total + row * total_stride + v * kLanes<T>);
}

template <typename T>
constexpr decltype(&multiply_tile<T, 1>) kMultiplyTile[] = {multiply_tile<T, 1>, multiply_tile<T, 2>,
                                                            multiply_tile<T, 3>, multiply_tile<T, 4>,
                                                            multiply_tile<T, 5>, multiply_tile<T, 6>};

// Some columns of left, from left_k on, times as many rows of right, from right_k on: a part of each sum of a product.
struct Part {
  Index left_k, right_k, depth;
};

// total (rows, columns) = a part of left (rows, ...) right (..., columns), added to total if `add`; rows of total lie
// total_stride apart.
template <typename T>
void multiply_part(const Tiles<T>& left, const Panels<T>& right, Part part, T* total, Index columns,
                   Index total_stride, bool add) {
  constexpr Index kTiles = kBlockRows / kTileRows;
  for (Index first = 0; first < left.count(); first += kTiles)
    for (Index column = 0; column < columns; column += kTileColumns<T>) {
      const Index width = std::min(kTileColumns<T>, columns - column);
      const T* panel = right.at(part.right_k, column / kTileColumns<T>);
      for (Index tile = first; tile < std::min(first + kTiles, left.count()); tile++) {
        const Index height = left.height(tile);
        const auto multiply_tile = kMultiplyTile<T>[height - 1];
        T* to = total + left.row(tile) * total_stride + column;
        if (width == kTileColumns<T>) {
          for (Index i = height; i < height + kTileRows; i++) {  // the next tile is on its way into the cache
            __builtin_prefetch(to + i * total_stride, 1);
            __builtin_prefetch(to + i * total_stride + kTileColumns<T> - 1, 1);
          }
          multiply_tile(left.at(tile, part.left_k), panel, part.depth, to, total_stride, add);
          continue;
        }
        T edge[kTileRows * kTileColumns<T>] = {};  // a whole tile would write past the row's end
        for (Index i = 0; add && i < height; i++) std::copy_n(to + i * total_stride, width, edge + i * kTileColumns<T>);
        multiply_tile(left.at(tile, part.left_k), panel, part.depth, edge, kTileColumns<T>, true);
        for (Index i = 0; i < height; i++) std::copy_n(edge + i * kTileColumns<T>, width, to + i * total_stride);
      }
    }
}

// The same with all of left's columns.
template <typename T>
void multiply(const Tiles<T>& left, const Panels<T>& right, Index depth, T* total, Index columns, Index total_stride,
              bool add) {
  for (Index k = 0; k < depth; k += kBlockDepth)
    multiply_part(left, right, {k, k, std::min(kBlockDepth, depth - k)}, total, columns, total_stride, add || k > 0);
}

// total (rows, columns) = left (rows, depth) right (depth, columns), the longer side of total shared by the threads.
template <typename T>
void multiply(Matrix<T> left, Matrix<T> right, T* total, Index rows, Index depth, Index columns, Index threads) {
  if (depth == 0) {
    std::fill_n(total, rows * columns, T(0));
  } else if (rows >= columns) {
    Panels<T> panels(depth, columns);
    panels.copy(right, depth, columns, threads);
    share(rows, threads, [=, &panels](Index first, Index count) {
      const Tiles<T> tiles(left.from(first, 0), count, depth, 1);
      multiply(tiles, panels, depth, total + first * columns, columns, columns, false);
    });
  } else {
    const Tiles<T> tiles(left, rows, depth, threads);
    share(columns, threads, [=, &tiles](Index first, Index count) {
      Panels<T> panels(std::min(depth, kBlockDepth), std::min(count, kBlockColumns));
      for (Index column = first; column < first + count; column += kBlockColumns)
        for (Index k = 0; k < depth; k += kBlockDepth) {
          const Index width = std::min(kBlockColumns, first + count - column), block = std::min(kBlockDepth, depth - k);
          panels.copy(right.from(k, column), block, width, 1);
          multiply_part(tiles, panels, {k, 0, block}, total + column, width, columns, k > 0);
        }
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

struct Sizes {
  Index num_steps, batch_size, hidden;
};

template <typename T>
void forward(T* gates, const T* recurrent, T* hidden, T* cells, T* squashed, Sizes sizes, Index threads) {
  const Index n = sizes.hidden, step = sizes.batch_size * n;
  Panels<T> right(n, 4 * n);
  right.copy({recurrent, 4 * n, 1}, n, 4 * n, threads);
  share(sizes.batch_size, threads, [=, &right](Index first, Index rows) {
    for (Index t = 0; t < sizes.num_steps; t++) {
      const Index begin = t * step + first * n;
      multiply<T>({{hidden + begin, n, 1}, rows, n, 1}, right, n, gates + 4 * begin, 4 * n, 4 * n, true);
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
  Panels<T> transposed(4 * n, n);
  transposed.copy({recurrent, 1, 4 * n}, 4 * n, n, threads);
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
      multiply<T>({{d_gates + 4 * begin, 4 * n, 1}, rows, 4 * n, 1}, transposed, 4 * n, d_hidden + begin, n, n, true);
    }
  });
}

// For each row of logits (rows, columns) the sum of all e^(logit - maximum), and the margin, which is maximum less the
// target's logit. The logits become the gradient of the rows' surprisal, ln(sum) + margin, over `tokens`.
template <typename T>
void cross_entropy(T* logits, const Index* targets, T* sums, T* margins, Index rows, Index columns, Index tokens,
                   Index threads) {
  constexpr Index kTogether = 16;  // so many sums side by side, whatever the width of a vector
  share(rows, threads, [=](Index first, Index count) {
    for (Index row = first; row < first + count; row++) {
      T* numbers = logits + row * columns;
      const auto for_all = [=](const auto& work) {
        Index column = 0;
        for (; column + kTogether <= columns; column += kTogether)
#pragma omp simd
          for (Index j = 0; j < kTogether; j++) work(numbers[column + j], j);
        for (Index j = 0; column + j < columns; j++) work(numbers[column + j], j);
      };
      T largest[kTogether], partial[kTogether] = {};
      std::fill_n(largest, kTogether, numbers[0]);
      for_all([&](T& number, Index j) { largest[j] = std::max(largest[j], number); });
      const T maximum = *std::max_element(largest, largest + kTogether);
      margins[row] = maximum - numbers[targets[row]];
      for_all([&](T& number, Index j) { partial[j] += number = exponential(number - maximum, T(0)); });
      sums[row] = 0;
      for (Index j = 0; j < kTogether; j++) sums[row] += partial[j];
      const T factor = 1 / (sums[row] * tokens);
      for_all([=](T& number, Index) { number *= factor; });
      numbers[targets[row]] -= T(1) / tokens;
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
  }                                                                                                                    \
  extern "C" void cross_entropy_##T(T* logits, const Index* targets, T* sums, T* margins, Index rows, Index columns,   \
                                    Index tokens, Index threads) {                                                     \
    cross_entropy(logits, targets, sums, margins, rows, columns, tokens, threads);                                     \
  }

EXPORT(float)
EXPORT(double)
