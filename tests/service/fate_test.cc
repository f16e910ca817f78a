// What a branch in doubt makes of what it is told.
#include "service/fate.h"

#include <gtest/gtest.h>

namespace assent::service {
namespace {

constexpr Attempt promised{3, 7};

ToldOutcome told(TxnState state, Mode mode = Mode::atomic) {
  return {
      .state = state, .protocol = Protocol::two_phase, .mode = mode, .counted = promised, .of_its_coordinator = true};
}

TEST(Fate, IsOfTheAttemptThatWasPromised) {
  EXPECT_EQ(fate_of(told(TxnState::committed), promised), Fate::committed);
  EXPECT_EQ(fate_of(told(TxnState::committed), {3, 8}), Fate::aborted);
  ToldOutcome unsaid = told(TxnState::committed);
  unsaid.counted = {};
  EXPECT_EQ(fate_of(unsaid, promised), Fate::open);
  ToldOutcome other = told(TxnState::committed);
  other.protocol = Protocol::paxos_commit;
  EXPECT_EQ(fate_of(other, promised), Fate::aborted);
}

TEST(Fate, IsOpenAsLongAsNobodyKnows) {
  for (const TxnState state : {TxnState::unknown, TxnState::running, TxnState::prepared}) {
    EXPECT_EQ(fate_of(told(state), promised), Fate::open);
  }
  ToldOutcome expired = told(TxnState::expired);
  EXPECT_EQ(fate_of(expired, promised), Fate::aborted);
  expired.of_its_coordinator = false;
  EXPECT_EQ(fate_of(expired, promised), Fate::open);
}

// A step of an ordered saga that asked was compensated at once, before the steps behind it.
TEST(Fate, ACompensationInAnOrderWaitsForItsTurn) {
  EXPECT_EQ(fate_of(told(TxnState::aborted, Mode::saga), promised), Fate::open);
  for (const Mode mode : {Mode::atomic, Mode::tcc, Mode::concurrent_saga}) {
    EXPECT_EQ(fate_of(told(TxnState::aborted, mode), promised), Fate::aborted);
  }
  EXPECT_EQ(fate_of(told(TxnState::committed, Mode::saga), promised), Fate::committed);
}

}  // namespace
}  // namespace assent::service
