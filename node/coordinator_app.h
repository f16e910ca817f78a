// The application of a coordinator group: Decisions with its Conductor. With an archive, Decisions is loaded from there
// and the log gives what came later; without one, or when the archive was lost, it comes from the newest snapshot and
// the log behind it.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "coordinator/conductor.h"
#include "coordinator/decisions.h"
#include "coordinator/decisions_copy.h"
#include "node/app.h"
#include "node/application.h"

namespace assent {

struct CoordinatorAppOptions {
  DecisionsOptions decisions;  // equal on all replicas
  ArchivePace pace;
  ConductorOptions conductor;  // self is filled in
};

class CoordinatorBinding {
 public:
  using Command = Decisions::Command;
  using Applied = Decisions::Applied;

  // archive may be null: all is in memory then.
  CoordinatorBinding(const CoordinatorAppOptions& options, std::unique_ptr<OutcomeArchive> archive)
      : archive_(std::move(archive)), decisions_(options.decisions, archive_.get(), options.pace) {}

  // Makes the machine what the archive says.
  [[nodiscard]] Result<void> load();

  [[nodiscard]] static Result<Command> decode(ByteView bytes) { return decode_coordinator_command(bytes); }
  [[nodiscard]] Result<Applied> apply(const EntryContext& context, const Command& command);
  void skip(Index index) { applied_ = index; }
  [[nodiscard]] Index applied() const { return applied_; }
  [[nodiscard]] Result<void> batch_applied() { return decisions_.checkpoint(applied_); }
  // Brings everything to the archive first: the log before it may go then, and a restart finds it there.
  [[nodiscard]] Result<Bytes> snapshot();
  [[nodiscard]] Result<void> restorable(const SnapshotMark&, ByteView data) const {
    return Decisions::restorable(data);
  }
  [[nodiscard]] Result<std::optional<SnapshotMade>> snapshot_step(std::size_t bytes);
  void drop_snapshot() { copy_.drop(); }
  [[nodiscard]] Result<void> restore(const SnapshotMark& mark, ByteView data);
  [[nodiscard]] Result<std::uint64_t> digest();
  [[nodiscard]] Result<void> healthy() const;
  [[nodiscard]] ApplicationStatus status() const;

  [[nodiscard]] const Decisions& machine() const { return decisions_; }

 private:
  std::unique_ptr<OutcomeArchive> archive_;
  Decisions decisions_;
  DecisionsCopy copy_;  // of a snapshot in the making
  Index applied_;
};

using CoordinatorApp = App<CoordinatorBinding, Conductor>;

// With everything in memory.
[[nodiscard]] std::unique_ptr<Application> make_coordinator_application(GroupId self, CoordinatorAppOptions options);
// corruption when what the archive holds cannot be read.
[[nodiscard]] Result<std::unique_ptr<Application>> make_coordinator_application(
    GroupId self, CoordinatorAppOptions options, std::unique_ptr<OutcomeArchive> archive);

}  // namespace assent
