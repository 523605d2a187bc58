// Prints the digest of src/lstm_lm/model/native, computed by as many threads as there are words on the command line.

#include "digest.h"

#include <cstdio>

int main(int count, char**) {
  const auto digest = native::Digest().all<float>(count).all<double>(count).value();
  std::printf("%016llx\n", static_cast<unsigned long long>(digest));
}
