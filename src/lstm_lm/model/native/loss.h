// The cross-entropy of rows of logits.

#pragma once

#include <algorithm>

#include "function.h"
#include "row.h"
#include "team.h"

namespace native {

// For each row of logits (rows, columns) the surprisal of its target in nats, ln(sum of all e^(logit - maximum)) plus
// maximum less the target's logit; behind them, at nats[rows], their sum. The logits become e^(logit - maximum) and, with `tokens`, the gradient of the rows'
// surprisal over `tokens`.
template <typename T>
void cross_entropy(T* logits, const Index* targets, double* nats, Index rows, Index columns, Index tokens,
                   Index threads) {
  share(rows, threads, [=](Index first, Index count) {
    for (Index row = first; row < first + count; row++) {
      T* numbers = logits + row * columns;
      T largest[kSideBySide], partial[kSideBySide] = {};
      std::fill_n(largest, kSideBySide, numbers[0]);
      for_all(numbers, columns, [&](T& number, Index j) { largest[j] = std::max(largest[j], number); });
      const T maximum = *std::max_element(largest, largest + kSideBySide), margin = maximum - numbers[targets[row]];
      for_all(numbers, columns, [&](T& number, Index j) { partial[j] += number = exponential(number - maximum, T(0)); });
      T sum = 0;
      for (Index j = 0; j < kSideBySide; j++) sum += partial[j];
      nats[row] = logarithm(sum) + margin;
      if (tokens == 0) continue;
      const T factor = 1 / (sum * tokens);
      for_all(numbers, columns, [=](T& number, Index) { number *= factor; });
      numbers[targets[row]] -= T(1) / tokens;
    }
  });
  nats[rows] = 0;
  for (Index row = 0; row < rows; row++) nats[rows] += nats[row];
}

}  // namespace native
