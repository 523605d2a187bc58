// Calls every function of src/lstm_lm/model/native/library.cpp with random sizes, strides, numbers and ids.
//
// To be compiled with -fsanitize=address,undefined: each array is as long as it must be and no longer. Arguments: a seed
// and how many calls. It ends with an error where a wrong id is not refused before anything is written, or where one
// thread and several give different bytes. Else it prints the digest.

#include "library.cpp"

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

template <typename T>
struct Library;

#define LIBRARY(T)                                                                                               \
  template <>                                                                                                    \
  struct Library<T> {                                                                                            \
    static constexpr auto forward = forward_##T;                                                                 \
    static constexpr auto backward = backward_##T;                                                               \
    static constexpr auto multiply = multiply_##T;                                                               \
    static constexpr auto loss = loss_##T;                                                                       \
    static constexpr auto surprisal = surprisal_##T;                                                             \
    static constexpr auto look_up = look_up_##T;                                                                 \
    static constexpr auto add_rows = add_rows_##T;                                                               \
    static constexpr auto sgd = sgd_##T;                                                                         \
    static constexpr auto adam = adam_##T;                                                                       \
  };

LIBRARY(float)
LIBRARY(double)

// What a call reads and writes: arrays of numbers, and nats.
template <typename T>
struct Arrays {
  std::vector<std::vector<T>> of;
  std::vector<double> nats;

  T* operator[](std::size_t number) { return of[number].data(); }

  std::string bytes() const {
    std::string all(reinterpret_cast<const char*>(nats.data()), sizeof(double) * nats.size());
    for (const auto& numbers : of) all.append(reinterpret_cast<const char*>(numbers.data()), sizeof(T) * numbers.size());
    return all;
  }
};

// A matrix in memory that is just large enough for it.
struct Layout {
  Index row_stride, column_stride, length;
};

class Fuzz {
 public:
  explicit Fuzz(std::uint64_t seed) : random_(seed) {}

  template <typename T>
  void call() {
    constexpr void (Fuzz::*kCalls[])() = {
        &Fuzz::forward_and_backward<T>, &Fuzz::multiply<T>, &Fuzz::loss<T>, &Fuzz::surprisal<T>, &Fuzz::look_up<T>,
        &Fuzz::add_rows<T>,             &Fuzz::sum_rows<T>, &Fuzz::sgd<T>,  &Fuzz::adam<T>};
    (this->*kCalls[below(std::size(kCalls))])();
  }

 private:
  Index below(Index limit) { return Index(random_() % std::uint64_t(limit)); }

  // Mostly small, at times about as large as a vector, a tile or a block.
  Index size() {
    constexpr Index kEdges[] = {8, 16, 32, 48, 64, 256, 512, 4096};
    return below(4) ? below(12) : kEdges[below(std::size(kEdges))] + below(3) - 1;
  }

  // Sizes whose product is not so large that a call takes long.
  template <std::size_t kCount>
  std::vector<Index> sizes() {
    for (;;) {
      std::vector<Index> found(kCount);
      Index product = 1;
      for (Index& one : found) product *= 1 + (one = size());
      if (product < 1 << 20) return found;
    }
  }

  // Numbers between -2 and 2, and at times one that is none.
  template <typename T>
  std::vector<T> numbers(Index count) {
    constexpr T kOdd[] = {std::numeric_limits<T>::infinity(), -std::numeric_limits<T>::infinity(),
                          std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::max(),
                          std::numeric_limits<T>::denorm_min(), T(-0.0)};
    std::vector<T> result(count);
    for (T& number : result) number = std::uniform_real_distribution<T>(-2, 2)(random_);
    if (count > 0 && below(4) == 0) result[below(count)] = kOdd[below(std::size(kOdd))];
    return result;
  }

  // Ids below a limit, at times with wrong ones among them.
  std::vector<Index> ids(Index count, Index limit) {
    const Index wrong[] = {-1, limit, limit + 1, Index(1) << 40, std::numeric_limits<Index>::min(),
                           std::numeric_limits<Index>::max()};
    std::vector<Index> result(count);
    for (Index& id : result) id = limit ? below(limit) : 0;
    while (count > 0 && below(4) == 0) result[below(count)] = wrong[below(std::size(wrong))];
    return result;
  }

  // What the library must say of ids: the place of the first wrong one, counted from 1.
  static Index verdict(const std::vector<Index>& ids, Index limit) {
    for (std::size_t place = 0; place < ids.size(); place++)
      if (ids[place] < 0 || ids[place] >= limit) return Index(place) + 1;
    return 0;
  }

  Layout layout(Index rows, Index columns) {
    const bool turned = below(2), repeated = below(8) == 0;
    const Index inner = turned ? rows : columns, outer = turned ? columns : rows;
    const Index stride = repeated ? 0 : inner + (below(2) ? below(5) : 0);
    const Index length = rows && columns ? (outer - 1) * stride + inner : 0;
    return turned ? Layout{1, stride, length} : Layout{stride, 1, length};
  }

  // Calls work(arrays, threads) with one thread and with several.
  template <typename T, typename Work>
  void same(Index expected, const Arrays<T>& before, const Work& work) {
    Arrays<T> one = before, several = before;
    require(work(one, Index(1)) == expected && work(several, 2 + below(3)) == expected, "the status is wrong");
    require(one.bytes() == several.bytes(), "threads change the result");
    require(expected == 0 || one.bytes() == before.bytes(), "something is written although an id is wrong");
  }

  static void require(bool fact, const char* otherwise) {
    if (fact) return;
    std::fprintf(stderr, "%s\n", otherwise);
    std::exit(1);
  }

  template <typename T>
  void forward_and_backward() {
    const auto of = sizes<3>();
    const Index steps = of[0] % 7, rows = of[1], n = of[2] % 100, states = rows * n, all = steps * states;
    const auto recurrent = numbers<T>(4 * n * n), d_outputs = numbers<T>(all);
    Arrays<T> trace{{numbers<T>(4 * all), numbers<T>(all + states), numbers<T>(all + states), numbers<T>(all)}, {}};
    const auto forward = [&](Arrays<T>& a, Index threads) {
      return Library<T>::forward(a[0], recurrent.data(), a[1], a[2], a[3], steps, rows, n, threads);
    };
    same(0, trace, forward);
    forward(trace, 1);
    const Arrays<T> gradients{{numbers<T>(4 * all), numbers<T>(4 * n * n), numbers<T>(states), numbers<T>(states)}, {}};
    same(0, gradients, [&](Arrays<T>& a, Index threads) {
      return Library<T>::backward(trace[0], recurrent.data(), trace[1], trace[2], trace[3], d_outputs.data(), a[0], a[1],
                                  a[2], a[3], steps, rows, n, threads);
    });
  }

  template <typename T>
  void multiply() {
    const auto of = sizes<3>();
    const Index rows = of[0], depth = of[1], columns = of[2];
    const Layout left = layout(rows, depth), right = layout(depth, columns);
    const auto factors = numbers<T>(left.length), others = numbers<T>(right.length), bias = numbers<T>(columns);
    const T* added = below(2) ? bias.data() : nullptr;
    same(0, Arrays<T>{{numbers<T>(rows * columns)}, {}}, [&](Arrays<T>& a, Index threads) {
      return Library<T>::multiply(factors.data(), others.data(), added, a[0], rows, depth, columns, left.row_stride,
                                  left.column_stride, right.row_stride, right.column_stride, threads);
    });
  }

  template <typename T>
  void loss() {
    const auto of = sizes<3>();
    const Index rows = of[0], depth = of[1], columns = of[2];
    const Layout layer = layout(depth, columns);
    const auto hidden = numbers<T>(rows * depth), weight = numbers<T>(layer.length), bias = numbers<T>(columns);
    const auto targets = ids(rows, columns);
    const Arrays<T> before{
        {numbers<T>(rows * columns), numbers<T>(rows * depth), numbers<T>(depth * columns), numbers<T>(columns)},
        numbers<double>(rows + 1)};
    same(verdict(targets, columns), before, [&](Arrays<T>& a, Index threads) {
      return Library<T>::loss(hidden.data(), weight.data(), bias.data(), targets.data(), a.nats.data(), a[0], a[1], a[2],
                              a[3], rows, depth, columns, layer.row_stride, layer.column_stride, 1 + rows, threads);
    });
  }

  template <typename T>
  void surprisal() {
    const auto of = sizes<2>();
    const Index rows = of[0], columns = of[1];
    const auto targets = ids(rows, columns);
    const Arrays<T> before{{numbers<T>(rows * columns)}, numbers<double>(rows + 1)};
    same(verdict(targets, columns), before, [&](Arrays<T>& a, Index threads) {
      return Library<T>::surprisal(a[0], targets.data(), a.nats.data(), rows, columns, threads);
    });
  }

  template <typename T>
  void look_up() {
    const auto of = sizes<3>();
    const Index count = of[0], types = of[1], columns = of[2];
    const auto table = numbers<T>(types * columns), bias = numbers<T>(columns);
    const auto names = ids(count, types);
    same(verdict(names, types), Arrays<T>{{numbers<T>(count * columns)}, {}}, [&](Arrays<T>& a, Index threads) {
      return Library<T>::look_up(table.data(), bias.data(), names.data(), a[0], count, types, columns, threads);
    });
  }

  template <typename T>
  void add_rows() {
    const auto of = sizes<3>();
    const Index count = of[0], types = of[1], columns = of[2];
    const auto rows = numbers<T>(count * columns);
    const auto names = ids(count, types);
    const Arrays<T> before{{numbers<T>(types * columns), numbers<T>(columns)}, {}};
    same(verdict(names, types), before, [&](Arrays<T>& a, Index threads) {
      return Library<T>::add_rows(rows.data(), names.data(), a[0], a[1], count, types, columns, threads);
    });
  }

  template <typename T>
  void sum_rows() {
    const auto of = sizes<2>();
    const auto rows = numbers<T>(of[0] * of[1]);
    same(0, Arrays<T>{{numbers<T>(of[1])}, {}}, [&](Arrays<T>& a, Index threads) {
      return Library<T>::add_rows(rows.data(), nullptr, nullptr, a[0], of[0], 1, of[1], threads);
    });
  }

  // Some tensors; `kinds` arrays for each, one after the other.
  template <typename T>
  std::pair<Arrays<T>, std::vector<Index>> tensors(Index kinds) {
    std::pair<Arrays<T>, std::vector<Index>> found;
    // The largest ones are worth more than one thread.
    for (Index count = below(4); count > 0; count--)
      found.second.push_back(below(64) ? size() : 3 * kWorthAThread * kBlock - below(9));
    for (Index kind = 0; kind < kinds; kind++)
      for (const Index length : found.second) found.first.of.push_back(numbers<T>(length));
    found.first.nats.resize(1);
    return found;
  }

  // The addresses of the arrays of one kind.
  template <typename T>
  static std::vector<T*> addresses(Arrays<T>& arrays, std::size_t kind, std::size_t count) {
    std::vector<T*> found;
    for (std::size_t tensor = 0; tensor < count; tensor++) found.push_back(arrays[kind * count + tensor]);
    return found;
  }

  template <typename T>
  void sgd() {
    const auto [before, lengths] = tensors<T>(2);
    same(0, before, [count = lengths.size(), &lengths = lengths](Arrays<T>& a, Index threads) {
      const auto weights = addresses(a, 0, count), gradients = addresses(a, 1, count);
      return Library<T>::sgd(weights.data(), gradients.data(), lengths.data(), a.nats.data(), count, 1, 0.5, threads);
    });
  }

  template <typename T>
  void adam() {
    const auto [before, lengths] = tensors<T>(4);
    same(0, before, [count = lengths.size(), &lengths = lengths](Arrays<T>& a, Index threads) {
      const auto weights = addresses(a, 0, count), gradients = addresses(a, 1, count);
      const auto means = addresses(a, 2, count), squares = addresses(a, 3, count);
      return Library<T>::adam(weights.data(), gradients.data(), means.data(), squares.data(), lengths.data(),
                              a.nats.data(), count, 1, 0.9, 0.999, 1e-8, 0.1, 0.5, threads);
    });
  }

  std::mt19937_64 random_;
};

int main(int, char** words) {
  Fuzz fuzz(std::strtoull(words[1], nullptr, 10));
  for (long calls = std::atol(words[2]); calls > 0; calls -= 2) fuzz.call<float>(), fuzz.call<double>();
  std::printf("%016llx\n", static_cast<unsigned long long>(digest(3)));
}
