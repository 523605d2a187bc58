// What everything in this folder computes, in one number.

#pragma once

#include <cstdint>
#include <vector>

#include "loss.h"
#include "lstm.h"
#include "optimizer.h"
#include "product.h"
#include "table.h"

namespace native {

// What the functions above make of fixed inputs, in one number: on every machine the same.
class Digest {
 public:
  template <typename T>
  Digest& all(Index threads) {
    recurrence<T>({5, 7, 37}, threads), recurrence<T>({3, 2, 64}, threads);
    products<T>(41, 300, 19, threads), products<T>(19, 300, 83, threads);
    products<T>(7, 1030, 300, threads);  // deeper and wider than a block
    losses<T>(5, 30, 61, threads), tables<T>(9, 7, 530, threads), updates<T>(5000, threads);
    return *this;
  }

  std::uint64_t value() const { return value_; }

 private:
  template <typename T>
  void add(const std::vector<T>& numbers) {
    const auto bytes = reinterpret_cast<const unsigned char*>(numbers.data());
    for (std::size_t i = 0; i < numbers.size() * sizeof(T); i++) value_ = (value_ ^ bytes[i]) * 0x100000001b3;  // FNV-1a
  }

  // Numbers between -2 and 2 from a linear congruential generator, exact in either type.
  template <typename T>
  std::vector<T> numbers(Index count) {
    std::vector<T> result(count);
    for (T& number : result) {
      state_ = state_ * 1664525 + 1013904223;
      number = T(std::int32_t(state_ >> 8) - (1 << 23)) / (1 << 22);
    }
    return result;
  }

  template <typename T>
  void recurrence(Sizes sizes, Index threads) {
    const Index n = sizes.hidden, states = sizes.batch_size * n, all = sizes.num_steps * states;
    auto gates = numbers<T>(4 * all), recurrent = numbers<T>(4 * n * n), hidden = numbers<T>(all + states);
    auto cells = numbers<T>(all + states), d_outputs = numbers<T>(all);
    auto d_hidden = numbers<T>(states), d_cell = numbers<T>(states);
    std::vector<T> squashed(all), d_gates(4 * all), d_recurrent(4 * n * n);
    forward(gates.data(), recurrent.data(), hidden.data(), cells.data(), squashed.data(), sizes, threads);
    backward(gates.data(), recurrent.data(), hidden.data(), cells.data(), squashed.data(), d_outputs.data(),
             d_gates.data(), d_recurrent.data(), d_hidden.data(), d_cell.data(), sizes, threads);
    add(gates), add(hidden), add(cells), add(squashed), add(d_gates), add(d_recurrent), add(d_hidden), add(d_cell);
  }

  template <typename T>
  void products(Index rows, Index depth, Index columns, Index threads) {
    const auto left = numbers<T>(rows * depth), right = numbers<T>(depth * columns), bias = numbers<T>(columns);
    const Matrix<T> lefts[] = {{left.data(), depth, 1}, {left.data(), 1, rows}};
    const Matrix<T> rights[] = {{right.data(), columns, 1}, {right.data(), 1, depth}};
    for (const auto& l : lefts)
      for (const auto& r : rights) {
        std::vector<T> total(rows * columns);
        multiply(l, r, &l == lefts ? nullptr : bias.data(), total.data(), rows, depth, columns, threads);
        add(total);
      }
  }

  template <typename T>
  void losses(Index rows, Index depth, Index columns, Index threads) {
    const auto hidden = numbers<T>(rows * depth), weight = numbers<T>(depth * columns), bias = numbers<T>(columns);
    std::vector<Index> targets(rows);
    for (Index row = 0; row < rows; row++) targets[row] = row * 7 % columns;
    for (const bool transposed : {false, true}) {
      const Matrix<T> W{weight.data(), transposed ? 1 : columns, transposed ? depth : 1};
      std::vector<T> d_weight(depth * columns), d_bias(columns), logits(rows * columns), d_hidden(rows * depth);
      std::vector<double> nats(rows + 1);
      loss<T>(hidden.data(), {W, bias.data(), d_weight.data(), d_bias.data(), transposed}, targets.data(), nats.data(),
              logits.data(), d_hidden.data(), rows, depth, columns, 2 * rows, threads);
      add(logits), add(nats), add(d_weight), add(d_bias), add(d_hidden);
    }
  }

  template <typename T>
  void tables(Index rows, Index types, Index columns, Index threads) {
    const auto table = numbers<T>(types * columns), bias = numbers<T>(columns);
    std::vector<Index> ids(rows);
    for (Index row = 0; row < rows; row++) ids[row] = row * 5 % types;
    std::vector<T> found(rows * columns), totals(types * columns), total(columns);
    look_up(table.data(), bias.data(), ids.data(), found.data(), rows, columns, threads);
    add_rows(found.data(), ids.data(), totals.data(), rows, columns, threads);
    add_rows(found.data(), nullptr, total.data(), rows, columns, threads);
    add(found), add(totals), add(total);
  }

  template <typename T>
  void updates(Index size, Index threads) {
    auto weights = numbers<T>(size), gradients = numbers<T>(size), means = numbers<T>(size);
    std::vector<T> squares(size, T(1));
    T *w = weights.data(), *m = means.data(), *v = squares.data();
    const T* g = gradients.data();
    sgd(&w, &g, &size, 1, 1.0, 0.5, threads);
    adam(&w, &g, &m, &v, &size, 1, 1.0, {0.9, 0.999, 1e-8, 5.0, 0.03}, threads);
    add(weights), add(means), add(squares);
  }

  std::uint64_t value_ = 0xcbf29ce484222325;
  std::uint32_t state_ = 1;
};

}  // namespace native
