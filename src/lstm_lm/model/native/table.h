// Rows of a table that ids name: looked up, and their gradients added; sums over rows.

#pragma once

#include <algorithm>

#include "team.h"

namespace native {

// rows (count, columns) of a table, with `bias` (columns) added.
template <typename T>
void look_up(const T* table, const T* bias, const Index* ids, T* rows, Index count, Index columns, Index threads) {
  share(count, threads, [=](Index first, Index shared) {
    for (Index row = first; row < first + shared; row++)
#pragma omp simd
      for (Index j = 0; j < columns; j++) rows[row * columns + j] = table[ids[row] * columns + j] + bias[j];
  });
}

// Columns of rows that a thread sums at a time: they stay in its cache.
constexpr Index kSummed = 512;

// Adds each row of numbers (rows, columns), first to last, to row ids[row] of totals (..., columns); without ids, to row 0.
template <typename T>
void add_rows(const T* numbers, const Index* ids, T* totals, Index rows, Index columns, Index threads) {
  share((columns + kSummed - 1) / kSummed, threads, [=](Index first, Index count) {
    for (Index begin = first * kSummed; begin < std::min(columns, (first + count) * kSummed); begin += kSummed)
      for (Index row = 0; row < rows; row++) {
        const T* from = numbers + row * columns;
        T* to = totals + (ids == nullptr ? 0 : ids[row] * columns);
#pragma omp simd
        for (Index j = begin; j < std::min(columns, begin + kSummed); j++) to[j] += from[j];
      }
  });
}

}  // namespace native
