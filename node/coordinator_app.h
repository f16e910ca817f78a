// The application of a coordinator group: Decisions with its Conductor. Decisions lives in memory; after a restart it
// comes from the newest snapshot and the log behind it.
#pragma once

#include <memory>

#include "coordinator/conductor.h"
#include "coordinator/decisions.h"
#include "node/app.h"
#include "node/application.h"

namespace assent {

struct CoordinatorAppOptions {
  DecisionsOptions decisions;  // equal on all replicas
  ConductorOptions conductor;  // self is filled in
};

class CoordinatorBinding {
 public:
  using Command = Decisions::Command;
  using Applied = Decisions::Applied;

  explicit CoordinatorBinding(const DecisionsOptions& options) : decisions_(options) {}

  [[nodiscard]] static Result<Command> decode(ByteView bytes) { return decode_coordinator_command(bytes); }
  [[nodiscard]] Result<Applied> apply(const EntryContext& context, const Command& command);
  void skip(Index index) { applied_ = index; }
  [[nodiscard]] Index applied() const { return applied_; }
  [[nodiscard]] Result<void> batch_applied() { return {}; }
  [[nodiscard]] Result<Bytes> snapshot() { return decisions_.snapshot(); }
  [[nodiscard]] Result<void> restore(const SnapshotMark& mark, ByteView data);
  [[nodiscard]] Result<std::uint64_t> digest() { return decisions_.digest(); }
  [[nodiscard]] ApplicationStatus status() const;

  [[nodiscard]] const Decisions& machine() const { return decisions_; }

 private:
  Decisions decisions_;
  Index applied_;
};

using CoordinatorApp = App<CoordinatorBinding, Conductor>;

[[nodiscard]] std::unique_ptr<Application> make_coordinator_application(GroupId self, CoordinatorAppOptions options);

}  // namespace assent
