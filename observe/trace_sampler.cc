#include "observe/trace_sampler.h"

#include <algorithm>
#include <cmath>

namespace assent {
namespace {

// The random part of a trace id: its last 56 bits (W3C trace context, level 2).
constexpr unsigned random_bits = 56;

bool chosen(const std::array<std::uint8_t, 16>& id, double ratio) {
  if (ratio >= 1) return true;
  if (ratio <= 0) return false;
  std::uint64_t random = 0;
  for (std::size_t i = id.size() - random_bits / 8; i < id.size(); ++i) random = random << 8U | id[i];
  const double threshold = std::ldexp(1 - ratio, random_bits);
  return static_cast<double>(random) >= threshold;
}

bool has(const TxnRecord& record, Step step) {
  return std::any_of(record.steps.begin(), record.steps.end(), [&](const TxnStep& one) { return one.step == step; });
}

bool retried(const TxnRecord& record) {
  return std::any_of(record.steps.begin(), record.steps.end(), [](const TxnStep& one) {
    const bool message = one.step == Step::prepare_sent || one.step == Step::finish_sent ||
                         one.step == Step::ballot_sent || one.step == Step::vote_sent;
    return message && one.repeats > 0;
  });
}

}  // namespace

std::string_view to_string(Sampled sampled) {
  switch (sampled) {
    case Sampled::no: return "no";
    case Sampled::by_ratio: return "ratio";
    case Sampled::aborted: return "aborted";
    case Sampled::slow: return "slow";
    case Sampled::retried: return "retried";
    case Sampled::recovered: return "recovered";
    case Sampled::in_doubt: return "in_doubt";
  }
  return "?";
}

bool chosen_at_head(const TxnRecord& record, const SamplerOptions& options) {
  if (!record.caller) return chosen(record.txn.bytes, options.ratio);
  return options.parent_based ? record.caller->sampled() : chosen(record.caller->trace_id, options.ratio);
}

Sampled sampled(const TxnRecord& record, std::uint64_t micros, const SamplerOptions& options) {
  if (options.always_keeps) {
    if (record.recovered) return Sampled::recovered;
    if (has(record, Step::inquired) || has(record, Step::forced)) return Sampled::in_doubt;
    if (record.outcome == Outcome::aborted) return Sampled::aborted;
    if (retried(record)) return Sampled::retried;
    if (micros >= options.slow_micros) return Sampled::slow;
  }
  return chosen_at_head(record, options) ? Sampled::by_ratio : Sampled::no;
}

}  // namespace assent
