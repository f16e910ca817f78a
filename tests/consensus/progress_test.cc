#include "consensus/raft/progress.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "base/rng.h"

namespace assent::raft {
namespace {

constexpr Window window{.messages_max = 3, .bytes_max = 100};

TEST(Progress, probes_with_one_request_at_a_time) {
  Progress progress(Index(5));
  EXPECT_TRUE(progress.may_send(window));
  progress.sent(Index(9), 50);
  EXPECT_FALSE(progress.may_send(window));
  EXPECT_EQ(progress.next(), Index(5)) << "a probe is repeated from the same place";
  progress.alive(Index(9));
  EXPECT_TRUE(progress.may_send(window));
}

TEST(Progress, streams_within_the_window_once_the_place_is_known) {
  Progress progress(Index(5));
  progress.accepted(Index(4), true);
  EXPECT_EQ(progress.state(), Progress::State::replicate);
  for (std::uint64_t i = 5; i < 8; ++i) {
    ASSERT_TRUE(progress.may_send(window));
    progress.sent(Index(i), 10);
  }
  EXPECT_FALSE(progress.may_send(window)) << "three messages are under way";
  progress.accepted(Index(6), true);
  EXPECT_EQ(progress.inflight(), 1U);
  progress.sent(Index(8), 95);
  EXPECT_FALSE(progress.may_send(window)) << "too many bytes are under way";
}

TEST(Progress, a_rejection_leads_back_to_the_suggested_place_but_never_before_the_match) {
  Progress progress(Index(10));
  progress.accepted(Index(4), true);
  progress.sent(Index(8), 10);
  EXPECT_FALSE(progress.rejected(Index(4), Index(2))) << "stale: it is known to match there";
  EXPECT_TRUE(progress.rejected(Index(8), Index(2)));
  EXPECT_EQ(progress.next(), Index(5));
  EXPECT_EQ(progress.inflight(), 0U);
  EXPECT_FALSE(progress.rejected(Index(7), Index(6))) << "not what was asked";
}

TEST(Progress, a_follower_that_lost_entries_is_probed_from_what_it_has_left) {
  Progress progress(Index(10));
  progress.accepted(Index(9), true);
  progress.sent(Index(12), 10);
  progress.commit_told = Index(9);
  progress.sleep_answered = 3;
  EXPECT_FALSE(progress.lost(Index(10))) << "all that it is known to match is there";
  EXPECT_EQ(progress.state(), Progress::State::replicate);
  EXPECT_TRUE(progress.lost(Index(5)));
  EXPECT_EQ(progress.state(), Progress::State::probe);
  EXPECT_EQ(progress.match(), Index(4));
  EXPECT_EQ(progress.next(), Index(5));
  EXPECT_EQ(progress.inflight(), 0U);
  EXPECT_TRUE(progress.may_send(window));
  EXPECT_EQ(progress.commit_told, Index(4)) << "it is told anew what is committed";
  EXPECT_EQ(progress.sleep_answered, 0U) << "and asked anew to sleep";
  EXPECT_FALSE(progress.lost(Index(5))) << "the same word once more";
  progress.accepted(Index(12), true);
  EXPECT_TRUE(progress.lost(Index(5))) << "and once more, late: it is sent what it has";
  progress.accepted(Index(12), true);
  EXPECT_EQ(progress.match(), Index(12));
}

TEST(Progress, a_snapshot_on_its_way_goes_on_when_entries_are_lost) {
  Progress progress(Index(10));
  progress.accepted(Index(9), true);
  progress.begin_snapshot();
  EXPECT_TRUE(progress.lost(Index(3)));
  EXPECT_EQ(progress.state(), Progress::State::snapshot);
  EXPECT_EQ(progress.match(), Index(2));
  progress.snapshot_ended(1);
  progress.tick();
  EXPECT_EQ(progress.state(), Progress::State::probe);
  EXPECT_EQ(progress.next(), Index(3));
}

TEST(Progress, C18_a_late_acknowledgement_never_takes_the_match_back) {
  Progress progress(Index(1));
  progress.accepted(Index(7), true);
  progress.accepted(Index(3), true);
  EXPECT_EQ(progress.match(), Index(7));
  EXPECT_EQ(progress.next(), Index(8));
}

TEST(Progress, C20_a_snapshot_ends_with_an_answer_or_after_patience) {
  Progress progress(Index(1));
  progress.begin_snapshot();
  EXPECT_FALSE(progress.may_send(window));
  progress.accepted(Index(0), false);
  EXPECT_EQ(progress.state(), Progress::State::snapshot) << "an answer from before it";
  for (int i = 0; i < 100; ++i) progress.tick();
  EXPECT_EQ(progress.state(), Progress::State::snapshot) << "the transfer lasts";
  progress.snapshot_ended(2);
  progress.tick();
  progress.tick();
  EXPECT_EQ(progress.state(), Progress::State::probe);
  progress.begin_snapshot();
  progress.accepted(Index(9), true);
  EXPECT_EQ(progress.state(), Progress::State::replicate);
  EXPECT_EQ(progress.next(), Index(10));
}

TEST(Progress, asks_once_after_a_sign_of_life_whether_the_stream_was_lost) {
  Progress progress(Index(1));
  progress.accepted(Index(0), true);
  progress.sent(Index(3), 10);
  EXPECT_FALSE(progress.take_question());
  progress.alive(Index(3));
  EXPECT_TRUE(progress.take_question());
  EXPECT_FALSE(progress.take_question());
  progress.accepted(Index(3), true);
  progress.alive(Index(3));
  EXPECT_FALSE(progress.take_question()) << "it has everything";
}

// A leader's view against a follower that is simulated in the dumbest way: a set of what it has.
TEST(Progress, never_claims_more_than_the_follower_has_and_gets_it_everything) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Rng rng(seed);
    const Index last(rng.between(1, 40));
    std::uint64_t has = rng.below(last.value + 1);         // the follower's log is the leader's up to here
    Progress progress(Index(rng.between(1, last.value)));  // a leader starts before its own first entry
    struct Request {
      std::uint64_t prev;
      std::uint64_t end;
    };
    std::vector<Request> requests;
    std::size_t unanswered_max = 0;
    for (int step = 0; step < 3'000 && progress.match() < last; ++step) {
      while (progress.may_send(window) && progress.next() <= last) {
        const std::uint64_t prev = progress.next().value - 1;
        const std::uint64_t end = std::min(last.value, prev + rng.between(1, 3));
        progress.sent(Index(end), 10 * (end - prev));
        requests.push_back({prev, end});
      }
      unanswered_max = std::max(unanswered_max, progress.inflight());
      if (progress.take_question()) requests.push_back({progress.next().value - 1, progress.next().value - 1});
      if (requests.empty() || rng.chance(0.1)) {
        progress.alive(last);
        continue;
      }
      const auto at = requests.begin() + static_cast<std::ptrdiff_t>(rng.below(requests.size()));
      const Request request = *at;
      requests.erase(at);
      if (rng.chance(0.2)) continue;  // lost
      if (request.prev > has) {
        (void)progress.rejected(Index(request.prev), Index(has + 1));
      } else {
        has = std::max(has, request.end);
        progress.accepted(Index(request.end), true);
      }
      ASSERT_LE(progress.match().value, has);
      ASSERT_LT(progress.match(), progress.next());
      ASSERT_LE(progress.inflight(), window.messages_max);
    }
    EXPECT_EQ(progress.match(), last) << "seed " << seed;
  }
}

}  // namespace
}  // namespace assent::raft
