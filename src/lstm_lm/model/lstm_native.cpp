// The two recurrences of lstm_fused.py, which has their derivation: the same buffers, the same names.
//
// Rows of a batch never meet inside a window, so each thread takes some of them through all its steps and waits for
// nobody. A row's numbers do not depend on how the rows are shared out: the same bytes for any number of threads.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

#ifndef VECTOR_BYTES
#ifdef __AVX512F__
#define VECTOR_BYTES 64
#else
#define VECTOR_BYTES 32
#endif
#endif

using Index = std::int64_t;

template <typename T>
using Vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(T)), may_alias)) = T;

template <typename T>
constexpr Index kLanes = VECTOR_BYTES / sizeof(T);

// A tile of a product: 6 rows by 2 vectors of sums fill 12 of AVX2's 16 registers, enough to hide an addition's latency.
constexpr Index kTileRows = 6;
constexpr Index kTileVectors = 2;
template <typename T>
constexpr Index kTileColumns = kTileVectors * kLanes<T>;

// So many rows of a panel fit into a processor's first-level cache.
constexpr Index kBlock = 256;

// A matrix as a product reads it: panels of kTileColumns columns, each contiguous, the last one filled up with zeros.
template <typename T>
class Panels {
 public:
  Panels(const T* matrix, Index rows, Index columns, Index row_stride, Index column_stride)
      : rows_(rows), panels_((columns + kTileColumns<T> - 1) / kTileColumns<T> * kTileColumns<T> * rows) {
    for (Index first = 0; first < columns; first += kTileColumns<T>) {
      const Index width = std::min(kTileColumns<T>, columns - first);
      for (Index row = 0; row < rows; row++)
        for (Index column = 0; column < width; column++)
          panels_[first * rows + row * kTileColumns<T> + column] =
              matrix[row * row_stride + (first + column) * column_stride];
    }
  }

  Index rows() const { return rows_; }
  const T* at(Index row, Index column) const { return &panels_[column * rows_ + row * kTileColumns<T>]; }

 private:
  Index rows_;
  std::vector<T> panels_;
};

// total (kRows, kTileColumns) += left (kRows, depth) panel (depth, kTileColumns)
template <typename T, Index kRows>
void add_tile(const T* left, Index left_stride, const T* panel, Index depth, T* total, Index total_stride) {
  const auto vector = [=](Index row, Index v) { return (Vector<T>*)(total + row * total_stride + v * kLanes<T>); };
  Vector<T> sums[kRows][kTileVectors];
  for (Index row = 0; row < kRows; row++)
    for (Index v = 0; v < kTileVectors; v++) sums[row][v] = *vector(row, v);
  for (Index k = 0; k < depth; k++) {
    const auto right = (const Vector<T>*)(panel + k * kTileColumns<T>);
    for (Index row = 0; row < kRows; row++)
      for (Index v = 0; v < kTileVectors; v++) sums[row][v] += left[row * left_stride + k] * right[v];
  }
  for (Index row = 0; row < kRows; row++)
    for (Index v = 0; v < kTileVectors; v++) *vector(row, v) = sums[row][v];
}

template <typename T>
constexpr decltype(&add_tile<T, 1>) kAddTile[] = {
    add_tile<T, 1>, add_tile<T, 2>, add_tile<T, 3>, add_tile<T, 4>, add_tile<T, 5>, add_tile<T, 6>};

// total (rows, columns) += left (rows, depth) right (depth, columns)
template <typename T>
void add_product(const T* left, const Panels<T>& right, T* total, Index rows, Index columns) {
  const Index depth = right.rows(), tiles = (rows + kTileRows - 1) / kTileRows;
  for (Index k = 0; k < depth; k += kBlock) {
    const Index block = std::min(kBlock, depth - k);
    for (Index column = 0; column < columns; column += kTileColumns<T>) {
      const Index width = std::min(kTileColumns<T>, columns - column);
      for (Index tile = 0, row = 0, height; tile < tiles; tile++, row += height) {
        height = (rows - row) / (tiles - tile);
        const auto add = kAddTile<T>[height - 1];
        const T* from = left + row * depth + k;
        T* to = total + row * columns + column;
        if (width == kTileColumns<T>) {
          add(from, depth, right.at(k, column), block, to, columns);
          continue;
        }
        T edge[kTileRows * kTileColumns<T>] = {};  // a whole tile would write past the row's end
        for (Index i = 0; i < height; i++) std::copy_n(to + i * columns, width, edge + i * kTileColumns<T>);
        add(from, depth, right.at(k, column), block, edge, kTileColumns<T>);
        for (Index i = 0; i < height; i++) std::copy_n(edge + i * kTileColumns<T>, width, to + i * columns);
      }
    }
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
  const T rounded = x * T(1.4426950408889634) + kRound;
  const T n = rounded - kRound;
  const T r = (x - n * Type<T>::kLn2) - n * Type<T>::kLn2Rest;
  T series = 1;
  for (int term = Type<T>::kTerms; term > 1; term--) series = 1 + series * r * (T(1) / term);
  Bits bits;
  std::memcpy(&bits, &rounded, sizeof bits);
  bits = (bits << kFraction) + (Bits(Type<T>::kBias) << kFraction);
  T power;
  std::memcpy(&power, &bits, sizeof power);
  return series * r * power + (power - 1);
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

// Calls work(first row, number of rows) for each thread's share of the batch.
template <typename Work>
void share_rows(Index batch_size, Index threads, const Work& work) {
  const Index shares = std::min(threads, batch_size);
#pragma omp parallel for num_threads(shares)
  for (Index share = 0; share < shares; share++) {
    const Index first = batch_size * share / shares;
    work(first, batch_size * (share + 1) / shares - first);
  }
}

template <typename T>
void forward(T* gates, const T* recurrent, T* hidden, T* cells, T* squashed, Sizes sizes, Index threads) {
  const Index n = sizes.hidden, step = sizes.batch_size * n;
  const Panels<T> right(recurrent, n, 4 * n, 4 * n, 1);
  share_rows(sizes.batch_size, threads, [=, &right](Index first, Index rows) {
    for (Index t = 0; t < sizes.num_steps; t++) {
      const Index share = t * step + first * n;
      add_product(hidden + share, right, gates + 4 * share, rows, 4 * n);
      for (Index at = share; at < share + rows * n; at += n) {
        T *C_tilde = gates + 4 * at, *I = C_tilde + n, *F = I + n, *O = F + n;
        const T* C_before = cells + at;
        T *C = cells + at + step, *tanh_C = squashed + at, *H = hidden + at + step;
#pragma GCC ivdep
        for (Index j = 0; j < n; j++) {
          C_tilde[j] = hyperbolic_tangent(C_tilde[j]);
          I[j] = sigmoid(I[j]);
          F[j] = sigmoid(F[j]);
          O[j] = sigmoid(O[j]);
          C[j] = F[j] * C_before[j] + I[j] * C_tilde[j];
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
  const Panels<T> transposed(recurrent, 4 * n, n, 1, 4 * n);
  share_rows(sizes.batch_size, threads, [=, &transposed](Index first, Index rows) {
    for (Index t = sizes.num_steps - 1; t >= 0; t--) {
      const Index share = t * step + first * n;
      for (Index row = 0; row < rows; row++) {
        const Index at = share + row * n;
        const T *C_tilde = gates + 4 * at, *I = C_tilde + n, *F = I + n, *O = F + n;
        const T *C_before = cells + at, *tanh_C = squashed + at, *dH = d_hidden + at + step;
        T *to_C_tilde = d_gates + 4 * at, *to_I = to_C_tilde + n, *to_F = to_I + n, *to_O = to_F + n;
        T* dC = d_cell + (first + row) * n;
#pragma GCC ivdep
        for (Index j = 0; j < n; j++) {
          const T through_C = dC[j] + dH[j] * O[j] * (1 - tanh_C[j] * tanh_C[j]);
          to_C_tilde[j] = through_C * I[j] * (1 - C_tilde[j] * C_tilde[j]);
          to_I[j] = through_C * C_tilde[j] * I[j] * (1 - I[j]);
          to_F[j] = through_C * C_before[j] * F[j] * (1 - F[j]);
          to_O[j] = dH[j] * tanh_C[j] * O[j] * (1 - O[j]);
          dC[j] = through_C * F[j];
        }
      }
      add_product(d_gates + 4 * share, transposed, d_hidden + share, rows, n);
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
  }

EXPORT(float)
EXPORT(double)
