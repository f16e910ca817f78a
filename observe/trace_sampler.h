// Which transactions' spans are exported: a share of the normal ones, chosen at their heads, and all that went another
// way. Pure: the share is judged by the trace id, so that every node, and every service that samples by the same share
// of the same id, comes to the same answer.
#pragma once

#include <cstdint>
#include <string_view>

#include "observe/txn_record.h"

namespace assent {

struct SamplerOptions {
  double ratio = 0.05;       // of the normal ones, from 0 to 1
  bool parent_based = true;  // a caller that brings a trace has decided already
  bool always_keeps = true;  // those that went another way, whatever the ratio says; off: only the ratio counts
  std::uint64_t slow_micros = 250'000;
};

enum class Sampled : std::uint8_t { no, by_ratio, aborted, slow, retried, recovered, in_doubt };
[[nodiscard]] std::string_view to_string(Sampled sampled);

// micros: since it came to the node, or until it was answered.
// Whether a normal one would be exported; known as soon as it begins.
[[nodiscard]] bool chosen_at_head(const TxnRecord& record, const SamplerOptions& options);

[[nodiscard]] Sampled sampled(const TxnRecord& record, std::uint64_t micros, const SamplerOptions& options);

}  // namespace assent
