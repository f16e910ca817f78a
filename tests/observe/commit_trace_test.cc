// The spans of a transaction are what happened to it, no more and no less. What happened is taken down by an ear of its
// own at the seams of the nodes: what was sent, voted, and applied.
#include <gmock/gmock.h>

#include <set>
#include <string>

#include "observe/timeline.h"
#include "tests/observe/named_bank.h"

namespace assent {
namespace {

using Lines = std::multiset<std::string>;

std::string name_of(GroupId group) {
  if (is_service(group)) return "step" + std::to_string(group.value - first_service.value + 1);
  return group == GroupId(1) ? "c0" : "s" + std::to_string(group.value - 1);
}

// Of one transaction, on all nodes.
struct Heard {
  TxnId txn;
  std::map<GroupId, bool> asked;  // who was sent a Prepare; whether he voted
  std::map<GroupId, bool> votes;
  std::map<GroupId, bool> ends;
  std::set<GroupId> accepts;
  std::set<std::pair<GroupId, std::uint64_t>> entries;

  [[nodiscard]] Lines lines() const {
    Lines out;
    for (const auto& [group, sent] : asked) {
      const auto vote = votes.find(group);
      out.insert("Prepare " + name_of(group) + (vote == votes.end() ? "" : vote->second ? " yes" : " no"));
    }
    for (const auto& [group, commit] : ends) out.insert((commit ? "Commit " : "Abort ") + name_of(group));
    for (const GroupId group : accepts) out.insert("accept " + name_of(group));
    for (const auto& [group, index] : entries) out.insert("entry " + name_of(group) + " " + std::to_string(index));
    return out;
  }
};

// Listens beside the recorder.
class Ear final : public TxnWatcher {
 public:
  Ear(TxnWatcher& recorder, Heard& heard) : next_(recorder), heard_(heard) {}

  void requested(GroupId at, const ClientRequest& request) override { next_.requested(at, request); }
  void received(GroupId at, GroupId from, const TxnMessage& message) override {
    if (const auto* vote = std::get_if<Vote>(&message); vote != nullptr && vote->txn == heard_.txn) {
      heard_.votes.emplace(from, vote->yes);
    }
    next_.received(at, from, message);
  }
  void applied(GroupId at, Index index, const CoordinatorCommand& command) override {
    enter(at, index, std::get_if<BeginTxn>(&command));
    enter(at, index, std::get_if<Decide>(&command));
    enter(at, index, std::get_if<SealOutcome>(&command));
    next_.applied(at, index, command);
  }
  void applied(GroupId at, Index index, const ShardCommand& command) override {
    enter(at, index, std::get_if<PrepareWork>(&command));
    enter(at, index, std::get_if<RefuseWork>(&command));
    enter(at, index, std::get_if<ExecuteWork>(&command));
    enter(at, index, std::get_if<FinishWork>(&command));
    next_.applied(at, index, command);
  }
  void proposed(GroupId at, const CoordinatorCommand& command) override { next_.proposed(at, command); }
  void proposed(GroupId at, const ShardCommand& command) override { next_.proposed(at, command); }
  void sent(GroupId at, GroupId to, const TxnMessage& message) override {
    const auto of_it = [&](const auto* one) { return one != nullptr && one->txn == heard_.txn; };
    if (of_it(std::get_if<Prepare>(&message))) heard_.asked.emplace(to, true);
    if (const auto* finish = std::get_if<Finish>(&message); of_it(finish)) heard_.ends.emplace(to, finish->commit);
    const auto* ballot = std::get_if<BallotRequest>(&message);
    if (of_it(ballot) && ballot->value != Outcome::none) heard_.accepts.insert(to);
    next_.sent(at, to, message);
  }
  void replied(GroupId at, const ClientReply& reply) override { next_.replied(at, reply); }
  void turned(GroupId at) override { next_.turned(at); }
  void refused(GroupId at) override { next_.refused(at); }
  void appended(GroupId at, Index first, Index last, Wal::Ticket ticket) override {
    next_.appended(at, first, last, ticket);
  }
  void resigned(GroupId at) override { next_.resigned(at); }
  void submitted(Wal::Ticket ticket) override { next_.submitted(ticket); }
  void synced(Wal::Ticket ticket) override { next_.synced(ticket); }

 private:
  template <class Command>
  void enter(GroupId at, Index index, const Command* command) {
    if (command != nullptr && command->txn == heard_.txn) heard_.entries.emplace(at, index.value);
  }

  TxnWatcher& next_;
  Heard& heard_;
};

class SpansAndTrace : public NamedBank {
 protected:
  SpansAndTrace() {
    for (const NodeId node : nodes()) {
      ears_[node] = std::make_unique<Ear>(*recorders_.at(node), heard_);
      cluster_.node(node).loop->watch(ears_.at(node).get());
    }
    cluster_.make_lead(c0, NodeId(1));
    cluster_.make_lead(s1, NodeId(2));
    cluster_.make_lead(s2, NodeId(3));
    EXPECT_EQ(run(s1, deposit(100)), TxnState::committed);
  }
  ~SpansAndTrace() override {
    for (const NodeId node : nodes()) cluster_.kill(node);  // before the ears go
  }

  // To its end, with services that say yes unless they are told otherwise.
  TxnState run_it(GroupId group, Execute execute) {
    heard_.txn = execute.txn;
    const std::uint64_t id = send(group, std::move(execute));
    cluster_.tick_until([&] {
      serve();
      return cluster_.node(at_[id]).answered(id);
    });
    for (int i = 0; i < 40; ++i) {
      serve();
      cluster_.tick();
    }
    const auto& answer = cluster_.node(at_[id]).reply(id);
    return answer ? std::get<TxnAnswer>(*answer).state : TxnState::unknown;
  }
  void serve() {
    for (const NodeId node : nodes()) {
      Loop& loop = *cluster_.node(node).loop;
      for (const ServiceCall& call : loop.take_calls()) {
        TxnMessage answer;
        if (const auto* prepare = std::get_if<Prepare>(&call.message)) {
          Vote vote;
          vote.txn = prepare->txn;
          vote.attempt = prepare->attempt;
          vote.yes = !refusing_.contains(call.number);
          if (!vote.yes) vote.refusal.reason = AbortReason::refused;
          answer = vote;
        } else {
          const auto& finish = std::get<Finish>(call.message);
          answer = Finished{.txn = finish.txn, .attempt = finish.attempt, .commit = finish.commit};
        }
        loop.handle(ServiceAnswered{.to = call.from, .from = call.number, .message = answer});
      }
    }
  }
  Execute trip(Mode mode) {
    Execute execute;
    execute.txn = new_txn();
    execute.mode = mode;
    execute.branches.push_back({s1, {add("alice", -1)}});
    for (std::uint64_t i = 1; i <= 3; ++i) {
      execute.branches.push_back({GroupId(first_service.value + i - 1),
                                  {},
                                  ServiceWork{{"step" + std::to_string(i), "10.0.0.1:7000", ""}, "book"}});
    }
    return execute;
  }

  v1::TxnTrace trace() { return make_trace(records_of(heard_.txn), static_cast<std::int64_t>(clock_.micros)); }
  static Lines lines_of(const v1::TxnTrace& trace) {
    Lines out;
    const std::string call = "assent.v1.Participant/";
    for (const v1::TxnSpan& span : trace.spans()) {
      if (span.name() == call + "Prepare") {
        out.insert("Prepare " + span.group() + (span.verdict().empty() ? "" : " " + span.verdict()));
      } else if (span.name().starts_with(call)) {
        out.insert(span.name().substr(call.size()) + " " + span.group());
      } else if (span.name() == "assent.accept") {
        out.insert("accept " + span.group());
      } else if (span.name() == "raft.propose") {
        out.insert("entry " + span.group() + " " + std::to_string(span.index()));
      }
    }
    return out;
  }
  void expect_equal() {
    EXPECT_GT(heard_.entries.size(), 0U);
    EXPECT_EQ(lines_of(trace()), heard_.lines());
  }

  Heard heard_;
  std::map<NodeId, std::unique_ptr<Ear>> ears_;
  std::set<GroupId> refusing_;
};

class EachProtocol : public SpansAndTrace, public testing::WithParamInterface<Protocol> {};

TEST_P(EachProtocol, TheSpansOfACommitAreItsTrace) {
  ASSERT_EQ(run_it(c0, transfer(30, GetParam())), TxnState::committed);
  expect_equal();
}

TEST_P(EachProtocol, TheSpansOfAnAbortAreItsTrace) {
  ASSERT_EQ(run_it(c0, transfer(1'000, GetParam())), TxnState::aborted);
  expect_equal();
}

INSTANTIATE_TEST_SUITE_P(All, EachProtocol,
                         testing::Values(Protocol::two_phase, Protocol::three_phase, Protocol::paxos_commit),
                         protocol_name);

TEST_F(SpansAndTrace, OfOnePhaseAsWell) {
  ASSERT_EQ(run_it(s1, deposit(5)), TxnState::committed);
  expect_equal();
}

class EachMode : public SpansAndTrace, public testing::WithParamInterface<Mode> {};

TEST_P(EachMode, EachStepAndItsConfirmationIsASpan) {
  ASSERT_EQ(run_it(c0, trip(GetParam())), TxnState::committed);
  expect_equal();
  const v1::TxnTrace shown = trace();
  EXPECT_EQ(shown.summary().mode(), to_string(GetParam()));
  const Lines lines = lines_of(shown);
  for (const char* line : {"Prepare step1 yes", "Prepare step3 yes", "Commit step2", "Commit s1"}) {
    EXPECT_EQ(lines.count(line), 1U) << line;
  }
  EXPECT_EQ(std::count_if(lines.begin(), lines.end(), [](const auto& line) { return line.starts_with("entry c0"); }), 2)
      << "its beginning and its decision";
}

// What was done is undone; of a saga in the reverse order.
TEST_P(EachMode, EachCompensationIsASpan) {
  refusing_.insert(GroupId(first_service.value + 1));
  ASSERT_EQ(run_it(c0, trip(GetParam())), TxnState::aborted);
  expect_equal();
  const v1::TxnTrace shown = trace();
  const Lines lines = lines_of(shown);
  EXPECT_EQ(lines.count("Prepare step2 no"), 1U);
  EXPECT_EQ(lines.count("Abort step1"), 1U);
  EXPECT_EQ(lines.count("Prepare step3 yes"), GetParam() == Mode::saga ? 0U : 1U);
  const auto start_of = [&](const std::string& name, const std::string& group) {
    for (const v1::TxnSpan& span : shown.spans()) {
      if (span.name() == "assent.v1.Participant/" + name && span.group() == group) return span.start_micros();
    }
    return std::int64_t{-1};
  };
  if (GetParam() == Mode::saga) {
    EXPECT_LT(start_of("Abort", "step2"), start_of("Abort", "step1"));
  }
}

INSTANTIATE_TEST_SUITE_P(All, EachMode, testing::Values(Mode::tcc, Mode::saga, Mode::concurrent_saga), protocol_name);

}  // namespace
}  // namespace assent
