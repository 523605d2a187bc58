// Matrix products. Each element of a product is a sum in one order, from the first to the last.

#pragma once

#include <algorithm>
#include <cstring>
#include <memory>

#include "team.h"
#include "vector.h"

namespace native {

// A tile of a product: so many rows by 2 vectors of sums. They fill 12 of AVX2's 16 registers and 16 of the 32 elsewhere,
// enough to hide an addition's latency.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr Index kTileRows = 8;
#else
constexpr Index kTileRows = 6;
#endif
constexpr Index kTileVectors = 2;
template <typename T>
constexpr Index kTileColumns = kTileVectors * kLanes<T>;

// A product is computed in blocks that caches hold; blocks change no sum's order.
constexpr Index kBlockDepth = 512, kBlockRows = 48, kBlockColumns = 256;

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
constexpr decltype(&multiply_tile<T, 1>) kMultiplyTile[] = {
    multiply_tile<T, 1>, multiply_tile<T, 2>, multiply_tile<T, 3>, multiply_tile<T, 4>,
    multiply_tile<T, 5>, multiply_tile<T, 6>, multiply_tile<T, 7>, multiply_tile<T, 8>};

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

// total (rows, columns) = left (rows, depth) right (depth, columns) + bias (columns), if there is one. A sum begins with its
// bias. The threads share the longer side of total.
template <typename T>
void multiply(Matrix<T> left, Matrix<T> right, const T* bias, T* total, Index rows, Index depth, Index columns,
              Index threads) {
  const bool add = bias != nullptr || depth == 0;
  for (Index row = 0; add && row < rows; row++) {
    if (bias == nullptr)
      std::fill_n(total + row * columns, columns, T(0));
    else
      std::copy_n(bias, columns, total + row * columns);
  }
  if (rows >= columns) {
    Panels<T> panels(depth, columns);
    panels.copy(right, depth, columns, threads);
    const auto work = [=, &panels](Index first, Index count) {
      const Tiles<T> tiles(left.from(first, 0), count, depth, 1);
      multiply(tiles, panels, depth, total + first * columns, columns, columns, add);
    };
    share(rows, threads, work, kTileRows);
  } else {
    const Tiles<T> tiles(left, rows, depth, threads);
    const auto work = [=, &tiles](Index first, Index count) {
      Panels<T> panels(std::min(depth, kBlockDepth), std::min(count, kBlockColumns));
      for (Index column = first; column < first + count; column += kBlockColumns)
        for (Index k = 0; k < depth; k += kBlockDepth) {
          const Index width = std::min(kBlockColumns, first + count - column), block = std::min(kBlockDepth, depth - k);
          panels.copy(right.from(k, column), block, width, 1);
          multiply_part(tiles, panels, {k, 0, block}, total + column, width, columns, add || k > 0);
        }
    };
    share(columns, threads, work, kTileColumns<T>);
  }
}

}  // namespace native
