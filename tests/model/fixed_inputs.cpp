// Runs the loops and products of lstm_native.cpp on fixed inputs and prints a digest of every bit that comes out.

#include "lstm_native.cpp"

#include <cstdio>
#include <vector>

namespace {

std::uint64_t digest = 0xcbf29ce484222325;  // FNV-1a

template <typename T>
void add(const std::vector<T>& numbers) {
  const auto bytes = reinterpret_cast<const unsigned char*>(numbers.data());
  for (std::size_t i = 0; i < numbers.size() * sizeof(T); i++) digest = (digest ^ bytes[i]) * 0x100000001b3;
}

// Numbers between -2 and 2 from a linear congruential generator, exact in either type.
template <typename T>
std::vector<T> numbers(Index count) {
  static std::uint32_t state = 1;
  std::vector<T> result(count);
  for (T& number : result) {
    state = state * 1664525 + 1013904223;
    number = T(std::int32_t(state >> 8) - (1 << 23)) / (1 << 22);
  }
  return result;
}

template <typename T>
void run(Index num_steps, Index batch_size, Index n, Index threads) {
  const Index states = batch_size * n, all = num_steps * states;
  auto gates = numbers<T>(4 * all), recurrent = numbers<T>(4 * n * n), hidden = numbers<T>(all + states);
  auto cells = numbers<T>(all + states);
  std::vector<T> squashed(all), d_gates(4 * all);
  auto d_hidden = numbers<T>(all + states), d_cell = numbers<T>(states);
  const Sizes sizes{num_steps, batch_size, n};
  forward(gates.data(), recurrent.data(), hidden.data(), cells.data(), squashed.data(), sizes, threads);
  backward(gates.data(), recurrent.data(), cells.data(), squashed.data(), d_gates.data(), d_hidden.data(),
           d_cell.data(), sizes, threads);
  add(gates), add(hidden), add(cells), add(squashed), add(d_gates), add(d_hidden), add(d_cell);
}

template <typename T>
void multiply_all(Index rows, Index depth, Index columns, Index threads) {
  const auto left = numbers<T>(rows * depth), right = numbers<T>(depth * columns);
  const Matrix<T> lefts[] = {{left.data(), depth, 1}, {left.data(), 1, rows}};
  const Matrix<T> rights[] = {{right.data(), columns, 1}, {right.data(), 1, depth}};
  for (const auto& l : lefts)
    for (const auto& r : rights) {
      std::vector<T> total(rows * columns);
      multiply(l, r, total.data(), rows, depth, columns, threads);
      add(total);
    }
}

template <typename T>
void losses(Index rows, Index columns, Index threads) {
  auto logits = numbers<T>(rows * columns);
  std::vector<Index> targets(rows);
  for (Index row = 0; row < rows; row++) targets[row] = row * 7 % columns;
  std::vector<T> sums(rows), margins(rows);
  cross_entropy(logits.data(), targets.data(), sums.data(), margins.data(), rows, columns, 2 * rows, threads);
  add(logits), add(sums), add(margins);
}

template <typename T>
void everything(Index threads) {
  run<T>(5, 7, 37, threads);
  run<T>(3, 2, 64, threads);
  multiply_all<T>(41, 300, 19, threads);
  multiply_all<T>(19, 300, 83, threads);
  multiply_all<T>(7, 1030, 300, threads);  // deeper and wider than a block
  losses<T>(5, 61, threads);
}

}  // namespace

int main(int count, char**) {
  everything<float>(count);  // as many threads as there are words on the command line
  everything<double>(count);
  std::printf("%016llx\n", static_cast<unsigned long long>(digest));
}
