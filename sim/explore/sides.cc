#include "sim/explore/sides.h"

#include "base/check.h"
#include "base/digest.h"

namespace assent::explore {
namespace {

template <class Options>
Options with_self(Options options, GroupId self) {
  options.self = self;
  if constexpr (requires { options.bills; })
    options.bills = false;  // counted messages would make every state a new one
  return options;
}

}  // namespace

CoordinatorSide::CoordinatorSide(const SideOptions& options, GroupId self)
    : machine(options.decisions), driver(machine, with_self(options.conductor, self)) {}

CoordinatorSide::CoordinatorSide(const CoordinatorSide& other)
    : machine(other.machine), driver(other.driver, machine) {}

void CoordinatorSide::succeed(const CoordinatorSide& earlier) {
  ASSENT_CHECK(machine.restore(*earlier.machine.snapshot()), "a snapshot restores");
}

void CoordinatorSide::apply(const EntryContext& context, const Command& command, bool tell_driver) {
  const auto applied = machine.apply(context, command);
  if (tell_driver) driver.applied(context, command, applied);
}

std::uint64_t CoordinatorSide::digest() const { return Digest().add(machine.digest()).add(driver.digest()).value(); }

ShardSide::ShardSide(const SideOptions& options, GroupId self)
    : machine(with_self(options.shard, self)), driver(machine, store, with_self(options.caretaker, self)) {}

ShardSide::ShardSide(const ShardSide& other)
    : store(other.store), machine(other.machine), driver(other.driver, machine, store) {}

void ShardSide::succeed(const ShardSide& earlier) {
  MemoryStore copy = earlier.store;
  ASSENT_CHECK(machine.restore(store, *copy.snapshot()), "a snapshot restores and loads");
}

void ShardSide::apply(const EntryContext& context, const Command& command, bool tell_driver) {
  const auto applied = machine.apply(context, command, store);
  ASSENT_CHECK(applied, "the memory store never fails");
  store.set_applied(context.index);
  if (tell_driver) driver.applied(context, command, *applied);
}

std::uint64_t ShardSide::digest() const {
  MemoryStore copy = store;
  return Digest()
      .add(machine.digest())
      .add(machine.stamp())
      .add(copy.digest().value_or(0))
      .add(driver.digest())
      .value();
}

}  // namespace assent::explore
