// F2: decode(encode(x)) = x for every message and command, and any bytes decode to a value or an error.
#include "txn_proto/wire_codec.h"

#include <gtest/gtest.h>

#include "assent/wire/wire.pb.h"
#include "base/rng.h"
#include "txn_proto/value_codec.h"

namespace assent {
namespace {

const TxnId txn = TxnId::make(ClusterMillis(1'700'000'000'000), 1, 2);
const TxnId other = TxnId::make(ClusterMillis(1'700'000'000'001), 3, 4);
const Attempt attempt{Epoch(5), 6};
const std::vector<GroupId> participants{GroupId(1), GroupId(2)};
const Bytes trace("\1\0\xFFof the caller", 16);
const Ballot ballot{4, GroupId(1), Epoch(7)};
const Refusal refusal{AbortReason::constraint, GroupId(2), "balance would be negative", "balance >= 0", other};
const Effects effects{Bytes("\0\1\2", 3),
                      {{"a", LockMode::intention_exclusive}, {"b", LockMode::exclusive}, {"n", LockMode::escrow}},
                      {{"n", -5, 0, 10}}};

Work every_operation() {
  return {SqlStatement{"UPDATE t SET a = ?",
                       {SqlNull{}, std::int64_t{-7}, 2.5, std::string("x"), SqlBlob{Bytes("\0\xFF", 2)}}},
          KvGet{"k"},
          KvGet{"k", 7},
          SqlStatement{"SELECT 1", {}, 9},
          KvAdd{"n", 1, 0, std::nullopt, true},
          KvPut{"k", Bytes("\0v", 2)},
          KvErase{"k"},
          KvExpect{"k", std::nullopt},
          KvExpect{"k", ""},
          KvAdd{"k", -5, std::nullopt, std::nullopt},
          KvAdd{"k", 5, 0, 100}};
}

WorkResult some_result() {
  return {OperationResult{{"id", "n"}, {{std::string("a"), std::int64_t{1}}, {SqlNull{}, 0.5}}, 0},
          OperationResult{{}, {}, 3}};
}

const std::vector<TxnMessage> messages{
    Prepare{txn, attempt, GroupId(9), participants, ~0ULL, other, every_operation()},
    Prepare{txn, attempt, GroupId(9), participants, 1, TxnId{}, {}},
    Vote{txn, attempt, true, {}, some_result()},
    Vote{txn, attempt, false, refusal, {}},
    Finish{txn, attempt, true},
    Finished{txn, attempt, false},
    Inquire{txn, attempt},
    Prepare{txn, attempt, GroupId(9), participants, 1, TxnId{}, {}, Protocol::paxos_commit},
    Vote{txn, attempt, true, {}, {}, Protocol::paxos_commit, 9},
    Finish{txn, attempt, true, Protocol::paxos_commit, 9},
    Finished{txn, attempt, true, Protocol::paxos_commit, 9},
    Finished{txn, attempt, true, Protocol::paxos_commit, 9, Cost{1, 2, 3, 4}, 70},
    Vote{txn, attempt, true, {}, {}, Protocol::paxos_commit, 9, Cost{1, 0, 1, 2}},
    Report{txn, Standing::aborted, Protocol::automatic, {}, 0, {}, refusal, Cost{1, 0, 1, 1}},
    Inquire{txn, attempt, Protocol::paxos_commit, 9},
    Attended{txn, true},
    Seal{txn, true},
    Report{txn, Standing::old, Protocol::automatic, {}, 0, {}, {}},
    Report{txn, Standing::aborted, Protocol::paxos_commit, attempt, 9, participants, refusal},
    Confirm{{OldCommit{txn, 9}, OldCommit{other, 8}}},
    Confirmed{{txn, other}},
    Confirm{{OldCommit{txn, 9, Protocol::three_phase}}},
    BallotRequest{txn, ballot, Outcome::none, 9, participants},
    BallotRequest{txn, {}, Outcome::committed, 9, participants},
    BallotReply{txn, 9, Standing::prepared, ballot, {1, GroupId(3), Epoch(2)}, Outcome::aborted, {}},
    BallotReply{txn, 0, Standing::aborted, {}, {}, Outcome::none, refusal},
    Prepare{txn, attempt, GroupId(9), participants, 1, TxnId{}, {}, Protocol::paxos_commit, trace},
    Vote{txn, attempt, true, {}, {}, Protocol::paxos_commit, 9, {}, trace},
    Finish{txn, attempt, true, Protocol::paxos_commit, 9, trace},
    Inquire{txn, attempt, Protocol::paxos_commit, 9, trace},
    Report{txn, Standing::prepared, Protocol::paxos_commit, attempt, 9, participants, {}, {}, trace},
};
const std::vector<CoordinatorCommand> coordinator_commands{
    Decide{txn, attempt, Protocol::two_phase, participants, 77},
    SealOutcome{txn, refusal},
    EndTxns{{txn, other}},
    Tidy{},
    SealOutcome{txn, refusal, 9},
    NoteOutcomes{{OutcomeNote{txn, 9, true, Protocol::paxos_commit, AbortReason::none},
                  OutcomeNote{other, 0, false, Protocol::two_phase, AbortReason::presumed}}},
    BallotWork{txn, ballot, Outcome::aborted, 9, participants},
    BeginTxn{txn, attempt, Mode::concurrent_saga, participants, 9, {{"pay", "10.0.0.1:7000", "payment"}}},
    BeginTxn{txn, attempt, Mode::tcc, participants, 9, {}, trace},
    Decide{txn, attempt, Protocol::two_phase, participants, 77, {}, trace},
    BeginTxn{txn, attempt, Mode::saga, participants, 9, {}, {}, {{first_service, "mail\xFF"}, {GroupId(7), ""}}},
    EndBranch{txn, first_service, "because\xFF"},
    AdmitShards{{GroupId(3), GroupId(4)}},
};
const std::vector<ShardCommand> shard_commands{
    PrepareWork{txn, attempt, GroupId(9), participants, 8, other, effects, some_result()},
    RefuseWork{txn, attempt, GroupId(9), participants, 8, refusal},
    ExecuteWork{txn, 8, effects, some_result(), {}},
    ExecuteWork{txn, 8, {}, {}, refusal},
    FinishWork{txn, attempt, true},
    SealWork{txn},
    Tidy{},
    PrepareWork{txn, attempt, GroupId(9), participants, 8, other, effects, {}, Protocol::paxos_commit},
    RefuseWork{txn, attempt, GroupId(9), participants, 8, refusal, Protocol::paxos_commit},
    FinishWork{txn, attempt, true, Protocol::paxos_commit, 9},
    ForgetTxns{{txn, other}},
    OverrideWork{txn, true, "because\xFF"},
    ForgetOverride{txn, "because\xFF"},
    BallotWork{txn, ballot, Outcome::none, 9, {}},
    PrepareWork{txn, attempt, GroupId(9), participants, 8, other, effects, {}, Protocol::paxos_commit, trace},
};

TEST(WireCodec, every_message_comes_back_as_it_was) {
  for (const auto& message : messages) {
    const auto decoded = decode_message(encode(message));
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(*decoded, message);
  }
}

TEST(WireCodec, a_trace_that_is_too_long_is_left_out_and_nothing_else) {
  Prepare prepare{txn, attempt, GroupId(9), participants, 1, TxnId{}, {}, Protocol::paxos_commit};
  prepare.trace.assign(trace_bytes_max, 't');
  EXPECT_EQ(std::get<Prepare>(*decode_message(encode(TxnMessage(prepare)))), prepare);
  Prepare longer = prepare;
  longer.trace += 't';
  prepare.trace.clear();
  EXPECT_EQ(std::get<Prepare>(*decode_message(encode(TxnMessage(longer)))), prepare);
}

TEST(WireCodec, what_an_older_build_wrote_without_a_protocol_is_two_phase) {
  wire::ShardCommand command;
  command.mutable_prepare()->set_txn(txn.to_raw());
  const auto prepare = decode_shard_command(command.SerializeAsString());
  ASSERT_TRUE(prepare.has_value());
  EXPECT_EQ(std::get<PrepareWork>(*prepare).protocol, Protocol::two_phase);
  wire::TxnMessage message;
  message.mutable_finish()->set_txn(txn.to_raw());
  const auto finish = decode_message(message.SerializeAsString());
  ASSERT_TRUE(finish.has_value());
  EXPECT_EQ(std::get<Finish>(*finish).protocol, Protocol::two_phase);
  message.mutable_finish()->set_protocol(99);
  EXPECT_FALSE(decode_message(message.SerializeAsString()).has_value());
}

TEST(WireCodec, what_an_older_build_confirmed_without_a_protocol_is_paxos_commit) {
  wire::TxnMessage message;
  message.mutable_confirm()->add_commits()->set_txn(txn.to_raw());
  const auto confirm = decode_message(message.SerializeAsString());
  ASSERT_TRUE(confirm.has_value());
  EXPECT_EQ(std::get<Confirm>(*confirm).commits.at(0).protocol, Protocol::paxos_commit);
}

TEST(WireCodec, every_coordinator_command_comes_back_as_it_was) {
  for (const auto& command : coordinator_commands) {
    const auto decoded = decode_coordinator_command(encode(command));
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(*decoded, command);
  }
}

TEST(WireCodec, every_shard_command_comes_back_as_it_was) {
  for (const auto& command : shard_commands) {
    const auto decoded = decode_shard_command(encode(command));
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(*decoded, command);
  }
}

TEST(WireCodec, result_and_refusal_come_back_as_they_were) {
  EXPECT_EQ(decode_work_result(encode(some_result())), some_result());
  EXPECT_EQ(decode_refusal(encode(refusal)), refusal);
}

// SQLite's text may be any bytes; a log entry that does not parse would stop every replica.
TEST(WireCodec, text_that_is_not_utf8_survives_in_every_place) {
  const std::string bad = "\xFF\xC0text";
  const WorkResult result{OperationResult{{bad}, {{bad}}, 0}};
  const ShardCommand command =
      ExecuteWork{txn, 8, effects, result, Refusal{AbortReason::invalid, GroupId(1), bad, bad, TxnId{}}};
  EXPECT_EQ(decode_shard_command(encode(command)), command);
  const TxnMessage message =
      Prepare{txn, attempt, GroupId(9), participants, 1, other, {SqlStatement{bad, {bad}}, KvGet{bad}}};
  EXPECT_EQ(decode_message(encode(message)), message);
}

TEST(IsUtf8, accepts_what_rfc_3629_does_and_nothing_else) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("plain"));
  EXPECT_TRUE(is_utf8("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"));
  EXPECT_FALSE(is_utf8("\x80"));              // a continuation alone
  EXPECT_FALSE(is_utf8("\xC0\xAF"));          // overlong
  EXPECT_FALSE(is_utf8("\xE0\x80\xAF"));      // overlong
  EXPECT_FALSE(is_utf8("\xED\xA0\x80"));      // a surrogate
  EXPECT_FALSE(is_utf8("\xF4\x90\x80\x80"));  // beyond U+10FFFF
  EXPECT_FALSE(is_utf8("\xE2\x82"));          // cut short
  EXPECT_FALSE(is_utf8("\xFF"));
}

TEST(WireCodec, empty_and_unknown_bytes_are_malformed) {
  EXPECT_EQ(decode_message("").error().code, ErrorCode::malformed);
  EXPECT_EQ(decode_coordinator_command("").error().code, ErrorCode::malformed);
  EXPECT_EQ(decode_shard_command("").error().code, ErrorCode::malformed);
}

TEST(WireCodec, any_bytes_decode_to_a_value_or_an_error) {
  Rng rng(11);
  for (int round = 0; round < 3000; ++round) {
    Bytes bytes = encode(shard_commands[rng.below(shard_commands.size())]);
    for (int flips = 0; flips < 3 && !bytes.empty(); ++flips)
      bytes[rng.below(bytes.size())] = static_cast<char>(rng.next());
    if (rng.chance(0.3)) bytes.resize(rng.below(bytes.size() + 1));
    if (const auto command = decode_shard_command(bytes)) {
      EXPECT_EQ(decode_shard_command(encode(*command)), *command);
    }
    static_cast<void>(decode_message(bytes));
    static_cast<void>(decode_coordinator_command(bytes));
  }
}

TEST(Fingerprint, differs_when_any_part_of_the_content_differs) {
  Execute execute{
      txn, {}, Protocol::automatic, {Branch{GroupId(1), every_operation()}, Branch{GroupId(2), {KvGet{"x"}}}}, 0};
  const auto base = fingerprint(execute);
  EXPECT_EQ(fingerprint(execute), base);
  Execute changed = execute;
  changed.branches[1].work = {KvGet{"y"}};
  EXPECT_NE(fingerprint(changed), base);
  changed = execute;
  changed.protocol = Protocol::two_phase;
  EXPECT_NE(fingerprint(changed), base);
  changed = execute;
  changed.branches[0].work.pop_back();
  EXPECT_NE(fingerprint(changed), base);
  changed = execute;
  changed.txn = other;  // the id is what is compared under, not part of the content
  EXPECT_EQ(fingerprint(changed), base);
}

}  // namespace
}  // namespace assent
