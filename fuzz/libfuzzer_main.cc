// One fuzzer: ASSENT_FUZZ_TARGET is the target's name. `--write-seeds DIR` writes its seeds and ends.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "fuzz/fuzz.h"

namespace {

const assent::fuzz::Target& target() {
  static const assent::fuzz::Target* const found = assent::fuzz::find_target(ASSENT_FUZZ_TARGET);
  assent::fuzz::require(found != nullptr, "the target " ASSENT_FUZZ_TARGET " exists");
  return *found;
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments) {
  if (*count != 3 || std::string_view((*arguments)[1]) != "--write-seeds") return 0;
  std::size_t number = 0;
  for (const assent::Bytes& seed : target().seeds()) {
    std::ofstream((*arguments)[2] + std::string("/seed-") + std::to_string(++number), std::ios::binary) << seed;
  }
  std::exit(0);  // NOLINT(concurrency-mt-unsafe): no thread yet
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  target().run(assent::ByteView(reinterpret_cast<const char*>(data), size));
  return 0;
}
