#include "fuzz/application.h"

#include <utility>

#include "fuzz/fuzz.h"
#include "fuzz/samples.h"
#include "txn_proto/wire_codec.h"

namespace assent::fuzz {
namespace {

constexpr NodeId self{1};

Work few_works(Input& input) {
  Work work;
  for (std::uint64_t i = 1 + input.below(2); i > 0; --i) {
    const std::string key(1, static_cast<char>('a' + input.below(3)));
    switch (input.below(5)) {
      case 0: work.emplace_back(KvPut{key, "v"}); break;
      case 1: work.emplace_back(KvAdd{key, static_cast<std::int64_t>(input.byte()) - 100, {}, {}}); break;
      case 2: work.emplace_back(KvExpect{key, std::nullopt}); break;
      case 3: work.emplace_back(KvErase{key}); break;
      default: work.emplace_back(KvGet{key});
    }
  }
  return work;
}

}  // namespace

TxnId few_txns(Input& input) {
  const std::uint8_t choice = input.byte();
  if (choice == 0xFF) return TxnId{};
  return TxnId::make(ClusterMillis(sample_millis + (choice >> 3U) * 10'000ULL), choice & 7U, 1);
}

std::vector<GroupId> few_groups(Input& input) {
  std::vector<GroupId> groups;
  const std::uint8_t set = input.byte();
  for (std::uint64_t i = 0; i < 3; ++i) {
    if ((set >> i & 1U) != 0) groups.emplace_back(i + 1);
  }
  if ((set & 0x80U) != 0) std::reverse(groups.begin(), groups.end());
  return groups;
}

Bytes few_messages(Input& input) {
  const TxnId txn = few_txns(input);
  const Attempt attempt{Epoch(input.below(4)), input.below(4)};
  switch (input.below(6)) {
    case 0:
      return encode(TxnMessage(
          Prepare{txn, attempt, GroupId(9), few_groups(input), input.below(2), few_txns(input), few_works(input)}));
    case 1: return encode(TxnMessage(Vote{txn, attempt, true, {}, sample_result()}));
    case 2: return encode(TxnMessage(Vote{txn, attempt, false, sample_refusal(), {}}));
    case 3: return encode(TxnMessage(Finish{txn, attempt, input.flag()}));
    case 4: return encode(TxnMessage(Finished{txn, attempt, input.flag()}));
    default: return encode(TxnMessage(Inquire{txn, attempt}));
  }
}

DrivenApplication::DrivenApplication(Make make, Command command)
    : make_(std::move(make)),
      command_(std::move(command)),
      leader_(make_()),
      follower_(make_()),
      stamp_(ClusterMillis(sample_millis)) {}

void DrivenApplication::run(Input& input) {
  while (!stopped_ && !input.empty() && step(input)) drain();
  if (stopped_) return;
  require(leader_->digest() == follower_->digest(), "replicas that applied the same are the same");
  restore_from_snapshot();
}

bool DrivenApplication::step(Input& input) {
  switch (input.below(12)) {
    case 0: return apply(Bytes(input.piece()));
    case 1: return apply(command_(input));
    case 2: lead(); return true;
    case 3: resign(); return true;
    case 4:
    case 5: settle_one_proposal(input.below(8) == 7); return true;
    case 6:
      if (leads_) {
        const GroupId from(input.below(4));
        leader_->receive(from, input.piece());
      }
      return true;
    case 7:
      if (leads_) {
        const GroupId from(input.below(4));
        leader_->receive(from, few_messages(input));
      }
      return true;
    case 8: request(input); return true;
    case 9:
      for (std::uint64_t ticks = input.byte(); leads_ && ticks > 0; --ticks) {
        leader_->tick();
        drain();
      }
      return true;
    case 10:
      if (!leads_ || reads_.empty()) return true;
      input.flag() ? leader_->read_lost(reads_.front()) : leader_->read_ready(reads_.front());
      reads_.pop_front();
      return true;
    default: stamp_ = ClusterMillis(stamp_.value + input.number() * 1'000); return true;
  }
}

// An entry of another leader: this one must have resigned before it sees it.
bool DrivenApplication::apply(Bytes payload) {
  resign();
  epoch_ = epoch_.next();
  proposals_.clear();
  proposals_.push_back(std::move(payload));
  settle_one_proposal(false);
  return true;
}

void DrivenApplication::lead() {
  if (leads_) return;
  leads_ = true;
  leader_->leadership(Leadership{epoch_, self, true, true});
}

void DrivenApplication::resign() {
  if (!leads_) return;
  leads_ = false;
  leader_->leadership(Leadership{epoch_, NodeId(2), false, false});
  static_cast<void>(leader_->take_outbox());
  proposals_.clear();
  reads_.clear();
  epoch_ = epoch_.next();
}

void DrivenApplication::drain() {
  Outbox outbox = leader_->take_outbox();
  if (!leads_) return;
  for (Bytes& proposal : outbox.proposals) proposals_.push_back(std::move(proposal));
  reads_.insert(reads_.end(), outbox.reads.begin(), outbox.reads.end());
}

void DrivenApplication::settle_one_proposal(bool refused) {
  if (proposals_.empty()) return;
  Entry entry{epoch_, index_.next(), stamp_, EntryKind::command, std::move(proposals_.front())};
  proposals_.pop_front();
  if (refused && leads_) {
    // The log refuses what is proposed, at once: nothing that was proposed later is in it.
    leader_->refused(entry.payload, Error{ErrorCode::busy, "the window is full", {}});
    return;
  }
  index_ = entry.index;
  const auto one = leader_->apply(entry);
  const auto two = follower_->apply(entry);
  require(one.has_value() == two.has_value(), "replicas judge an entry alike");
  stopped_ = !one;
  if (stopped_) return;
  require(leader_->batch_applied() && follower_->batch_applied(), "memory holds a batch");
  require(leader_->applied() == index_, "an applied entry counts");
}

void DrivenApplication::request(Input& input) {
  if (!leads_) return;
  ClientRequest request{RequestId(++requests_), GroupId(1), Query{few_works(input)}};
  const TxnId txn = few_txns(input);
  switch (input.below(3)) {
    case 0: {
      Execute execute{txn, few_txns(input), Protocol(input.below(3)), {}, input.below(10)};
      for (const GroupId group : few_groups(input)) execute.branches.push_back({group, few_works(input)});
      request.body = std::move(execute);
      break;
    }
    case 1: request.body = GetOutcome{txn, input.flag(), input.below(10)}; break;
    default: break;
  }
  leader_->request(request);
}

void DrivenApplication::restore_from_snapshot() {
  const auto snapshot = leader_->snapshot();
  require(snapshot.has_value(), "a snapshot can be taken");
  const auto third = make_();
  const SnapshotMark mark{{epoch_, index_}, stamp_, {self}};
  require(third->restore(mark, *snapshot).has_value(), "an own snapshot can be restored");
  require(third->applied() == index_, "a restored replica stands where the snapshot stood");
  require(third->digest() == leader_->digest(), "a restored replica is the same");
}

}  // namespace assent::fuzz
