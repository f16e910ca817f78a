// A transaction's bars in a terminal.
#include "cli/waterfall.h"

#include <gmock/gmock.h>

namespace assent::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Bars {
  const char* name;
  const char* group;
  const char* id;
  const char* parent;
  std::int64_t start;
  std::uint64_t duration;
};

v1::TxnTrace trace() {
  v1::TxnTrace out;
  v1::TxnSummary& summary = *out.mutable_summary();
  summary.set_txn_id("0193a6b25e1c7c3fa1d0c9be6f2277a4");
  summary.set_state("COMMITTED");
  summary.set_protocol("two-phase");
  summary.add_participants("s1");
  out.set_total_micros(8'000);
  out.set_answered_micros(8'000);
  out.set_commit_point_micros(6'000);
  for (const Bars& bar :
       {Bars{"assent.transaction", "c0", "1", "", 0, 10'000}, Bars{"assent.prepare", "c0", "2", "1", 0, 4'000},
        Bars{"assent.v1.Participant/Prepare", "s1", "3", "2", 0, 4'000}, Bars{"assent.lock", "s1", "4", "3", 0, 2'000},
        Bars{"raft.propose", "s1", "5", "3", 2'000, 2'000}}) {
    v1::TxnSpan& span = *out.add_spans();
    span.set_name(bar.name);
    span.set_group(bar.group);
    span.set_span_id(bar.id);
    span.set_parent_id(bar.parent);
    span.set_start_micros(bar.start);
    span.set_duration_micros(bar.duration);
  }
  v1::TxnSpan& raft = *out.mutable_spans(4);
  raft.set_index(7);
  raft.set_queued_micros(300);
  raft.set_synced_micros(1'000);
  raft.set_replicated_micros(700);
  return out;
}

TEST(Waterfall, DrawsPhasesCallsAndWhatIsBelowThem) {
  const std::vector<std::string> lines = waterfall(trace(), 10);
  EXPECT_EQ(lines,
            (std::vector<std::string>{
                "0193a6b25e1c7c3fa1d0c9be6f2277a4  COMMITTED  8.0ms  two-phase  s1",
                "client reply ┊ at 8.0ms    commit point ┃ at 6.0ms",
                "                                           ┃ ┊  10.0ms",
                "✓ prepare                     4.0ms  █████ ┃ ┊",
                "  ✓ s1 Prepare                4.0ms  ▒▒▒██ ┃ ┊  lock wait 2.0ms  raft s1#7  queue 300µs · fsync "
                "1.0ms · replicate 700µs",
            }));
}

TEST(Waterfall, WhatIsOpenOrRepeatedOrOutsideSaysSo) {
  v1::TxnTrace open = trace();
  open.mutable_spans(2)->set_open(true);
  open.mutable_spans(2)->set_repeats(2);
  open.mutable_spans(2)->set_outside_parent(true);
  const std::string line = waterfall(open, 10)[4];
  EXPECT_THAT(line, HasSubstr("… s1 Prepare ×3"));
  EXPECT_THAT(line, HasSubstr("clocks differ"));
}

TEST(Waterfall, StrangersWordsCannotCommandTheTerminal) {
  v1::TxnTrace hostile = trace();
  hostile.set_why("it \x1b[2Jaborted\nand more");
  hostile.mutable_spans(2)->set_group("s\x1b[31m");
  for (const std::string& line : waterfall(hostile, 10)) {
    EXPECT_THAT(line, Not(HasSubstr("\x1b")));
    EXPECT_THAT(line, Not(HasSubstr("\n")));
  }
}

TEST(Waterfall, AnEmptyTraceIsNoCrash) { EXPECT_FALSE(waterfall(v1::TxnTrace(), 0).empty()); }

TEST(Durations, HaveAUnitThatFits) {
  EXPECT_EQ(duration_of(0), "0µs");
  EXPECT_EQ(duration_of(999), "999µs");
  EXPECT_EQ(duration_of(1'250), "1.2ms");
  EXPECT_EQ(duration_of(2'300'000), "2.3s");
}

}  // namespace
}  // namespace assent::cli
