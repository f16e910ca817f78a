#include "coordinator/memory_archive.h"

#include <algorithm>

namespace assent {

Result<void> MemoryArchive::healthy() const {
  return failing_ ? Result<void>(fail(ErrorCode::io, "the archive was told to fail")) : Result<void>();
}

Result<void> MemoryArchive::write(const ArchiveWrite& write) {
  if (auto well = healthy(); !well) return well;
  ++writes_;
  std::erase_if(chunks_, [&](const auto& item) {
    return item.first >= write.drop_from || item.second.end() <= write.drop_before;
  });
  for (const OutcomeChunk& chunk : write.append) chunks_.insert_or_assign(chunk.first, chunk);
  if (write.mark) mark_ = *write.mark;
  return {};
}

Result<TxnId> MemoryArchive::newest() const {
  if (auto well = healthy(); !well) return fail(well.error());
  TxnId newest;
  for (const auto& [first, chunk] : chunks_) {
    for (const SettledOutcome& record : chunk.records) newest = std::max(newest, record.txn);
  }
  return newest;
}

Result<std::optional<OutcomeArchive::Found>> MemoryArchive::find(const TxnId& txn) const {
  if (auto well = healthy(); !well) return fail(well.error());
  ++lookups_;
  for (const auto& [first, chunk] : chunks_) {
    for (std::size_t i = 0; i < chunk.records.size(); ++i) {
      if (chunk.records[i].txn == txn) return Found{first + i, chunk.records[i]};
    }
  }
  return std::optional<Found>();
}

Result<OutcomeChunk> MemoryArchive::chunk_with(std::uint64_t sequence) const {
  if (auto well = healthy(); !well) return fail(well.error());
  const auto after = chunks_.upper_bound(sequence);
  if (after == chunks_.begin() || std::prev(after)->second.end() <= sequence) {
    return fail(ErrorCode::corruption, "the archive lacks a record of the history");
  }
  return std::prev(after)->second;
}

}  // namespace assent
