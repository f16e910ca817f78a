#include "sim/raft_trace.h"

#include <array>
#include <optional>
#include <utility>

#include "consensus/raft/message_codec.h"
#include "consensus/raft/raft.h"

namespace assent::sim {
namespace {

using namespace raft;

// A message in etcd's words; absent for the kinds that its traces leave out.
struct Told {
  std::string_view type;
  std::string_view event;  // behind Send or Receive
  std::size_t entries = 0;
  Position place;
  Index commit;
  Member vote;
  bool reject = false;
  Index hint;
};

struct Teller {
  Member to;
  Told operator()(const AppendRequest& m) const {
    return {"MsgApp", "AppendEntriesRequest", m.entries.size(), m.prev, m.commit, {}, false, {}};
  }
  Told operator()(const Heartbeat& m) const {
    return {"MsgHeartbeat", "AppendEntriesRequest", 0, {}, m.commit, {}, false, {}};
  }
  Told operator()(const AppendAccept& m) const {
    return {"MsgAppResp", "AppendEntriesResponse", 0, {{}, m.match}, {}, {}, false, {}};
  }
  Told operator()(const AppendReject& m) const {
    return {"MsgAppResp", "AppendEntriesResponse", 0, {m.hint.epoch, m.rejected}, {}, {}, true, m.hint.index};
  }
  Told operator()(const StaleTerm&) const { return {"MsgAppResp", "AppendEntriesResponse", 0, {}, {}, {}, true, {}}; }
  Told operator()(const HeartbeatReply&) const {
    return {"MsgHeartbeatResp", "AppendEntriesResponse", 0, {}, {}, {}, false, {}};
  }
  Told operator()(const VoteRequest& m) const {
    return {"MsgVote", "RequestVoteRequest", 0, m.last, {}, {}, false, {}};
  }
  Told operator()(const VoteReply& m) const {
    return {"MsgVoteResp", "RequestVoteResponse", 0, {}, {}, m.granted ? to : Member{}, !m.granted, {}};
  }
  Told operator()(const PreVoteRequest&) const { return {}; }
  Told operator()(const PreVoteReply&) const { return {}; }
  Told operator()(const TimeoutNow&) const { return {}; }
  Told operator()(const Sleep& m) const {  // which is a heartbeat to Raft
    return {"MsgHeartbeat", "AppendEntriesRequest", 0, {}, m.last, {}, false, {}};
  }
  Told operator()(const LeaseRequest&) const { return {}; }
  Told operator()(const LeaseGrant&) const { return {}; }
  Told operator()(const ReadPointRequest&) const { return {}; }
  Told operator()(const ReadPointReply&) const { return {}; }
  Told operator()(const SleepReply&) const {
    return {"MsgHeartbeatResp", "AppendEntriesResponse", 0, {}, {}, {}, false, {}};
  }
};

std::string to_json(const Told& told, Epoch term, const Member& from, const Member& to) {
  return fmt::format(
      R"(,"msg":{{"type":"{}","term":{},"from":"{}","to":"{}","entries":{},"logTerm":{},"index":{},"commit":{},"vote":"{}","reject":{},"rejectHint":{}}})",
      told.type, term, from, to, told.entries, told.place.epoch, told.place.index, told.commit, told.vote, told.reject,
      told.hint);
}

std::string to_json(const std::vector<Member>& members) {
  std::string text;
  for (const Member& member : members) text += fmt::format(R"({}"{}")", text.empty() ? "" : ",", member);
  return text;
}

const Raft* core_of(const ReplicatedLog& log) { return raft_core(log); }

}  // namespace

void RaftTrace::event(const Replica& at, const Raft& core, std::string_view name, const std::string& message) {
  constexpr std::array<std::string_view, 4> roles = {"StateFollower", "StatePreCandidate", "StateCandidate",
                                                     "StateLeader"};
  file_.line(fmt::format(
      R"({{"tag":"trace","event":{{"name":"{}","nid":"{}","gid":"{}","state":{{"term":{},"vote":"{}","commit":{}}},"role":"{}","log":{},"logTerm":{},"conf":[[{}],[{}]]{}}}}})",
      name, core.self(), at.group, core.term(), core.vote(), core.commit(), roles.at(core.role().index()),
      core.log().last().index, core.log().last().epoch, to_json(core.memberships().current().voters),
      to_json(core.memberships().current().outgoing), message));
}

void RaftTrace::built(const Replica& at, const LogSetup& /*setup*/, const ReplicatedLog& log) {
  const Raft* core = core_of(log);
  if (!file_.on() || core == nullptr) return;
  cores_[at] = Core{core->role().index(), core->commit(), core->log().last_index(), {}};
  event(at, *core, "InitState");
}

// What changed since the last look.
void RaftTrace::moved(const Replica& at, const Raft& core) {
  constexpr std::array<std::string_view, 4> names = {"BecomeFollower", "", "BecomeCandidate", "BecomeLeader"};
  Core& known = cores_[at];
  const std::size_t role = core.role().index();
  const bool became = std::exchange(known.role, role) != role;
  if (became && !names.at(role).empty()) event(at, core, names.at(role));
  const Index last = std::exchange(known.last, core.log().last_index());
  if (std::holds_alternative<Leader>(core.role()) && core.log().last_index() > last) event(at, core, "Replicate");
  if (std::exchange(known.commit, core.commit()) != core.commit()) event(at, core, "Commit");
}

void RaftTrace::received(const Replica& at, NodeId from, ByteView bytes, const ReplicatedLog& log) {
  const Raft* core = core_of(log);
  if (!file_.on() || core == nullptr) return;
  if (const auto letter = decode_letter(at.group, bytes)) {
    const Member to(at.node, letter->between.to);
    const Told told = std::visit(Teller{to}, letter->message);
    if (!told.type.empty() && to == core->self()) {
      event(at, *core, fmt::format("Receive{}", told.event),
            to_json(told, term_of(letter->message), Member(from, letter->between.from), to));
    }
  }
  moved(at, *core);
}

void RaftTrace::received_snapshot(const Replica& at, NodeId from, Epoch epoch, const SnapshotMark& mark,
                                  const ReplicatedLog& log) {
  const Raft* core = core_of(log);
  if (!file_.on() || core == nullptr) return;
  event(at, *core, "ReceiveAppendEntriesRequest",
        to_json(Told{"MsgSnap", "", 0, mark.last, {}, {}, false, {}}, epoch, from, core->self()));
}

void RaftTrace::sent(const Replica& at, const Raft& core, NodeId to, ByteView bytes) {
  const auto letter = decode_letter(at.group, bytes);
  if (!letter) return;
  const Member member(to, letter->between.to);
  const Told told = std::visit(Teller{member}, letter->message);
  if (told.type.empty()) return;
  event(at, core, fmt::format("Send{}", told.event), to_json(told, term_of(letter->message), core.self(), member));
}

void RaftTrace::gave(const Replica& at, const Output& output, const ReplicatedLog& log) {
  const Raft* core = core_of(log);
  if (!file_.on() || core == nullptr) return;
  moved(at, *core);
  if (output.needs_disk()) event(at, *core, "Ready");
  for (const ConsensusMessage& message : output.send_now) sent(at, *core, message.to, message.bytes);
  for (const SnapshotSend& snapshot : output.snapshots_to_send) {
    event(at, *core, "SendAppendEntriesRequest",
          to_json(Told{"MsgSnap", "", 0, {}, {}, {}, false, {}}, snapshot.epoch, core->self(), snapshot.to));
  }
  for (const ConsensusMessage& message : output.send_after_sync) {
    cores_[at].parked.push_back({output.number, message.to, message.bytes});
  }
}

void RaftTrace::synced(const Replica& at, std::uint64_t output_number, const ReplicatedLog& log) {
  const Raft* core = core_of(log);
  if (!file_.on() || core == nullptr) return;
  std::deque<Parked>& parked = cores_[at].parked;
  for (; !parked.empty() && parked.front().number <= output_number; parked.pop_front()) {
    sent(at, *core, parked.front().to, parked.front().bytes);
  }
}

void RaftTrace::stepped(const Replica& at, const ReplicatedLog& log) {
  const Raft* core = core_of(log);
  if (file_.on() && core != nullptr) moved(at, *core);
}

}  // namespace assent::sim
