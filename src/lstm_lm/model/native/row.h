// Sums along a row in one order, whatever the width of a vector.

#pragma once

#include "vector.h"

namespace native {

constexpr Index kSideBySide = 16;  // so many sums at a time, whatever the width of a vector

// Calls work(number, j) for each number of a row, j counting from 0 to kSideBySide - 1 again and again.
template <typename T, typename Work>
inline void for_all(T* numbers, Index count, const Work& work) {
  Index at = 0;
  for (; at + kSideBySide <= count; at += kSideBySide)
#pragma omp simd
    for (Index j = 0; j < kSideBySide; j++) work(numbers[at + j], j);
  for (Index j = 0; at + j < count; j++) work(numbers[at + j], j);
}

}  // namespace native
