// The output layer and the cross-entropy, with their gradients.

#pragma once

#include <algorithm>

#include "function.h"
#include "product.h"
#include "row.h"
#include "table.h"
#include "team.h"

namespace native {

// For each row of logits (rows, columns) the surprisal of its target in nats, ln(sum of all e^(logit - maximum)) plus
// maximum less the target's logit; behind them, at nats[rows], their sum. The logits become e^(logit - maximum) or, with
// `tokens`, the gradient of the rows' surprisal over `tokens`.
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

// logits = hidden_states weight + bias, (rows, depth) times (depth, columns), and the gradients of the layer's weights.
template <typename T>
struct OutputLayer {
  Matrix<T> weight;
  const T* bias;
  T *d_weight, *d_bias;
  bool transposed;  // whether weight and d_weight lie in memory column after column
};

// The cross-entropy of rows of hidden states, and the gradients of all that it depends on.
template <typename T>
void loss(const T* hidden, OutputLayer<T> layer, const Index* targets, double* nats, T* logits, T* d_hidden, Index rows,
          Index depth, Index columns, Index tokens, Index threads) {
  multiply<T>({hidden, depth, 1}, layer.weight, layer.bias, logits, rows, depth, columns, threads);
  cross_entropy(logits, targets, nats, rows, columns, tokens, threads);
  const Matrix<T> d_logits{logits, columns, 1}, turned{logits, 1, columns};
  const Matrix<T> W_turned{layer.weight.numbers, layer.weight.column_stride, layer.weight.row_stride};
  multiply<T>(d_logits, W_turned, nullptr, d_hidden, rows, columns, depth, threads);
  if (layer.transposed)
    multiply<T>(turned, {hidden, depth, 1}, nullptr, layer.d_weight, columns, rows, depth, threads);
  else
    multiply<T>({hidden, 1, depth}, d_logits, nullptr, layer.d_weight, depth, rows, columns, threads);
  std::fill_n(layer.d_bias, columns, T(0));
  add_rows(logits, static_cast<const Index*>(nullptr), layer.d_bias, rows, columns, threads);
}

}  // namespace native
