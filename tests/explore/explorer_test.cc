// The explorer on the models of the test run, and on worlds made wrong from outside. That it notices what is wrong in
// the code itself, planted_test.cc shows.
#include "sim/explore/explorer.h"

#include <gtest/gtest.h>

#include "sim/explore/convergence.h"
#include "sim/explore/scene.h"

namespace assent::explore {
namespace {

std::vector<std::string> quick_models() {
  std::vector<std::string> names;
  for (const Model& model : models()) {
    if (model.quick) names.push_back(model.name);
  }
  return names;
}

std::string case_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::string story(const Findings& found) {
  std::string all;
  for (const std::string& line : found.counterexample) all += line + "\n";
  return all;
}

class QuickModel : public ::testing::TestWithParam<std::string> {};

TEST_P(QuickModel, P01_P02_P03_P04_IsCompleteAndViolatesNothing) {
  const Findings found = explore(*find_model(GetParam()));
  EXPECT_EQ(found.violated, "") << story(found);
  EXPECT_TRUE(found.complete);
  EXPECT_GT(found.states, 10'000U) << "a model that can do little tests little";
  EXPECT_TRUE(found.can_commit) << "A4";
  EXPECT_EQ(found.can_abort, find_model(GetParam())->aborts);
}

INSTANTIATE_TEST_SUITE_P(All, QuickModel, ::testing::ValuesIn(quick_models()), case_name);

// Small enough to compare all that can be compared.
Model small() {
  Model model = *find_model("two-phase");
  model.asks[0].times = 1;
  model.bounds.elections = 1;
  model.bounds.shard_elections = 0;
  return model;
}

// The explorer takes replicas with equal digests for one. A driver's member that its digest leaves out ends here.
TEST(Explorer, ReplicasWithEqualDigestsActAlike) {
  ExploreOptions options;
  options.doubt_digests = true;
  for (const char* name :
       {"two-by-two", "one-phase", "two-phase-ageing", "escrow", "three-phase", "three-phase-timed-out"}) {
    Model model = *find_model(name);
    model.bounds.elections = std::min(model.bounds.elections, 1U);
    options.states_max = 60'000;
    EXPECT_EQ(explore(model, options).violated, "");
  }
  EXPECT_TRUE(explore(small(), options).complete);
}

// What is skipped because something else covers it hides neither a state of the groups nor an end.
TEST(Explorer, EagerSendingMissesNothing) {
  ExploreOptions patient;
  patient.eager = false;
  const Findings slow = explore(small(), patient);
  const Findings quick = explore(small());
  EXPECT_TRUE(slow.complete);
  EXPECT_TRUE(quick.complete);
  EXPECT_GT(slow.states, quick.states);
  EXPECT_EQ(slow.sides, quick.sides) << "the same states of every replica are reached";
  EXPECT_EQ(slow.messages, quick.messages);
}

TEST(Explorer, A4_WithoutFaultsEveryModelCommitsWhatThereIsRoomFor) {
  for (const Model& model : models()) {
    Scene scene(model);
    GroupNumbers groups = scene.initial();
    Outcomes expected = 0;
    for (std::size_t i = 0; i < model.txns.size(); ++i) {
      const std::size_t ask = model.shards == 1 ? 2 * i : i;
      const auto place = static_cast<std::uint8_t>(scene.place_of(model.asks[ask].group));
      const Event event{.kind = Event::Kind::ask, .group = place, .what = static_cast<std::uint16_t>(ask * 8)};
      Convergence convergence(scene);
      EXPECT_EQ(convergence.play(groups, 0, {event}), "") << model.name;
      groups = convergence.rest();
      expected |= outcome_bit(i, i == 0 || model.room);
    }
    EXPECT_EQ(scene.outcomes(groups), expected) << model.name;
  }
}

TEST(Explorer, NarratesWhatHappens) {
  Scene scene(*find_model("two-phase"));
  std::vector<std::string> lines;
  scene.narrate(scene.initial(), Event{.kind = Event::Kind::ask}, lines);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], "a client asks c: execute t1");
  EXPECT_EQ(lines[1], "      c -> s1: Prepare t1 (1,1)");
}

TEST(Explorer, GivesUpBeyondTheStatesAllowed) {
  ExploreOptions options;
  options.states_max = 100;
  const Findings found = explore(*find_model("two-phase"), options);
  EXPECT_FALSE(found.complete);
  EXPECT_EQ(found.violated, "");
}

TEST(Event, PacksAndUnpacks) {
  const Event event{.kind = Event::Kind::elect, .group = 3, .who = 2, .what = 511, .carry = true, .aged = true};
  const Event again = Event::unpack(event.pack());
  EXPECT_EQ(again.pack(), event.pack());
  EXPECT_EQ(again.what, 511U);
  EXPECT_EQ(again.group, 3U);
  EXPECT_TRUE(again.carry && again.aged);
}

}  // namespace
}  // namespace assent::explore
