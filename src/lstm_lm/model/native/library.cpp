// All arithmetic of a training step from scratch, as functions for native_backend.py.
//
// The same bytes on every machine: each sum is taken in one order, whatever the width of a vector and the number of
// threads; products and sums are fused only where the code says fma (compile with -ffp-contract=off); all else is
// addition, subtraction, multiplication, division and square root, which IEEE 754 rounds in one way. digest() tells.

#include <cstdint>
#include <new>

#include "digest.h"

namespace native {

// The place of the first id that is not in 0 ... limit - 1, counted from 1; 0 if all are.
Index first_outside(const Index* ids, Index count, Index limit) {
  for (Index place = 0; place < count; place++)
    if (ids[place] < 0 || ids[place] >= limit) return place + 1;
  return 0;
}

constexpr Index kNoMemory = -1;

// What work() returns, or kNoMemory: no exception may leave the library.
template <typename Work>
Index guarded(const Work& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return kNoMemory;
  }
}

}  // namespace native

using namespace native;

#ifdef __clang__
extern "C" const char* compiler() { return __VERSION__; }
#else
extern "C" const char* compiler() { return "GCC " __VERSION__; }
#endif

extern "C" std::uint64_t digest(Index threads) {
  std::uint64_t value = 0;  // not the right one
  guarded([&] { return value = Digest().all<float>(threads).all<double>(threads).value(), 0; });
  return value;
}

// Every function returns 0, the place of a wrong id counted from 1, or kNoMemory.
#define EXPORT(T)                                                                                                      \
  extern "C" Index forward_##T(T* gates, const T* recurrent, T* hidden, T* cells, T* squashed, Index num_steps,        \
                               Index batch_size, Index n, Index threads) {                                             \
    return guarded([=] {                                                                                               \
      return forward(gates, recurrent, hidden, cells, squashed, {num_steps, batch_size, n}, threads), 0;               \
    });                                                                                                                \
  }                                                                                                                    \
  extern "C" Index backward_##T(const T* gates, const T* recurrent, const T* hidden, const T* cells,                   \
                                const T* squashed, const T* d_outputs, T* d_gates, T* d_recurrent, T* d_hidden,        \
                                T* d_cell, Index num_steps, Index batch_size, Index n, Index threads) {                \
    return guarded([=] {                                                                                               \
      return backward(gates, recurrent, hidden, cells, squashed, d_outputs, d_gates, d_recurrent, d_hidden, d_cell,    \
                      {num_steps, batch_size, n}, threads), 0;                                                         \
    });                                                                                                                \
  }                                                                                                                    \
  extern "C" Index multiply_##T(const T* left, const T* right, const T* bias, T* total, Index rows, Index depth,       \
                                Index columns, Index left_row_stride, Index left_column_stride,                        \
                                Index right_row_stride, Index right_column_stride, Index threads) {                    \
    return guarded([=] {                                                                                               \
      return multiply<T>({left, left_row_stride, left_column_stride}, {right, right_row_stride, right_column_stride},  \
                         bias, total, rows, depth, columns, threads), 0;                                               \
    });                                                                                                                \
  }                                                                                                                    \
  extern "C" Index loss_##T(const T* hidden, const T* weight, const T* bias, const Index* targets, double* nats,       \
                            T* logits, T* d_hidden, T* d_weight, T* d_bias, Index rows, Index depth, Index columns,    \
                            Index row_stride, Index column_stride, Index tokens, Index threads) {                      \
    if (const Index place = first_outside(targets, rows, columns)) return place;                                       \
    const OutputLayer<T> layer{{weight, row_stride, column_stride}, bias, d_weight, d_bias, row_stride == 1};          \
    return guarded([=] {                                                                                               \
      return loss(hidden, layer, targets, nats, logits, d_hidden, rows, depth, columns, tokens, threads), 0;           \
    });                                                                                                                \
  }                                                                                                                    \
  extern "C" Index surprisal_##T(T* logits, const Index* targets, double* nats, Index rows, Index columns,             \
                                 Index threads) {                                                                      \
    if (const Index place = first_outside(targets, rows, columns)) return place;                                       \
    return guarded([=] { return cross_entropy(logits, targets, nats, rows, columns, 0, threads), 0; });                \
  }                                                                                                                    \
  extern "C" Index look_up_##T(const T* table, const T* bias, const Index* ids, T* rows, Index count, Index types,     \
                               Index columns, Index threads) {                                                         \
    if (const Index place = first_outside(ids, count, types)) return place;                                            \
    return guarded([=] { return look_up(table, bias, ids, rows, count, columns, threads), 0; });                       \
  }                                                                                                                    \
  extern "C" Index add_rows_##T(const T* numbers, const Index* ids, T* totals, T* total, Index rows, Index types,      \
                                Index columns, Index threads) {                                                        \
    if (const Index place = ids ? first_outside(ids, rows, types) : 0) return place;                                   \
    return guarded([=] {                                                                                               \
      if (ids != nullptr) add_rows(numbers, ids, totals, rows, columns, threads);                                      \
      return add_rows<T>(ids ? totals : numbers, nullptr, total, ids ? types : rows, columns, threads), 0;             \
    });                                                                                                                \
  }                                                                                                                    \
  extern "C" Index sgd_##T(T* const* weights, const T* const* gradients, const Index* sizes, double* norm, Index count,\
                           double bound, double lr, Index threads) {                                                   \
    return guarded([=] { return *norm = sgd(weights, gradients, sizes, count, bound, lr, threads), 0; });              \
  }                                                                                                                    \
  extern "C" Index adam_##T(T* const* weights, const T* const* gradients, T* const* means, T* const* squares,          \
                            const Index* sizes, double* norm, Index count, double bound, double beta_1,                \
                            double beta_2, double epsilon, double step, double root, Index threads) {                  \
    const Adam constants{beta_1, beta_2, epsilon, step, root};                                                         \
    return guarded([=] {                                                                                               \
      return *norm = adam(weights, gradients, means, squares, sizes, count, bound, constants, threads), 0;             \
    });                                                                                                                \
  }

EXPORT(float)
EXPORT(double)
