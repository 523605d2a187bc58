// The two loops over time of lstm_fused.py, which has their derivation: the same buffers, the same names.
//
// Rows of a batch never meet inside a window, so each share of the rows goes through all steps at once.

#pragma once

#include "function.h"
#include "product.h"
#include "team.h"

namespace native {

struct Sizes {
  Index num_steps, batch_size, hidden;
};

template <typename T>
void forward(T* gates, const T* recurrent, T* hidden, T* cells, T* squashed, Sizes sizes, Index threads) {
  const Index n = sizes.hidden, step = sizes.batch_size * n;
  Panels<T> right(n, 4 * n);
  right.copy({recurrent, 4 * n, 1}, n, 4 * n, threads);
  const auto work = [=, &right](Index first, Index rows) {
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
  };
  share(sizes.batch_size, threads, work, kTileRows);
}

// d_outputs are the gradients of H_1 ... H_T from above. d_hidden and d_cell (batch_size, hidden) begin as the gradients of
// H_T and C_T and end as those of H_0 and C_0. d_recurrent is the sum over all steps of H^T dA.
template <typename T>
void backward(const T* gates, const T* recurrent, const T* hidden, const T* cells, const T* squashed,
              const T* d_outputs, T* d_gates, T* d_recurrent, T* d_hidden, T* d_cell, Sizes sizes, Index threads) {
  const Index n = sizes.hidden, step = sizes.batch_size * n;
  Panels<T> transposed(4 * n, n);
  transposed.copy({recurrent, 1, 4 * n}, 4 * n, n, threads);
  const auto work = [=, &transposed](Index first, Index rows) {
    T* const dH_all = d_hidden + first * n;
    for (Index t = sizes.num_steps - 1; t >= 0; t--) {
      const Index begin = t * step + first * n;
      for (Index row = 0; row < rows; row++) {
        const Index at = begin + row * n;
        const T *C_tilde = gates + 4 * at, *I = C_tilde + n, *F = I + n, *O = F + n;
        const T *C_before = cells + at, *tanh_C = squashed + at, *from_above = d_outputs + at;
        T *to_C_tilde = d_gates + 4 * at, *to_I = to_C_tilde + n, *to_F = to_I + n, *to_O = to_F + n;
        T *dC = d_cell + (first + row) * n, *dH = dH_all + row * n;
#pragma omp simd
        for (Index j = 0; j < n; j++) {
          const T d_hidden_state = dH[j] + from_above[j];
          const T through_C = fma(d_hidden_state * O[j], fma(-tanh_C[j], tanh_C[j], T(1)), dC[j]);
          to_C_tilde[j] = through_C * I[j] * fma(-C_tilde[j], C_tilde[j], T(1));
          to_I[j] = through_C * C_tilde[j] * I[j] * (1 - I[j]);
          to_F[j] = through_C * C_before[j] * F[j] * (1 - F[j]);
          to_O[j] = d_hidden_state * tanh_C[j] * O[j] * (1 - O[j]);
          dC[j] = through_C * F[j];
        }
      }
      multiply<T>({{d_gates + 4 * begin, 4 * n, 1}, rows, 4 * n, 1}, transposed, 4 * n, dH_all, n, n, false);
    }
  };
  share(sizes.batch_size, threads, work, kTileRows);
  const Index rows = sizes.num_steps * sizes.batch_size;
  multiply<T>({hidden, 1, n}, {d_gates, 4 * n, 1}, nullptr, d_recurrent, n, rows, 4 * n, threads);
}

}  // namespace native
