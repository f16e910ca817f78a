// An application of a group, driven by an input as a loop drives it: entries of earlier leaders, messages of other
// groups, requests of clients, reads, time, elections, snapshots. A follower applies the same entries and must agree.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "fuzz/input.h"
#include "node/application.h"

namespace assent::fuzz {

class DrivenApplication {
 public:
  using Make = std::function<std::unique_ptr<Application>()>;
  // Small commands of the group's kind, made of an input's choices.
  using Command = std::function<Bytes(Input&)>;

  DrivenApplication(Make make, Command command);
  // Until the input ends or an entry cannot be applied.
  void run(Input& input);

 private:
  bool step(Input& input);
  bool apply(Bytes payload);
  void lead();
  void resign();
  void drain();
  void request(Input& input);
  void restore_from_snapshot();
  void settle_one_proposal(bool refused);

  Make make_;
  Command command_;
  std::unique_ptr<Application> leader_;
  std::unique_ptr<Application> follower_;
  bool leads_ = false;
  bool stopped_ = false;
  Epoch epoch_{1};
  Index index_;
  ClusterMillis stamp_;
  std::uint64_t requests_ = 0;
  std::deque<Bytes> proposals_;
  std::deque<ReadId> reads_;
};

// Few transactions and groups, so that an input meets one of them again.
[[nodiscard]] TxnId few_txns(Input& input);
[[nodiscard]] std::vector<GroupId> few_groups(Input& input);
[[nodiscard]] Bytes few_messages(Input& input);

}  // namespace assent::fuzz
