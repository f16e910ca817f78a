// The rules of a branch's register, against a twin that keeps nothing but the history, and against the table of
// participant.proto, row by row.
#include "service/register.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/rng.h"

namespace assent::service {
namespace {

Branch branch_of(Attempt attempt) {
  Branch branch;
  branch.txn = TxnId::make(ClusterMillis(1'000), 1, 2);
  branch.name = "b";
  branch.attempt = attempt;
  branch.coordinator = "c0";
  return branch;
}

// "OK", "OK: YES 1.1", "ABORTED VOTE_NO", ...: an answer as the proto's table writes it.
std::string text(Call call, const Answer& answer) {
  constexpr std::array codes{"OK", "ABORTED", "NOT_FOUND", "FAILED_PRECONDITION", "INVALID", "BUSY", "UNKNOWN"};
  std::string out = codes.at(static_cast<std::size_t>(answer.code));
  if (answer.reason != Reason::none && answer.reason != Reason::still_running) {
    out += fmt::format(" {}", to_string(answer.reason));
  }
  if (call == Call::prepare && answer.ok()) {
    out += fmt::format(": {} {}.{}", answer.read_only ? "READ_ONLY" : "YES", answer.recorded->epoch,
                       answer.recorded->number);
  }
  return out;
}

// What is answered once the call has been carried out, as branches.cc does it.
Answer carry_out(Register& at, Call call, const Branch& branch, const Vote& vote, ClusterMillis now) {
  const Ruling ruling = judge(call, at, branch.attempt);
  if (!ruling.writes) return ruling.answer;
  if (call == Call::prepare) {
    at = record_vote(branch, "payload", vote, now);
    return judge(call, at, branch.attempt).answer;
  }
  at = at.state == BranchState::empty ? record_abort(branch, now) : record_end(at, call, now);
  return ruling.answer;
}

// ---- the table ----

constexpr Attempt a{1, 1};
constexpr Attempt b{2, 1};

Register in_state(const std::string& name) {
  Register at;
  const ClusterMillis now(5);
  const auto prepare = [&](Attempt attempt, const Vote& vote) { at = record_vote(branch_of(attempt), "p", vote, now); };
  if (name == "running") at.state = BranchState::running;
  if (name == "forgotten") at.state = BranchState::forgotten;
  if (name == "no") prepare(a, Vote::no("WHY", "because"));
  if (name == "tombstone") at = record_abort(branch_of(a), now);
  if (name.starts_with("read only")) prepare(name.ends_with("b") ? b : a, Vote::read_only());
  if (name.starts_with("yes") || name.starts_with("committed") || name.starts_with("aborted")) {
    prepare(name.ends_with("b") ? b : a, Vote::yes());
  }
  if (name.starts_with("committed")) at = record_end(at, Call::commit, now);
  if (name.starts_with("aborted")) at = record_end(at, Call::abort, now);
  return at;
}

struct TableRow {
  std::string state;
  std::string prepare, commit, abort;  // of attempt a; "writes" where it changes the register
};

TEST(RegisterTable, EveryCellIsAsTheProtoSays) {
  const std::vector<TableRow> table{
      {"empty", "writes", "NOT_FOUND NEVER_PREPARED", "writes"},
      {"running", "FAILED_PRECONDITION", "FAILED_PRECONDITION", "FAILED_PRECONDITION"},
      {"yes of a", "OK: YES 1.1", "writes", "writes"},
      {"committed, a", "OK: YES 1.1", "OK", "ABORTED ABORT_AFTER_COMMIT"},
      {"read only of a", "OK: READ_ONLY 1.1", "OK", "OK"},
      {"yes of b", "OK: YES 2.1", "ABORTED OTHER_ATTEMPT", "ABORTED OTHER_ATTEMPT"},
      {"committed, b", "OK: YES 2.1", "ABORTED OTHER_ATTEMPT", "ABORTED OTHER_ATTEMPT"},
      {"read only of b", "OK: READ_ONLY 2.1", "ABORTED OTHER_ATTEMPT", "ABORTED OTHER_ATTEMPT"},
      {"no", "ABORTED VOTE_NO", "ABORTED COMMIT_AFTER_ABORT", "OK"},
      {"tombstone", "ABORTED BRANCH_ABORTED", "ABORTED COMMIT_AFTER_ABORT", "OK"},
      {"aborted, a", "ABORTED BRANCH_ABORTED", "ABORTED COMMIT_AFTER_ABORT", "OK"},
      {"aborted, b", "ABORTED BRANCH_ABORTED", "ABORTED COMMIT_AFTER_ABORT", "OK"},
      {"forgotten", "ABORTED TXN_TOO_OLD", "NOT_FOUND BRANCH_FORGOTTEN", "OK"},
  };
  for (const TableRow& row : table) {
    const Register at = in_state(row.state);
    for (const auto& [call, wanted] : {std::pair{Call::prepare, row.prepare}, std::pair{Call::commit, row.commit},
                                       std::pair{Call::abort, row.abort}}) {
      const Ruling ruling = judge(call, at, a);
      EXPECT_EQ(ruling.writes ? "writes" : text(call, ruling.answer), wanted) << row.state;
    }
  }
}

// ---- random histories ----

struct Event {
  Call call;
  Attempt attempt;
  Vote::Kind vote;  // what prepare's work would say, were it run
};

// Knows the whole history and nothing else: what stands is found by reading it from the start.
class Twin {
 public:
  std::string hear(const Event& event) {
    history_.push_back(event);
    const std::size_t first = first_filling();
    if (first == history_.size()) return "NOT_FOUND NEVER_PREPARED";
    const Event& filled = history_[first];
    if (filled.call == Call::abort) return dead(event, "BRANCH_ABORTED");
    if (filled.vote == Vote::Kind::no) return dead(event, "VOTE_NO");
    const std::size_t end = first_end(first);
    const bool this_ends = end == history_.size() - 1;
    if (end < history_.size() && !this_ends && history_[end].call == Call::abort) return dead(event, "BRANCH_ABORTED");
    if (event.call == Call::prepare) {
      return fmt::format("OK: {} {}.{}", filled.vote == Vote::Kind::yes ? "YES" : "READ_ONLY", filled.attempt.epoch,
                         filled.attempt.number);
    }
    if (event.attempt != filled.attempt) return "ABORTED OTHER_ATTEMPT";
    const bool committed = end < history_.size() && !this_ends;
    return committed && event.call == Call::abort ? "ABORTED ABORT_AFTER_COMMIT" : "OK";
  }
  [[nodiscard]] std::size_t works_run() const {
    std::size_t runs = 0;
    const std::size_t first = first_filling();
    if (first < history_.size() && history_[first].call == Call::prepare) runs += 1;
    if (first < history_.size() && first_end(first) < history_.size()) runs += 1;
    return runs;
  }

 private:
  [[nodiscard]] std::size_t first_filling() const {
    std::size_t at = 0;
    while (at < history_.size() && history_[at].call == Call::commit) ++at;
    return at;
  }
  // Only a yes ends.
  [[nodiscard]] std::size_t first_end(std::size_t first) const {
    const Event& filled = history_[first];
    if (filled.call != Call::prepare || filled.vote != Vote::Kind::yes) return history_.size();
    std::size_t at = first + 1;
    while (at < history_.size() && (history_[at].call == Call::prepare || history_[at].attempt != filled.attempt)) {
      ++at;
    }
    return at;
  }
  static std::string dead(const Event& event, const std::string& why) {
    if (event.call == Call::prepare) {
      return "ABORTED " + why;
    }
    return event.call == Call::commit ? "ABORTED COMMIT_AFTER_ABORT" : "OK";
  }

  std::vector<Event> history_;
};

TEST(RegisterHistories, AnswersAsATwinThatKeepsOnlyTheHistory) {
  for (std::uint64_t seed = 1; seed <= 20'000; ++seed) {
    Rng rng(seed);
    Twin twin;
    Register at;
    std::size_t works = 0;
    std::string told;
    const std::size_t length = rng.between(1, 9);
    for (std::size_t i = 0; i < length; ++i) {
      const Event event{static_cast<Call>(rng.below(3)), {rng.between(1, 2), 1}, static_cast<Vote::Kind>(rng.below(3))};
      const Register before = at;
      Vote vote = Vote::yes("result");
      if (event.vote == Vote::Kind::read_only) vote = Vote::read_only("result");
      if (event.vote == Vote::Kind::no) vote = Vote::no("NO", "no");
      const Ruling ruling = judge(event.call, before, event.attempt);
      const bool runs_work = ruling.writes && (event.call == Call::prepare || before.state == BranchState::prepared);
      works += runs_work ? 1 : 0;
      const Answer answer = carry_out(at, event.call, branch_of(event.attempt), vote, ClusterMillis(i + 1));
      told += fmt::format("{} {}.{} -> {}\n", static_cast<int>(event.call), event.attempt.epoch, event.attempt.number,
                          text(event.call, answer));
      ASSERT_EQ(text(event.call, answer), twin.hear(event)) << "seed " << seed << "\n" << told;
      ASSERT_EQ(ruling.writes, at != before) << "seed " << seed << "\n" << told;
      ASSERT_EQ(works, twin.works_run()) << "seed " << seed << "\n" << told;
    }
  }
}

TEST(RegisterHistories, ADuplicateIsAnsweredTheSameAndChangesNothing) {
  for (const char* name : {"yes of a", "read only of a", "committed, a", "no", "tombstone", "aborted, a"}) {
    for (const Call call : {Call::prepare, Call::commit, Call::abort}) {
      Register at = in_state(name);
      carry_out(at, call, branch_of(a), Vote::yes(), ClusterMillis(6));
      const Register once = at;
      const Answer first = carry_out(at, call, branch_of(a), Vote::yes("other"), ClusterMillis(7));
      const Answer second = carry_out(at, call, branch_of(a), Vote::no("X", "x"), ClusterMillis(8));
      EXPECT_EQ(first, second) << name;
      EXPECT_EQ(at, once) << name;
    }
  }
}

TEST(Register, AStateIsReadBackAsItIsWritten) {
  for (int i = 0; i < 8; ++i) {
    const auto state = static_cast<BranchState>(i);
    const bool written =
        state != BranchState::empty && state != BranchState::running && state != BranchState::forgotten;
    EXPECT_EQ(state_from(to_string(state)), written ? std::optional(state) : std::nullopt);
  }
  EXPECT_EQ(state_from("prepared "), std::nullopt);
  EXPECT_EQ(state_from(""), std::nullopt);
}

// ---- names and texts of strangers ----

TEST(BranchNames, AreTextWithoutControlCharacters) {
  EXPECT_TRUE(valid_name(""));
  EXPECT_TRUE(valid_name("payment/1 ä 😀"));
  EXPECT_TRUE(valid_name(std::string(200, 'x')));
  EXPECT_FALSE(valid_name(std::string(201, 'x')));
  for (const std::string& bad :
       {std::string("a\nb"), std::string("a\0b", 3), std::string("\x7f"), std::string("\xc2\x85"), std::string("\x80"),
        std::string("\xc3"), std::string("\xc0\xaf"), std::string("\xed\xa0\x80"), std::string("\xf5\x80\x80\x80"),
        std::string("\xe0\x80\x80"), std::string("\xf0\x80\x80\x80"), std::string("\xf4\x90\x80\x80")}) {
    EXPECT_FALSE(valid_name(bad));
    EXPECT_TRUE(valid_name(tidy_text(bad, 100)));
  }
}

TEST(BranchNames, TidyTextIsAlwaysAValidNameOfItsLength) {
  Rng rng(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (std::uint64_t left = rng.below(30); left > 0; --left) {
      text += static_cast<char>(rng.chance(0.5) ? rng.below(256) : rng.between(0xC0, 0xF8));
    }
    const std::string tidy = tidy_text(text, 20);
    ASSERT_LE(tidy.size(), 20U);
    ASSERT_TRUE(valid_name(tidy));
    ASSERT_EQ(tidy_text(tidy, 20), tidy);
  }
  EXPECT_EQ(tidy_text("aä", 2), "a");  // not inside a character
}

}  // namespace
}  // namespace assent::service
