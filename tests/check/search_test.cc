// The search for an order: what it accepts, refuses and gives up on.
#include "check/search.h"

#include <gtest/gtest.h>

#include <array>

#include "check/judge.h"
#include "script.h"

namespace assent::check {
namespace {

using Found = SearchResult::Found;

Found found(std::string_view script, const SearchOptions& options = {}) {
  return search_order(history_of(script), options).found;
}

TEST(Search, FindsAnOrderOfOverlappingOperations) {
  EXPECT_EQ(found("+0 w x 1 | +1 r x nil | +2 r x 1 | -1 | -2 | -0"), Found::order);
  EXPECT_EQ(found("+0 w x 1 | +1 r x 1 | -1 | +1 r x nil | -1 | -0"), Found::none);
}

TEST(Search, RespectsRealTime) {
  EXPECT_EQ(found("+0 w x 1 | -0 | +0 w x 2 | -0 | +1 r x 1 | -1"), Found::none);
  EXPECT_EQ(found("+0 w x 1 | -0 | +0 w x 2 | +1 r x 1 | -1 | -0"), Found::order);
}

TEST(Search, TakesWholeTransactions) {
  EXPECT_EQ(found("+0 r x nil, w y 1 | +1 r y nil, w x 1 | -0 | -1"), Found::none);
  EXPECT_EQ(found("+0 r x nil, w y 1 | +1 r y 1, w x 1 | -0 | -1"), Found::order);
}

TEST(Search, AnUnknownEndMayHaveHappenedOrNot) {
  EXPECT_EQ(found("+0 w x 1 | ?0 | +1 r x nil | -1 | +1 r x 1 | -1"), Found::order);
  EXPECT_EQ(found("+0 w x 1 | ?0 | +1 r x 1 | -1 | +1 r x nil | -1"), Found::none);
  EXPECT_EQ(found("+0 w x 1 | !0 | +1 r x 1 | -1"), Found::none);
}

TEST(Search, SaysWhereTheBestAttemptEnded) {
  const SearchResult result = search_order(history_of("+0 w x 1 | -0 | +1 r x 1 | -1 | +2 r x 7 | -2"), {});
  EXPECT_EQ(result.found, Found::none);
  EXPECT_EQ(result.stuck, 2U);
}

TEST(Search, TakesAnyFirstValueWhenTheHistoryDoesNotSay) {
  const SearchOptions unknown{1'000, false};
  EXPECT_EQ(found("+0 r x 5 | -0 | +0 r x 5 | -0", unknown), Found::order);
  EXPECT_EQ(found("+0 r x 5 | -0 | +0 r x 6 | -0", unknown), Found::none);
  EXPECT_EQ(found("+0 r x 5 | -0"), Found::none);
}

TEST(Search, TakesAnyValueOfAWriteThatIsNotKnown) {
  EXPECT_EQ(found("+0 w x nil | -0 | +0 r x 7 | -0 | +0 r x 7 | -0"), Found::order);
  EXPECT_EQ(found("+0 w x nil | -0 | +0 r x 7 | -0 | +0 r x 8 | -0"), Found::none);
}

TEST(Search, AddsUpCounters) {
  EXPECT_EQ(found("+0 add x 2 | -0 | +0 add x 3 | -0 | +0 r x 5 | -0"), Found::order);
  EXPECT_EQ(found("+0 add x 2 | -0 | +0 add x 3 | -0 | +0 r x 2 | -0"), Found::none);
}

TEST(Search, GivesUpHonestly) {
  std::string script;
  for (int i = 0; i < 12; ++i) script += "+" + std::to_string(i) + " w x " + std::to_string(i) + " | ";
  for (int i = 0; i < 12; ++i) script += "-" + std::to_string(i) + " | ";
  script += "+20 r x 99 | -20";
  EXPECT_EQ(found(script, {500, true}), Found::gave_up);
  EXPECT_EQ(found(script, {1'000'000, true}), Found::none);
}

TEST(Search, LooksAtTheWantedKeysAlone) {
  const History history = history_of("+0 w x 1, w y 1 | -0 | +0 r x 1, r y 9 | -0");
  EXPECT_EQ(search_order(history, std::array{KeyId{0}}, {}).found, Found::order);
  EXPECT_EQ(search_order(history, std::array{KeyId{1}}, {}).found, Found::none);
}

// ---- how judge() uses it ----

TEST(JudgeAlone, BalancesThatAreWrittenMoreThanOnce) {
  const std::string begin = "+0 r x 10, w x 9 | -0 | +0 r x 9, w x 10 | -0 | +0 r x 10, w x 9 | -0 | ";
  EXPECT_EQ(judge(history_of(begin + "+1 r x 9, w x 8 | -1")).judgement(), Judgement::sound);
  const Verdict verdict = judge(history_of(begin + "+1 r x 10, w x 8 | -1"));
  EXPECT_TRUE(verdict.has("not linearizable")) << to_text(verdict);
}

TEST(JudgeAlone, SaysWhatItCouldNotJudge) {
  std::string script;
  for (int i = 0; i < 12; ++i) script += "+" + std::to_string(i) + " w x " + std::to_string(i % 6) + " | ";
  for (int i = 0; i < 12; ++i) script += "-" + std::to_string(i) + " | ";
  script += "+20 r x 99 | -20";
  const Verdict verdict = judge(history_of(script), {100, 100});
  EXPECT_EQ(verdict.judgement(), Judgement::unknown) << to_text(verdict);
  EXPECT_NE(to_text(verdict).find("gave up"), std::string::npos);
}

TEST(JudgeAlone, AListElementAppendedTwiceCannotBeJudged) {
  EXPECT_EQ(judge(history_of("+0 append x 1 | -0 | +0 append x 1 | -0")).judgement(), Judgement::unknown);
}

}  // namespace
}  // namespace assent::check
