// For test programs over transcripts: --rewrite writes what happens now into the files, to be read as a diff. Link
// tests/rewrite.cc, which has the main function.
#pragma once

namespace assent::testing {

[[nodiscard]] bool rewriting();

}  // namespace assent::testing
