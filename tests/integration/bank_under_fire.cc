#include "tests/integration/bank_under_fire.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "cli/bank/books.h"

namespace assent::testing {

using namespace std::chrono_literals;

BankUnderFire::BankUnderFire(Cluster& cluster, std::uint32_t clients) : client_(cluster.connect()) {
  options_.clients = clients;
  options_.cross_shard = 0.8;
  options_.seed = static_cast<std::uint64_t>(::testing::UnitTest::GetInstance()->random_seed()) + 1;
}

BankUnderFire::~BankUnderFire() {
  if (load_) load_->stop();
}

bool BankUnderFire::set_up() {
  auto made = bank::set_up(client_, 200, 1000, [](std::uint64_t, std::uint64_t) {});
  if (!made) {
    ADD_FAILURE() << made.error().text();
    return false;
  }
  made_ = std::move(*made);
  since_ = TxnId::make(client::new_txn_id().created(), 0, 0);  // below every id of this millisecond
  return true;
}

void BankUnderFire::start_load() {
  load_ = std::make_unique<bank::Load>(client_, made_.bank, options_, nullptr);
  load_->start();
}

std::uint64_t BankUnderFire::committed() {
  static_cast<void>(load_->sample());  // moves what happened since the last one into the total
  return load_->total().committed;
}

bool BankUnderFire::wait_for_commits(std::uint64_t more, std::chrono::milliseconds at_most) {
  const std::uint64_t before = committed();
  return eventually(at_most, [&] { return committed() >= before + more; });
}

void BankUnderFire::stop_load() { load_->stop(); }

void BankUnderFire::judge() {
  const bank::Tally tally = load_->total();
  EXPECT_EQ(tally.unknown_resolved, tally.unknown) << "an unknown outcome was not resolved by asking";
  judge_books();
  judge_replicas();
}

void BankUnderFire::judge_books() {
  // Nothing in doubt ten seconds after healing.
  const auto in_doubt = bank::wait_until_settled(client_, made_.bank, 10s);
  ASSERT_TRUE(in_doubt.has_value()) << in_doubt.error().text();
  EXPECT_EQ(*in_doubt, 0U);
  const auto after = bank::read_balances(client_, made_.bank);
  ASSERT_TRUE(after.has_value()) << after.error().text();
  const auto entries = bank::read_entries(client_, made_.bank, since_);
  ASSERT_TRUE(entries.has_value()) << entries.error().text();
  const bank::Ledger ledger = load_->ledger();
  const auto judgement = bank::judge(made_.bank, made_.balances, *after, *entries, &ledger);
  for (const std::string& complaint : judgement.complaints()) ADD_FAILURE() << complaint;
  EXPECT_EQ(judgement.total_before, judgement.total_after);
  EXPECT_TRUE(judgement.sound());
}

// At one applied index, all replicas of a group have one digest. They reach the same index because nothing is written.
void BankUnderFire::judge_replicas() {
  std::string difference;
  const bool equal = eventually(20s, [&] {
    difference = "no status";
    const auto status = client_.status(true);
    if (!status) return false;
    difference.clear();
    for (const auto& group : status->groups) {
      // A replica that was taken out of the group stays where it is, and behind.
      std::set<std::pair<std::uint64_t, std::string>> states;
      std::size_t members = 0;
      for (const auto& replica : group.replicas) {
        if (std::find(group.members.begin(), group.members.end(), replica.node) == group.members.end()) continue;
        ++members;
        states.emplace(replica.status.applied_index, replica.status.digest);
      }
      if (members != group.members.size() || states.size() != 1) {
        difference += group.name + ":";
        for (const auto& [index, digest] : states) difference += " " + std::to_string(index) + "=" + digest;
      }
    }
    return difference.empty();
  });
  EXPECT_TRUE(equal) << "replicas differ: " << difference;
}

}  // namespace assent::testing
