#include "coordinator/outcome_history.h"

#include <algorithm>

#include "base/check.h"

namespace assent {
namespace {

constexpr std::size_t chunks_per_write = 64;  // of a restore

SettledOutcome record_at(ByteView records, std::uint64_t place) {
  ByteReader in(records.substr(place * settled_outcome_bytes, settled_outcome_bytes));
  SettledOutcome record;
  ASSENT_CHECK(read(in, record), "the records were judged before");
  return record;
}

}  // namespace

void OutcomeHistory::add(const SettledOutcome& record) {
  ASSENT_CHECK(queue_.find(record.txn) == nullptr, "a transaction has one outcome");
  queue_.push(record);
}

std::optional<SettledOutcome> OutcomeHistory::find(const TxnId& txn) const {
  if (const SettledOutcome* record = queue_.find(txn)) return *record;
  if (first_ >= front_ || txn > newest_gone_) return std::nullopt;
  const auto found = archive_->find(txn);
  if (!found) {
    failed(found.error());
    return std::nullopt;
  }
  const bool lives = found->has_value() && (*found)->sequence >= first_;
  return lives ? std::optional((*found)->record) : std::nullopt;
}

// Of the archive's it reads a chunk at a time.
const SettledOutcome* OutcomeHistory::oldest() {
  if (first_ >= front_) return &queue_.front();
  if (first_ < oldest_.first || first_ >= oldest_.end()) {
    auto chunk = archive_->chunk_with(first_);
    if (!chunk) {
      failed(chunk.error());
      return nullptr;
    }
    oldest_ = std::move(*chunk);
  }
  return &oldest_.records[first_ - oldest_.first];
}

void OutcomeHistory::drop_oldest() {
  if (first_ >= front_) {
    queue_.pop();
    ++front_;
  }
  ++first_;
  archived_to_ = std::max(archived_to_, first_);
}

void OutcomeHistory::forget(ClusterMillis stamp, const HistoryBounds& bounds, const TimeWindow& window,
                            std::size_t most) {
  ++unwritten_;
  for (; most > 0 && size() > 0; --most) {
    const SettledOutcome* record = oldest();
    if (record == nullptr) return;
    const bool past_keep = record->decided_at.value + bounds.keep_millis < stamp.value;
    if (!past_keep && size() <= bounds.records_max) return;
    if (!window.too_old(record->txn, stamp)) return;  // its id would be accepted again
    forgotten_up_to_ = std::max(forgotten_up_to_.value_or(ClusterMillis()), record->txn.created());
    drop_oldest();
  }
}

bool OutcomeHistory::each(std::uint64_t from, std::uint64_t to,
                          const std::function<void(const SettledOutcome&)>& visit) const {
  std::uint64_t next = std::max(from, first_);
  const std::uint64_t archived = std::min(front_, to);
  while (next < archived) {
    const auto chunk = archive_->chunk_with(next);
    if (!chunk) {
      failed(chunk.error());
      return false;
    }
    for (; next < std::min(chunk->end(), archived); ++next) visit(chunk->records[next - chunk->first]);
  }
  for (; next < to; ++next) visit(queue_[next - front_]);
  return true;
}

// The numbers are left out: replicas that took over an older format at different times count from different places.
void OutcomeHistory::add_to(Digest& digest) const {
  digest.add(size()).add(forgotten_up_to_.has_value() ? forgotten_up_to_->value + 1 : 0);
  each(first_, [&digest](const SettledOutcome& record) {
    digest.add(record.txn).add(record.attempt.epoch).add(record.attempt.number).add(record.fingerprint);
    digest.add(record.decided_at).add(static_cast<std::uint64_t>(record.outcome));
    digest.add(static_cast<std::uint64_t>(record.protocol)).add(static_cast<std::uint64_t>(record.reason));
  });
}

// ---- the archive ----

bool OutcomeHistory::write_due() const {
  return archive_ != nullptr && (end() - archived_to_ >= std::max(pace_.write_records, pace_.chunk_records) ||
                                 first_ - written_first_ >= pace_.write_records || unwritten_ >= pace_.write_entries);
}

Result<void> OutcomeHistory::write(Index applied, bool sync, const std::function<Bytes(std::uint64_t)>& machine) {
  if (failure_) return fail(*failure_);
  ArchiveWrite write;
  write.drop_before = first_;
  write.sync = sync;
  std::uint64_t next = archived_to_;
  for (; end() - next >= pace_.chunk_records; next += pace_.chunk_records) {
    OutcomeChunk& chunk = write.append.emplace_back();
    chunk.first = next;
    chunk.records.reserve(pace_.chunk_records);
    for (std::uint64_t at = next; at < next + pace_.chunk_records; ++at) chunk.records.push_back(queue_[at - front_]);
  }
  write.mark = ArchiveMark{applied, machine(next)};
  if (auto done = archive_->write(write); !done) {
    failed(done.error());
    return done;
  }
  archived_to_ = next;
  written_first_ = first_;
  unwritten_ = 0;
  evict();
  return {};
}

void OutcomeHistory::evict() {
  while (queue_.size() > pace_.recent_records && front_ < archived_to_) {
    newest_gone_ = std::max(newest_gone_, queue_.front().txn);
    queue_.pop();
    ++front_;
  }
}

// With the records from `from` on in memory.
void OutcomeHistory::become(const Content& content, std::uint64_t from) {
  first_ = content.first;
  front_ = from;
  queue_ = {};
  for (std::uint64_t at = from; at < content.end(); ++at) {
    queue_.push(record_at(content.records, at - content.records_from));
  }
  forgotten_up_to_ = content.forgotten_up_to;
  archived_to_ = from;
  oldest_ = {};
  unwritten_ = 0;
  written_first_ = first_;
}

// The archive's last record stands at the same place of the content: then all before it do, for the order of settling
// is that of the log.
Result<bool> OutcomeHistory::has_beginning_of(const Content& content) const {
  const std::uint64_t end = archive_->end();
  const bool overlaps = archive_->first() <= content.first && content.first < end && end <= content.end();
  if (!overlaps) return false;
  const auto chunk = archive_->chunk_with(end - 1);
  if (!chunk) return fail(chunk.error());
  return chunk->records.back() == record_at(content.records, end - 1 - content.records_from);
}

// In several writes, of which only the last brings the new mark. A crash in between leaves the old mark with chunks
// beyond it, which load() drops, or no mark: then the node has the snapshot and restores it again.
Result<void> OutcomeHistory::restore(const Content& content, Index applied,
                                     const std::function<Bytes(std::uint64_t)>& machine) {
  if (archive_ == nullptr) {
    become(content, content.records_from);
    return {};
  }
  const auto goes_on = has_beginning_of(content);
  if (!goes_on) return fail(goes_on.error());
  std::uint64_t next = archive_->end();
  if (!*goes_on) {
    next = content.first;
    if (auto done = archive_->write({.drop_from = 0, .append = {}, .mark = ArchiveMark{}}); !done) return done;
  }
  while (true) {
    ArchiveWrite write;
    for (; write.append.size() < chunks_per_write && content.end() - next >= pace_.chunk_records;
         next += pace_.chunk_records) {
      OutcomeChunk& chunk = write.append.emplace_back();
      chunk.first = next;
      for (std::uint64_t at = next; at < next + pace_.chunk_records; ++at) {
        chunk.records.push_back(record_at(content.records, at - content.records_from));
      }
    }
    const bool last = write.append.size() < chunks_per_write;
    if (last) {
      become(content, next);
      write.drop_before = content.first;
      write.mark = ArchiveMark{applied, machine(next)};
    }
    if (auto done = archive_->write(write); !done) return done;
    if (last) break;
  }
  auto newest = archive_->newest();
  if (!newest) return fail(newest.error());
  newest_gone_ = *newest;
  return {};
}

Result<void> OutcomeHistory::load(const Content& content) {
  if (archive_->end() > content.records_from) {  // of a restore that was broken off
    if (auto done = archive_->write({.drop_from = content.records_from, .append = {}, .mark = {}}); !done) return done;
  }
  const bool needs = content.first < content.records_from;
  if (needs && (archive_->first() > content.first || archive_->end() != content.records_from)) {
    return fail(ErrorCode::corruption, "the archive of outcomes lacks records that it says to have");
  }
  become(content, content.records_from);
  auto newest = archive_->newest();
  if (!newest) return fail(newest.error());
  newest_gone_ = *newest;
  return {};
}

}  // namespace assent
