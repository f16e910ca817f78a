// One replica that leads or led its group: the real machine, the real driver, and, for a shard, its rows, as one value
// that can be copied. What the explorer steps and what the tests' world is made of.
//
// Not a group: a side knows no log. Whoever owns it takes the driver's output and applies what its log commits.
#pragma once

#include "coordinator/conductor.h"
#include "coordinator/decisions.h"
#include "participant/caretaker.h"
#include "participant/memory_store.h"
#include "participant/shard.h"

namespace assent::explore {

struct SideOptions {
  DecisionsOptions decisions;
  ConductorOptions conductor;
  ShardOptions shard;
  CaretakerOptions caretaker;
};

class CoordinatorSide {
 public:
  using Command = CoordinatorCommand;
  CoordinatorSide(const SideOptions& options, GroupId self);
  CoordinatorSide(const CoordinatorSide& other);  // an equal machine, and an equal driver that reads it
  CoordinatorSide& operator=(const CoordinatorSide&) = delete;

  void succeed(const CoordinatorSide& earlier);  // takes over the machine's state, as a snapshot carries it
  void apply(const EntryContext& context, const Command& command, bool tell_driver);
  [[nodiscard]] std::uint64_t digest() const;  // over all that may matter; the log's index does not

  Decisions machine;
  Conductor driver;
};

class ShardSide {
 public:
  using Command = ShardCommand;
  ShardSide(const SideOptions& options, GroupId self);
  ShardSide(const ShardSide& other);
  ShardSide& operator=(const ShardSide&) = delete;

  void succeed(const ShardSide& earlier);
  void apply(const EntryContext& context, const Command& command, bool tell_driver);
  [[nodiscard]] std::uint64_t digest() const;

  MemoryStore store;
  Shard machine;
  Caretaker driver;
};

}  // namespace assent::explore
