#include "server/span_collector.h"

#include <string_view>
#include <utility>

#include "server/log.h"

namespace assent {
namespace {

std::uint64_t micros_of(const TxnRecord& record, std::uint64_t now) {
  if (const auto spans = phases_of(record, record.coordinator)) {
    return spans->answered.value_or(now) - spans->began;
  }
  return record.steps.empty() ? 0 : record.steps.back().micros - record.steps.front().micros;
}

// One of each kind in ten seconds: a cluster in trouble has thousands of them.
void log(const TxnRecord& record, std::uint64_t micros, Sampled sampled, bool told) {
  const bool worth = sampled == Sampled::slow || sampled == Sampled::recovered || sampled == Sampled::in_doubt;
  if (!worth) return;
  constexpr std::uint64_t seconds = 10;
  const std::string_view words = !told                           ? "a transaction is not over after a minute"
                                 : sampled == Sampled::recovered ? "a transaction was carried on by another leader"
                                 : sampled == Sampled::in_doubt  ? "a transaction was in doubt"
                                                                 : "a transaction was slow";
  LogEvent(told && sampled == Sampled::slow ? LogLevel::info : LogLevel::warn, "txn", words)
      .field("txid", record.txn.to_hex())
      .field("protocol", to_string(record.protocol))
      .field("outcome", record.outcome == Outcome::none ? "none" : to_string(record.outcome))
      .field("elapsed_ms", micros / 1'000)
      .trace(trace_id_of(record), record.caller ? span_id_of(*record.caller) : std::string())
      .write_at_most_every(seconds, words);
}

}  // namespace

void SpanCollector::round() {
  for (const TxnId& txn : recorder_.take_begun()) waiting_.push_back({txn, 0});
  const std::uint64_t now = clock_.monotonic_micros();
  std::vector<TxnId> chosen;
  std::uint64_t dropped = 0;
  std::vector<Waiting> later;
  for (Waiting& one : waiting_) {
    const TxnRecord* record = recorder_.find(one.txn);
    if (record == nullptr) {  // the ring is too small for it
      ++dropped;
      continue;
    }
    const bool told = is_over(*record) && (record->recovered || is_answered(*record));
    if (!told && ++one.rounds < options_.rounds_max && later.size() < options_.waiting_max) {
      later.push_back(one);
      continue;
    }
    const std::uint64_t micros = micros_of(*record, now);
    const Sampled sampled = assent::sampled(*record, micros, sampler_);
    log(*record, micros, sampled, told);
    if (exporter_ == nullptr || sampled == Sampled::no) continue;
    if (chosen.size() < options_.gather_max) {
      chosen.push_back(one.txn);
    } else {
      ++dropped;
    }
  }
  waiting_ = std::move(later);
  if (exporter_ == nullptr) return;
  if (dropped > 0) exporter_->count_dropped(dropped);
  if (chosen.empty()) return;
  observe_.records(chosen, [this](std::vector<std::vector<v1::TxnRecord>> txns) {
    for (std::vector<v1::TxnRecord>& records : txns) exporter_->offer(std::move(records));
  });
}

}  // namespace assent
