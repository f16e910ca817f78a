#include "observe/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/digest.h"
#include "observe/trace_context.h"

namespace assent {
namespace {

struct Seen {
  const v1::TxnStep* step = nullptr;
  std::string_view node;
  [[nodiscard]] std::int64_t at() const { return step->unix_micros(); }
};

std::string span_id(const std::string& txn, std::string_view name, std::string_view group) {
  const std::uint64_t number = Digest().add(txn).add(name).add(group).value();
  return fmt::format("{:016x}", number == 0 ? 1 : number);
}

// Of a span below another one.
std::string span_id_under(const std::string& txn, const std::string& parent, std::string_view name,
                          std::string_view group) {
  return span_id(txn, fmt::format("{} {}", parent, name), group);
}

class Timeline {
 public:
  Timeline(const std::vector<v1::TxnRecord>& records, std::int64_t now)
      : records_(records), main_(main_of(records)), summary_(completed(main_, records)), now_(now) {
    *out_.mutable_summary() = summary_;
    start_ = summary_.started_unix_micros();
    out_.set_trace_id(summary_.txn_id());
    for (const v1::TxnRecord& record : records) {
      if (const auto caller = parse_traceparent(record.summary().traceparent())) {
        out_.set_trace_id(trace_id_of(*caller));
        out_.set_parent_span_id(span_id_of(*caller));
      }
    }
    out_.set_as_of_unix_micros(now);
    *out_.mutable_phases() = main_.phases();
    for (const v1::TxnRecord& record : records) out_.set_steps_lost(out_.steps_lost() + record.steps_lost());
  }

  v1::TxnTrace build() {
    const std::string& coordinator = summary_.coordinator();
    v1::TxnSpan& root = *out_.add_spans();
    // Who began it is gone: what is left is what others did to end it.
    root.set_name(main_.phases_size() == 0 && summary_.recovered() ? "assent.recover" : "assent.transaction");
    root.set_span_id(id_of(root.name(), ""));
    root.set_group(coordinator);
    root.set_node(summary_.node());
    for (const v1::TxnPhase& phase : main_.phases()) add_phase(phase);
    mark_times(coordinator);
    add_asked_work(coordinator);
    add_calls(coordinator);
    add_orphans(coordinator);
    end_root();
    mark_critical();
    mark_outside();
    out_.set_why(why());
    return std::move(out_);
  }

 private:
  // The record of the node that answered the client, if it is there.
  static const v1::TxnRecord& main_of(const std::vector<v1::TxnRecord>& records) {
    const auto found = std::find_if(records.begin(), records.end(),
                                    [](const v1::TxnRecord& record) { return record.phases_size() > 0; });
    if (found != records.end()) return *found;
    return *std::min_element(records.begin(), records.end(), [](const v1::TxnRecord& a, const v1::TxnRecord& b) {
      return a.summary().started_unix_micros() < b.summary().started_unix_micros();
    });
  }

  // Its summary; where it did not see the beginning, with what the others know.
  static v1::TxnSummary completed(const v1::TxnRecord& main, const std::vector<v1::TxnRecord>& records) {
    v1::TxnSummary out = main.summary();
    for (const v1::TxnRecord& record : records) {
      const v1::TxnSummary& other = record.summary();
      if (other.recovered()) out.set_recovered(true);
      if (main.phases_size() > 0) continue;
      if (out.coordinator().empty()) out.set_coordinator(other.coordinator());
      if (out.outcome().empty()) out.set_outcome(other.outcome());
      for (const std::string& name : other.participants()) {
        const auto& known = out.participants();
        if (std::find(known.begin(), known.end(), name) == known.end()) out.add_participants(name);
      }
    }
    return out;
  }

  // The earliest of a kind in a group; peer empty: whosever.
  [[nodiscard]] std::optional<Seen> find(std::string_view step, std::string_view group,
                                         std::string_view peer = {}) const {
    std::optional<Seen> found;
    for (const v1::TxnRecord& record : records_) {
      for (const v1::TxnStep& one : record.steps()) {
        if (one.step() != step || one.group() != group || (!peer.empty() && one.peer() != peer)) continue;
        if (!found || one.unix_micros() < found->at()) found = Seen{&one, record.summary().node()};
      }
    }
    return found;
  }

  [[nodiscard]] std::string id_of(std::string_view name, std::string_view group) const {
    return span_id(summary_.txn_id(), name, group);
  }

  v1::TxnSpan* add(std::string_view name, std::string_view group, const std::string& parent, const Seen& from,
                   const std::optional<Seen>& to) {
    v1::TxnSpan* span = out_.add_spans();
    span->set_name(std::string(name));
    span->set_group(std::string(group));
    span->set_node(std::string(from.node));
    span->set_parent_id(parent);
    span->set_span_id(span_id_under(summary_.txn_id(), parent, name, group));
    span->set_start_micros(from.at() - start_);
    span->set_repeats(from.step->repeats());
    span->set_open(!to);
    const std::int64_t end = to ? to->at() : now_;
    span->set_duration_micros(static_cast<std::uint64_t>(std::max<std::int64_t>(0, end - from.at())));
    return span;
  }

  void add_phase(const v1::TxnPhase& phase) {
    v1::TxnSpan& span = *out_.add_spans();
    span.set_name("assent." + phase.phase());
    span.set_parent_id(out_.spans(0).span_id());
    span.set_span_id(id_of(span.name(), ""));
    span.set_group(summary_.coordinator());
    span.set_node(summary_.node());
    span.set_start_micros(phase.start_unix_micros() - start_);
    span.set_duration_micros(phase.duration_micros());
    span.set_open(phase.open());
  }

  [[nodiscard]] std::string phase_id(std::string_view phase) const {
    for (const v1::TxnPhase& one : out_.phases()) {
      if (one.phase() == phase) return id_of(fmt::format("assent.{}", phase), "");
    }
    return out_.spans(0).span_id();
  }

  // The entry of a group's log, from the proposal until it was applied.
  void add_entry(const std::string& group, const std::string& parent, std::string_view proposed,
                 std::string_view applied) {
    const std::optional<Seen> from = find(proposed, group);
    if (!from) return;
    const std::optional<Seen> to = find(applied, group);
    v1::TxnSpan* span = add("raft.propose", group, parent, *from, to);
    if (!to) return;
    span->set_index(to->step->index());
    span->set_queued_micros(to->step->queued_micros());
    span->set_synced_micros(to->step->synced_micros());
    span->set_replicated_micros(to->step->applied_micros());
  }
  void add_lock(const std::string& group, const std::string& parent, std::string_view came) {
    const std::optional<Seen> from = find(came, group);
    const std::optional<Seen> to = find("vote_proposed", group);
    if (!from || (to && to->step->queued_micros() == 0)) return;
    if (!to && now_ - from->at() < 1'000) return;
    add("assent.lock", group, parent, *from, to);
  }

  void add_asked_work(const std::string& coordinator) {
    add_entry(coordinator, phase_id("execute"), "begin_proposed", "begin_applied");
    add_entry(coordinator, phase_id("decide"), "decision_proposed", "decision_applied");
    if (summary_.protocol() != "one-phase") return;
    add_lock(coordinator, phase_id("execute"), "asked");
    add_entry(coordinator, phase_id("decide"), "vote_proposed", "vote_applied");
  }

  void add_calls(const std::string& coordinator) {
    for (const std::string& peer : summary_.participants()) {
      if (const auto sent = find("prepare_sent", coordinator, peer)) {
        const auto vote = find("vote_heard", coordinator, peer);
        v1::TxnSpan* span = add("assent.v1.Participant/Prepare", peer, phase_id("prepare"), *sent, vote);
        if (vote) span->set_verdict(vote->step->yes() ? "yes" : "no");
        const std::string id = span->span_id();
        add_lock(peer, id, "prepare_heard");
        add_entry(peer, id, "vote_proposed", "vote_applied");
      }
    }
    for (const v1::TxnStep& step : main_.steps()) {
      if (step.step() != "ballot_sent" || step.group() != coordinator) continue;
      const auto heard = find("ballot_heard", coordinator, step.peer());
      v1::TxnSpan* span = add("assent.accept", step.peer(), phase_id("precommit"), Seen{&step, summary_.node()}, heard);
      if (heard) span->set_verdict("accepted");
    }
    for (const std::string& peer : summary_.participants()) {
      const auto sent = find("finish_sent", coordinator, peer);
      if (!sent) continue;
      const bool commit = sent->step->yes();
      v1::TxnSpan* span = add(commit ? "assent.v1.Participant/Commit" : "assent.v1.Participant/Abort", peer,
                              phase_id(commit ? "commit" : "abort"), *sent, find("finished_heard", coordinator, peer));
      span->set_verdict(commit ? "commit" : "abort");
      const std::string id = span->span_id();
      add_entry(peer, id, "finish_proposed", "finish_applied");
    }
  }

  // What a shard recorded while nobody saw it being asked: the coordinator's record is gone or its node is away. And
  // what it ended by itself.
  void add_orphans(const std::string& coordinator) {
    const std::string root = out_.spans(0).span_id();
    for (const std::string& peer : summary_.participants()) {
      const auto heard = find("prepare_heard", peer);
      if (heard && !find("prepare_sent", coordinator, peer)) {
        const auto voted = find("vote_applied", peer);
        v1::TxnSpan* span = add("assent.v1.Participant/Prepare", peer, root, *heard, voted);
        if (voted) span->set_verdict(voted->step->yes() ? "yes" : "no");
        const std::string id = span->span_id();
        add_lock(peer, id, "prepare_heard");
        add_entry(peer, id, "vote_proposed", "vote_applied");
      }
      if (!find("finish_sent", coordinator, peer)) add_entry(peer, root, "finish_proposed", "finish_applied");
    }
  }

  void mark_times(const std::string& coordinator) {
    if (const auto answered = find("answered", coordinator)) out_.set_answered_micros(answered->at() - start_);
    out_.set_total_micros(summary_.duration_micros());
    if (const auto point = commit_point(coordinator)) out_.set_commit_point_micros(*point - start_);
  }

  // From when on nothing could have made it abort: two-phase: the decision's entry; where the votes decide, the last of
  // them in its log; of one phase, its entry; where ballots decide, the last acceptance before the answer.
  [[nodiscard]] std::optional<std::int64_t> commit_point(const std::string& coordinator) const {
    if (summary_.outcome() != "committed") return std::nullopt;
    const std::string& protocol = summary_.protocol();
    if (protocol == "two-phase") return when(find("decision_applied", coordinator));
    if (protocol == "one-phase") return when(find("vote_applied", coordinator));
    if (protocol == "three-phase") return last_before_answer("ballot_heard", coordinator);
    std::optional<std::int64_t> last;
    for (const std::string& peer : summary_.participants()) {
      auto vote = find("vote_applied", peer);
      if (!vote) vote = find("vote_heard", coordinator, peer);
      if (!vote) return std::nullopt;
      last = std::max(last.value_or(vote->at()), vote->at());
    }
    return last;
  }
  static std::optional<std::int64_t> when(const std::optional<Seen>& seen) {
    return seen ? std::optional(seen->at()) : std::nullopt;
  }
  [[nodiscard]] std::optional<std::int64_t> last_before_answer(std::string_view step, const std::string& group) const {
    std::optional<std::int64_t> last;
    for (const v1::TxnStep& one : main_.steps()) {
      if (one.step() != step || one.group() != group) continue;
      if (out_.has_answered_micros() && one.unix_micros() - start_ > out_.answered_micros()) continue;
      last = std::max(last.value_or(one.unix_micros()), one.unix_micros());
    }
    return last;
  }

  void end_root() {
    std::int64_t end = static_cast<std::int64_t>(out_.total_micros());
    bool open = !summary_.answered() && summary_.outcome().empty();
    for (const v1::TxnSpan& span : out_.spans()) {
      end = std::max(end, span.start_micros() + static_cast<std::int64_t>(span.duration_micros()));
      open = open || span.open();
    }
    v1::TxnSpan& root = *out_.mutable_spans(0);
    root.set_duration_micros(static_cast<std::uint64_t>(end));
    root.set_open(open);
  }

  static std::int64_t end_of(const v1::TxnSpan& span) {
    return span.start_micros() + static_cast<std::int64_t>(span.duration_micros());
  }

  // What the client waited for: each phase until the answer, in it the call that ended last, and what is below that.
  void mark_critical() {
    const std::int64_t answered = out_.has_answered_micros() ? out_.answered_micros() : now_ - start_;
    std::vector<std::string> critical{out_.spans(0).span_id()};
    std::uint64_t longest = 0;
    for (std::size_t depth = 0; depth < critical.size(); ++depth) {
      const std::string parent = critical[depth];
      v1::TxnSpan* last = nullptr;
      for (v1::TxnSpan& span : *out_.mutable_spans()) {
        if (span.span_id() == parent) span.set_critical(true);
        if (span.parent_id() != parent || span.start_micros() >= answered) continue;
        const bool too_late = end_of(span) > answered && !span.open();
        if (depth == 0 || span.name() == "assent.lock" || span.name() == "raft.propose") {
          if (depth != 0 || !too_late) critical.push_back(span.span_id());
        } else if (too_late) {
          continue;
        } else if (last == nullptr || end_of(span) > end_of(*last)) {
          last = &span;
        }
      }
      if (last != nullptr) critical.push_back(last->span_id());
    }
    for (const v1::TxnSpan& span : out_.spans()) {
      const bool waits_for_a_group = span.name() == "assent.v1.Participant/Prepare" || span.name() == "raft.propose";
      if (!span.critical() || !waits_for_a_group || span.duration_micros() < longest) continue;
      longest = span.duration_micros();
      out_.set_delayed_by(span.group());
    }
  }

  void mark_outside() {
    for (v1::TxnSpan& span : *out_.mutable_spans()) {
      const auto parent = std::find_if(out_.spans().begin(), out_.spans().end(),
                                       [&](const v1::TxnSpan& one) { return one.span_id() == span.parent_id(); });
      // On one clock that is no error: a vote may come when the answer is given already.
      if (parent == out_.spans().end() || parent->open() || parent->node() == span.node()) continue;
      span.set_outside_parent(span.start_micros() < parent->start_micros() || end_of(span) > end_of(*parent));
    }
  }

  [[nodiscard]] std::string why() const {
    const v1::TxnSummary& summary = summary_;
    if (summary.outcome() == "aborted") {
      if (summary.reason().empty()) return "it aborted; who said no is not recorded here";
      const std::string who = summary.refused_by().empty() ? "the coordinator" : summary.refused_by();
      return fmt::format("aborted by {} ({}){}{}", who, summary.reason(), summary.message().empty() ? "" : ": ",
                         summary.message());
    }
    if (!summary.answered() && summary.outcome().empty()) return waiting();
    const v1::TxnPhase* longest = nullptr;
    for (const v1::TxnPhase& phase : out_.phases()) {
      if (phase.phase() == "commit" || phase.phase() == "abort") continue;
      if (longest == nullptr || phase.duration_micros() > longest->duration_micros()) longest = &phase;
    }
    if (longest == nullptr) return "committed; the node that answered the client has no record of it any more";
    const std::uint64_t total = std::max<std::uint64_t>(1, out_.total_micros());
    return fmt::format("{:.0f} % of {} went into {}{}",
                       100.0 * static_cast<double>(longest->duration_micros()) / static_cast<double>(total),
                       millis(total), longest->phase(), slowest_part());
  }

  // Of the group that was waited for longest, what took its time.
  [[nodiscard]] std::string slowest_part() const {
    if (out_.delayed_by().empty()) return {};
    std::pair<std::uint64_t, std::string_view> worst{0, ""};
    for (const v1::TxnSpan& span : out_.spans()) {
      if (!span.critical() || span.group() != out_.delayed_by()) continue;
      if (span.name() == "assent.lock") worst = std::max(worst, {span.duration_micros(), "waited for locks"});
      if (span.name() != "raft.propose") continue;
      worst = std::max(worst, {span.queued_micros(), "its entry queued for the disk"});
      worst = std::max(worst, {span.synced_micros(), "its disk took to sync"});
      worst = std::max(worst, {span.replicated_micros(), "its followers took to answer"});
    }
    if (worst.first == 0) return fmt::format("; {} was waited for longest", out_.delayed_by());
    return fmt::format("; {} was waited for longest: {} {}", out_.delayed_by(), millis(worst.first), worst.second);
  }

  [[nodiscard]] std::string waiting() const {
    for (const v1::TxnSpan& span : out_.spans()) {
      if (!span.open() || span.parent_id().empty()) continue;
      const std::string since = millis(span.duration_micros());
      if (span.name() == "assent.lock")
        return fmt::format("{} has waited {} for locks that others hold", span.group(), since);
      if (span.name() == "assent.v1.Participant/Prepare") {
        return fmt::format("{} was asked {} ago and has not voted", span.group(), since);
      }
      if (span.name() == "raft.propose") {
        return fmt::format("an entry waits since {} for a majority of {}", since, span.group());
      }
    }
    return "it runs";
  }
  static std::string millis(std::uint64_t micros) {
    return fmt::format("{:.1f} ms", static_cast<double>(micros) / 1e3);
  }

  const std::vector<v1::TxnRecord>& records_;
  const v1::TxnRecord& main_;
  const v1::TxnSummary summary_;
  const std::int64_t now_;
  std::int64_t start_ = 0;
  v1::TxnTrace out_;
};

}  // namespace

std::string call_span_id(const std::string& txn, std::string_view method, std::string_view participant) {
  const std::string_view phase = method == "Commit"  ? "assent.commit"
                                 : method == "Abort" ? "assent.abort"
                                                     : "assent.prepare";
  return span_id_under(txn, span_id(txn, phase, ""), fmt::format("assent.v1.Participant/{}", method), participant);
}

v1::TxnTrace make_trace(const std::vector<v1::TxnRecord>& records, std::int64_t now_unix_micros) {
  return Timeline(records, now_unix_micros).build();
}

}  // namespace assent
