#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace assent {

void check_failed(const char* expression, const char* file, int line, const char* why) {
  std::fprintf(stderr, "assent: check failed at %s:%d: %s (%s)\n", file, line, expression, why);
  std::abort();
}

}  // namespace assent
