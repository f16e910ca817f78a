#include "consensus/raft/messages.h"

#include <fmt/format.h>

namespace assent::raft {
namespace {

std::string place(const Position& at) { return fmt::format("{}@{}", at.epoch, at.index); }
std::string_view answer(bool granted) { return granted ? "granted" : "refused"; }

std::string text(const PreVoteRequest& m) { return fmt::format("pre-vote {}? last {}", m.term.next(), place(m.last)); }
std::string text(const PreVoteReply& m) {
  return fmt::format("pre-vote {} {} (term {})", m.proposed, answer(m.granted), m.term);
}
std::string text(const VoteRequest& m) {
  return fmt::format("vote {}? last {}{}", m.term, place(m.last), m.forced ? " forced" : "");
}
std::string text(const VoteReply& m) { return fmt::format("vote {} {}", m.term, answer(m.granted)); }
std::string text(const AppendRequest& m) {
  std::string entries = "nothing";
  if (!m.entries.empty()) {
    const Entry& first = *m.entries.front();
    const Entry& last = *m.entries.back();
    entries = place({first.epoch, first.index});
    if (m.entries.size() > 1) entries += ".." + place({last.epoch, last.index});
  }
  return fmt::format("append {} after {}: {} commit {}", m.term, place(m.prev), entries, m.commit);
}
std::string text(const AppendAccept& m) { return fmt::format("accept {} match {}", m.term, m.match); }
std::string text(const AppendReject& m) {
  if (m.rejected == no_request) return fmt::format("lost {} what comes after {}", m.term, place(m.hint));
  return fmt::format("reject {} after {} hint {}", m.term, m.rejected, place(m.hint));
}
std::string text(const Heartbeat& m) {
  return fmt::format("heartbeat {} commit {} round {}", m.term, m.commit, m.round);
}
std::string text(const HeartbeatReply& m) { return fmt::format("heartbeat-reply {} round {}", m.term, m.round); }
std::string text(const TimeoutNow& m) { return fmt::format("timeout-now {}", m.term); }
std::string text(const StaleTerm& m) { return fmt::format("stale-term {}", m.term); }
std::string text(const Sleep& m) { return fmt::format("sleep {} last {} round {}", m.term, m.last, m.round); }
std::string text(const SleepReply& m) { return fmt::format("sleep-reply {} round {}", m.term, m.round); }
std::string text(const LeaseRequest& m) { return fmt::format("lease {}? sent {}", m.term, m.sent); }
std::string text(const LeaseGrant& m) { return fmt::format("lease {} granted, sent {}", m.term, m.sent); }
std::string text(const ReadPointRequest& m) { return fmt::format("read-point {}? sent {}", m.term, m.sent); }
std::string text(const ReadPointReply& m) { return fmt::format("read-point {} sent {}: {}", m.term, m.sent, m.index); }

}  // namespace

Epoch term_of(const Message& message) {
  return std::visit([](const auto& m) { return m.term; }, message);
}

std::string describe(const Message& message) {
  return std::visit([](const auto& m) { return text(m); }, message);
}

}  // namespace assent::raft
