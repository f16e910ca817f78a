#include "observe/txn_record.h"

#include <algorithm>
#include <array>

namespace assent {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(step_last) + 1> step_names{
    "asked",           "prepare_sent",   "vote_heard",    "decision_proposed", "decision_applied",
    "ballot_sent",     "ballot_heard",   "answered",      "finish_sent",       "finished_heard",
    "prepare_heard",   "vote_proposed",  "vote_applied",  "vote_sent",         "finish_heard",
    "finish_proposed", "finish_applied", "finished_sent", "ballot_asked",      "ballot_applied",
    "inquired",        "sealed",         "forced",        "begin_proposed",    "begin_applied"};

bool has(const TxnRecord& record, Step step) {
  return std::any_of(record.steps.begin(), record.steps.end(), [&](const TxnStep& one) { return one.step == step; });
}

}  // namespace

std::string_view to_string(Step step) { return step_names[static_cast<std::size_t>(step)]; }

std::string_view to_string(TxnPhase phase) {
  switch (phase) {
    case TxnPhase::execute: return "execute";
    case TxnPhase::prepare: return "prepare";
    case TxnPhase::precommit: return "precommit";
    case TxnPhase::decide: return "decide";
    case TxnPhase::commit: return "commit";
    case TxnPhase::abort: return "abort";
  }
  return "";
}

std::string_view to_string(TxnProgress progress) {
  switch (progress) {
    case TxnProgress::active: return "ACTIVE";
    case TxnProgress::preparing: return "PREPARING";
    case TxnProgress::prepared: return "PREPARED";
    case TxnProgress::precommitted: return "PRECOMMITTED";
    case TxnProgress::committing: return "COMMITTING";
    case TxnProgress::committed: return "COMMITTED";
    case TxnProgress::aborting: return "ABORTING";
    case TxnProgress::aborted: return "ABORTED";
  }
  return "";
}

const TxnStep* first_step(const TxnRecord& record, Step step, GroupId at, GroupId peer) {
  for (const TxnStep& one : record.steps) {
    if (one.step == step && one.at == at && (peer.none() || one.peer == peer)) return &one;
  }
  return nullptr;
}

const TxnStep* last_step(const TxnRecord& record, Step step, GroupId at) {
  for (auto one = record.steps.rbegin(); one != record.steps.rend(); ++one) {
    if (one->step == step && one->at == at) return &*one;
  }
  return nullptr;
}

std::size_t count_steps(const TxnRecord& record, Step step, GroupId at) {
  return static_cast<std::size_t>(std::count_if(record.steps.begin(), record.steps.end(),
                                                [&](const TxnStep& one) { return one.step == step && one.at == at; }));
}

std::optional<PhaseSpans> phases_of(const TxnRecord& record, GroupId at) {
  const TxnStep* asked = first_step(record, Step::asked, at);
  if (asked == nullptr) return std::nullopt;
  PhaseSpans spans;
  spans.began = asked->micros - std::min<std::uint64_t>(asked->micros, asked->queued);
  if (const TxnStep* answered = first_step(record, Step::answered, at)) spans.answered = answered->micros;
  const auto begin = [&](TxnPhase phase, const TxnStep* from) {
    if (from == nullptr || (spans.answered && from->micros > *spans.answered)) return;
    if (!spans.phases.empty()) spans.phases.back().to = from->micros;
    spans.phases.push_back({phase, from->micros, spans.answered});
  };
  spans.phases.push_back({TxnPhase::execute, spans.began, spans.answered});
  if (record.protocol == Protocol::one_phase) {
    begin(TxnPhase::decide, first_step(record, Step::vote_proposed, at));
    return spans;
  }
  begin(TxnPhase::prepare, first_step(record, Step::prepare_sent, at));
  begin(TxnPhase::precommit, first_step(record, Step::ballot_sent, at));
  begin(TxnPhase::decide, first_step(record, Step::decision_proposed, at));
  const TxnStep* finish = first_step(record, Step::finish_sent, at);
  if (finish == nullptr) return spans;
  PhaseSpan end{finish->yes ? TxnPhase::commit : TxnPhase::abort, finish->micros, {}};
  const std::size_t finished = count_steps(record, Step::finished_heard, at);
  if (finished >= std::max<std::size_t>(1, record.participants.size())) {
    end.to = last_step(record, Step::finished_heard, at)->micros;
  }
  spans.phases.push_back(end);
  return spans;
}

std::string trace_id_of(const TxnRecord& record) {
  return record.caller ? trace_id_of(*record.caller) : record.txn.to_hex();
}

bool is_answered(const TxnRecord& record) { return has(record, Step::answered); }

bool is_over(const TxnRecord& record) {
  const TxnProgress progress = progress_of(record);
  return progress == TxnProgress::committed || progress == TxnProgress::aborted;
}

TxnProgress progress_of(const TxnRecord& record) {
  if (record.outcome != Outcome::none) {
    const bool commits = record.outcome == Outcome::committed;
    bool finishing = false;
    if (!record.coordinator.none() && record.protocol != Protocol::one_phase) {
      const std::size_t sent = count_steps(record, Step::finish_sent, record.coordinator);
      finishing = sent > count_steps(record, Step::finished_heard, record.coordinator);
    }
    if (finishing) return commits ? TxnProgress::committing : TxnProgress::aborting;
    return commits ? TxnProgress::committed : TxnProgress::aborted;
  }
  if (has(record, Step::ballot_sent) || has(record, Step::ballot_applied)) return TxnProgress::precommitted;
  if (has(record, Step::decision_proposed) || has(record, Step::vote_applied)) return TxnProgress::prepared;
  // Who did not see it begin heard of it by a vote that stands in a log, or by a question about one.
  const bool seen = has(record, Step::asked) || has(record, Step::prepare_heard);
  const bool in_doubt = has(record, Step::vote_sent) || has(record, Step::vote_heard) || has(record, Step::inquired);
  if (!seen && in_doubt) return TxnProgress::prepared;
  if (has(record, Step::prepare_sent) || has(record, Step::prepare_heard)) return TxnProgress::preparing;
  return TxnProgress::active;
}

}  // namespace assent
