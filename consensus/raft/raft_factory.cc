#include "consensus/raft/raft_factory.h"

#include <utility>

#include "consensus/raft/hard_state.h"
#include "consensus/raft/raft.h"

namespace assent {
namespace {

Result<void> check_entries(const DurableLog& durable) {
  Position last = durable.snapshot.last;
  ClusterMillis stamp = durable.snapshot.stamp;
  for (const EntryPtr& entry : durable.entries) {
    if (!entry || entry->index != last.index.next()) {
      return fail(ErrorCode::corruption, fmt::format("the stored log has a gap after index {}", last.index));
    }
    if (entry->epoch < last.epoch || entry->stamp < stamp) {
      return fail(ErrorCode::corruption,
                  fmt::format("the stored log goes back in epoch or time at index {}", entry->index));
    }
    if (entry->kind == EntryKind::membership && !decode_membership(entry->payload)) {
      return fail(ErrorCode::corruption, fmt::format("the stored membership at index {} cannot be read", entry->index));
    }
    last = {entry->epoch, entry->index};
    stamp = entry->stamp;
  }
  return {};
}

}  // namespace

Result<void> check_durable_log(const DurableLog& durable) {
  if (auto checked = check_entries(durable); !checked) return checked;
  const Position last = durable.entries.empty()
                            ? durable.snapshot.last
                            : Position{durable.entries.back()->epoch, durable.entries.back()->index};
  const std::optional<raft::HardState> hard = raft::decode_hard_state(durable.hard_state);
  if (!hard) return fail(ErrorCode::corruption, "the stored term and vote cannot be read");
  if (last.epoch > hard->term) {
    return fail(ErrorCode::corruption,
                fmt::format("the stored term {} is older than the last entry, of term {}", hard->term, last.epoch));
  }
  return {};
}

LogFactory make_raft_factory(RaftOptions options) {
  return [options](const LogSetup& setup) -> Result<std::unique_ptr<ReplicatedLog>> {
    if (auto checked = check_durable_log(setup.durable); !checked) return fail(checked.error());
    return std::make_unique<raft::Raft>(setup, options);
  };
}

}  // namespace assent
