#include "coordinator/decisions_copy.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/planted.h"
#include "coordinator/decisions.h"

namespace assent {

Result<SnapshotDataPtr> DecisionsCopy::step(const Decisions& machine, std::size_t bytes) {
  leave_out_before(machine.settled_first());
  const std::uint64_t from = blocks_.empty() ? machine.settled_first() : blocks_.back().end;
  const std::uint64_t most = std::max<std::uint64_t>(1, bytes / settled_outcome_bytes);
  const std::uint64_t to = std::min(machine.settled_end(), from + most);
  if (from < to) {
    auto copied = machine.snapshot_settled(from, to);
    if (!copied) return fail(std::move(copied.error()));
    blocks_.push_back({from, to, std::move(*copied)});
  }
  return to == machine.settled_end() ? finish(machine) : SnapshotDataPtr();
}

void DecisionsCopy::leave_out_before(std::uint64_t first) {
  while (!blocks_.empty() && blocks_.front().end <= first) blocks_.pop_front();
}

SnapshotDataPtr DecisionsCopy::finish(const Decisions& machine) {
  std::deque<Block> blocks = std::exchange(blocks_, {});
  if (planted(Bug::snapshot_without_outcomes)) blocks.clear();
  const std::uint64_t first = blocks.empty() ? machine.settled_end() : machine.settled_first();
  std::vector<SnapshotPieces::Piece> pieces;
  pieces.push_back({machine.snapshot_head(first)});
  for (Block& block : blocks) {
    const std::uint64_t left_out = std::max(first, block.first) - block.first;
    pieces.push_back({std::move(block.bytes), left_out * settled_outcome_bytes});
  }
  pieces.push_back({machine.snapshot_tail()});
  return std::make_shared<SnapshotPieces>(std::move(pieces));
}

}  // namespace assent
