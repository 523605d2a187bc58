// Clipping by the global norm and the optimisers' updates, of all weights at once.

#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "row.h"
#include "team.h"

namespace native {

constexpr Index kBlock = 4096;  // numbers whose squares are summed in one order
// The fewest blocks that are worth a thread. To wake one takes longer than to update fewer numbers, longest where the
// threads of torch, which wait awake, hold the processors.
constexpr Index kWorthAThread = 64;

// The root of the sum of squares of all numbers of some tensors.
template <typename T>
double norm(const T* const* tensors, const Index* sizes, Index count, Index threads) {
  double total = 0;
  for (Index tensor = 0; tensor < count; tensor++) {
    const T* numbers = tensors[tensor];
    const Index size = sizes[tensor], blocks = (size + kBlock - 1) / kBlock;
    std::vector<double> sums(blocks);
    const auto work = [=, &sums](Index first, Index shared) {
      for (Index block = first; block < first + shared; block++) {
        double partial[kSideBySide] = {};
        for_all(numbers + block * kBlock, std::min(kBlock, size - block * kBlock),
                [&](const T& number, Index j) { partial[j] = fma(double(number), double(number), partial[j]); });
        for (Index j = 0; j < kSideBySide; j++) sums[block] += partial[j];
      }
    };
    share(blocks, threads, work, kWorthAThread);
    for (const double sum : sums) total += sum;
  }
  return std::sqrt(total);
}

// What to multiply gradients by: min(1, bound / norm); not a number where the norm is none.
template <typename T>
T clipping(double norm, double bound) {
  const T scale = T(bound / norm);
  return scale > 1 ? T(1) : scale;
}

// Calls work(number) for all numbers of all tensors.
template <typename Work>
void for_each(const Index* sizes, Index count, Index threads, const Work& work) {
  for (Index tensor = 0; tensor < count; tensor++)
    share(
        sizes[tensor], threads, [=](Index first, Index shared) { work(tensor, first, first + shared); },
        kWorthAThread * kBlock);
}

// w <- w - lr g, the gradients g clipped; returns their norm.
template <typename T>
double sgd(T* const* weights, const T* const* gradients, const Index* sizes, Index count, double bound, double lr,
           Index threads) {
  const double found = norm(gradients, sizes, count, threads);
  const T factor = T(lr) * clipping<T>(found, bound);
  for_each(sizes, count, threads, [=](Index tensor, Index from, Index to) {
    T* w = weights[tensor];
    const T* g = gradients[tensor];
#pragma omp simd
    for (Index i = from; i < to; i++) w[i] -= factor * g[i];
  });
  return found;
}

struct Adam {
  double beta_1, beta_2, epsilon, step, root;  // lr / (1 - beta_1^t), sqrt(1 - beta_2^t)
};

// Adam, the gradients clipped; returns their norm. optimizer.py has the formula.
template <typename T>
double adam(T* const* weights, const T* const* gradients, T* const* means, T* const* squares, const Index* sizes,
            Index count, double bound, Adam constants, Index threads) {
  const double found = norm(gradients, sizes, count, threads);
  const T scale = clipping<T>(found, bound), step = T(constants.step), root = T(constants.root);
  const T beta_2 = T(constants.beta_2), rest_1 = T(1 - constants.beta_1), rest_2 = T(1 - constants.beta_2);
  const T epsilon = T(constants.epsilon);
  for_each(sizes, count, threads, [=](Index tensor, Index from, Index to) {
    T *w = weights[tensor], *m = means[tensor], *v = squares[tensor];
    const T* gradient = gradients[tensor];
#pragma omp simd
    for (Index i = from; i < to; i++) {
      const T g = scale * gradient[i];
      m[i] += rest_1 * (g - m[i]);
      v[i] = beta_2 * v[i] + rest_2 * g * g;
      w[i] -= step * (m[i] / (std::sqrt(v[i]) / root + epsilon));
    }
  });
  return found;
}

}  // namespace native
