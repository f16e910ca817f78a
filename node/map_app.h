// The application of the group that keeps the cluster map: the map itself, changed by the commands of its log
// (cluster/map_change.h) and by nothing else.
//
// Everything is in memory: what a restart needs comes from the newest snapshot and the log behind it. It has no driver
// and sends nothing; whoever hosts the node looks at map() and acts on what is new. A command that was refused changes
// nothing, on every replica alike. Called from the loop's thread only.
#pragma once

#include <vector>

#include "cluster/cluster_map.h"
#include "node/application.h"
#include "txn_proto/machine.h"

namespace assent {

class MapApp final : public Application {
 public:
  // Epoch 0 while the map was never changed: the configuration tells it then.
  [[nodiscard]] const ClusterMap& map() const { return map_; }

  [[nodiscard]] Result<void> apply(const Entry& entry) override;
  void skip(Index index) override { applied_ = index; }
  [[nodiscard]] Index applied() const override { return applied_; }
  [[nodiscard]] Result<void> batch_applied() override { return {}; }
  void leadership(const Leadership& leadership) override;
  void receive(GroupId from, ByteView payload) override;
  void request(const ClientRequest& request) override;
  void refused(const Bytes& proposal, const Error& error) override;
  void read_ready(ReadId id) override;
  void read_lost(ReadId id) override;
  void tick() override {}
  [[nodiscard]] std::uint64_t rest_ticks() const override { return rest_for_ever; }
  [[nodiscard]] bool has_outbox() const override { return !replies_.empty(); }
  [[nodiscard]] Outbox take_outbox() override;
  [[nodiscard]] Result<Bytes> snapshot() override { return encode(map_); }
  [[nodiscard]] Result<void> restorable(const SnapshotMark& mark, ByteView data) const override;
  [[nodiscard]] Result<void> restore(const SnapshotMark& mark, ByteView data) override;
  [[nodiscard]] Result<std::uint64_t> digest() override;
  [[nodiscard]] ApplicationStatus status() const override;

 private:
  ClusterMap map_;
  Index applied_;
  std::vector<ClientReply> replies_;
};

}  // namespace assent
