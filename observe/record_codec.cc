#include "observe/record_codec.h"

#include <algorithm>
#include <utility>

namespace assent {
namespace {

std::int64_t unix_micros(const TxnRecord& record, std::uint64_t micros) {
  return static_cast<std::int64_t>(micros) + record.wall_offset;
}

// A service goes by the name that its branch has.
std::string name_of(const TxnRecord& record, const RecordNames& names, GroupId id) {
  if (id.none()) return {};
  if (!is_service(id)) return names.groups.name(id);
  const std::size_t place = id.value - first_service.value;
  return place < record.services.size() ? record.services[place].name : "service " + std::to_string(place + 1);
}

std::string_view outcome_of(Outcome outcome) { return outcome == Outcome::none ? "" : to_string(outcome); }

}  // namespace

v1::TxnSummary summary_to_api(const TxnRecord& record, const RecordNames& names, std::uint64_t now) {
  v1::TxnSummary out;
  out.set_txn_id(record.txn.to_hex());
  out.set_state(std::string(to_string(progress_of(record))));
  out.set_protocol(std::string(to_string(record.protocol)));
  if (record.mode != Mode::atomic) out.set_mode(std::string(to_string(record.mode)));
  out.set_coordinator(name_of(record, names, record.coordinator));
  out.set_node(std::string(names.node));
  for (const GroupId one : record.participants) out.add_participants(name_of(record, names, one));
  std::uint64_t from = record.steps.empty() ? now : record.steps.front().micros;
  std::uint64_t to = is_over(record) && !record.steps.empty() ? record.steps.back().micros : now;
  if (const auto spans = phases_of(record, record.coordinator)) {
    from = spans->began;
    if (spans->answered) to = *spans->answered;
    out.set_answered(spans->answered.has_value());
  }
  out.set_started_unix_micros(unix_micros(record, from));
  out.set_duration_micros(to - std::min(from, to));
  out.set_outcome(std::string(outcome_of(record.outcome)));
  if (record.reason != AbortReason::none) out.set_reason(std::string(to_string(record.reason)));
  out.set_refused_by(name_of(record, names, record.refused_by));
  out.set_message(record.message);
  out.set_recovered(record.recovered);
  if (record.caller) out.set_traceparent(to_traceparent(*record.caller));
  std::uint32_t repeats = 0;
  for (const TxnStep& step : record.steps) {
    const bool message = step.step == Step::prepare_sent || step.step == Step::finish_sent ||
                         step.step == Step::vote_sent || step.step == Step::ballot_sent;
    if (message) repeats += step.repeats;
  }
  out.set_repeats(repeats);
  return out;
}

std::vector<v1::TxnPhase> phases_to_api(const TxnRecord& record, std::uint64_t now) {
  std::vector<v1::TxnPhase> out;
  const auto spans = phases_of(record, record.coordinator);
  if (!spans) return out;
  for (const PhaseSpan& phase : spans->phases) {
    v1::TxnPhase& to = out.emplace_back();
    to.set_phase(std::string(to_string(phase.phase)));
    to.set_start_unix_micros(unix_micros(record, phase.from));
    to.set_open(!phase.to.has_value());
    const std::uint64_t end = phase.to.value_or(std::max(now, phase.from));
    to.set_duration_micros(end - phase.from);
  }
  return out;
}

v1::TxnRecord record_to_api(const TxnRecord& record, const RecordNames& names, std::uint64_t now) {
  v1::TxnRecord out;
  *out.mutable_summary() = summary_to_api(record, names, now);
  out.set_steps_lost(record.steps_lost);
  for (const TxnStep& step : record.steps) {
    v1::TxnStep& to = *out.add_steps();
    to.set_unix_micros(unix_micros(record, step.micros));
    to.set_step(std::string(to_string(step.step)));
    to.set_group(name_of(record, names, step.at));
    to.set_peer(name_of(record, names, step.peer));
    to.set_yes(step.yes);
    to.set_repeats(step.repeats);
    to.set_index(step.index.value);
    to.set_queued_micros(step.queued);
    to.set_synced_micros(step.synced);
    to.set_applied_micros(step.applied);
  }
  for (v1::TxnPhase& phase : phases_to_api(record, now)) *out.add_phases() = std::move(phase);
  return out;
}

v1::NodeEvent event_to_api(const NodeEvent& event, std::string_view node) {
  v1::NodeEvent out;
  out.set_number(event.number);
  out.set_node(std::string(node));
  out.set_unix_micros(static_cast<std::int64_t>(event.wall_micros));
  out.set_kind(std::string(to_string(event.kind)));
  out.set_group(event.group);
  out.set_text(event.text);
  return out;
}

}  // namespace assent
