#include "tests/rewrite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <string_view>

namespace assent::testing {
namespace {
bool rewrite = false;  // written once, before any test runs
}

bool rewriting() { return rewrite; }

}  // namespace assent::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleMock(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) != "--rewrite") {
      std::fprintf(stderr, "unknown option %s; --rewrite writes what happens now into the transcripts\n", argv[i]);
      return 64;
    }
    assent::testing::rewrite = true;
  }
  return RUN_ALL_TESTS();
}
