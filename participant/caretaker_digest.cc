// What of a caretaker matters for what it will do. The explorer takes two with equal digests for one; it also tests
// that claim (sim/explore/groups.h).
#include <algorithm>

#include "participant/caretaker.h"
#include "txn_proto/digest_values.h"

namespace assent {
namespace {

// Beyond the first few only odd or even matters: a vote and a question in turn.
std::uint64_t sends_that_matter(std::uint64_t sends, std::uint64_t first) {
  return sends < first ? sends : first + (sends - first) % 2;
}

}  // namespace

std::uint64_t Caretaker::digest() const {
  Digest digest;
  digest.add(leading_ ? 1 : 0).add(epoch_).add(read_counter_).add(query_counter_).add(jobs_.size());
  for (const auto& [txn, job] : jobs_) {
    digest.add(txn).add(static_cast<std::uint64_t>(job.phase)).add(job.age).add(job.fingerprint).add(job.holder);
    digest.add(job.prepare ? 1 : 0);
    if (job.prepare) add_to(digest, job.prepare->attempt);
    if (job.prepare) digest.add(job.prepare->coordinator).add(job.prepare->trace);
    add_ids(digest, job.settling_for);
    digest.add(job.settled ? 1 : 0);
    if (job.phase != Phase::proposed) digest.add(ticks_left(job.deadline, now_));
    add_ids(digest, job.clients);
  }
  add_to(digest, jobs_due_, now_);
  reservations_.add_to(digest);
  reserved_adds_.add_to(digest);
  wanted_.add_to(digest);
  digest.add(queries_.size());
  for (const auto& [key, read] : queries_) {
    digest.add(key).add(read.client).add(ticks_left(read.deadline, now_));
    digest.add(fingerprint(read.query.work)).add(read.query.rehearse ? 1 : 0).add(read.settled ? 1 : 0);
    digest.add(read.query.unchanged_since.value_or(Index()));
    add_ids(digest, read.waiting_for);
  }
  add_to(digest, queries_due_, now_);
  holds_.add_to(digest);  // changes_ only matters to validations, which no model asks for
  digest.add(gathering_).add(barriers_.size());
  for (const auto& [id, keys] : barriers_) {
    digest.add(id);
    add_ids(digest, keys);
  }
  digest.add(watchers_.size());
  for (const auto& [txn, watchers] : watchers_) {
    digest.add(txn);
    add_ids(digest, watchers);
  }
  digest.add(doubts_.size());
  for (const auto& [txn, doubt] : doubts_) {
    const PreparedTxn* prepared = shard_->prepared(txn);
    const bool ballots = prepared != nullptr && ballots_decide(prepared->protocol);
    const std::uint64_t first = options_.inquire_after_sends * (ballots ? 2 : 1);
    digest.add(txn).add(doubt.backoff.pause).add(sends_that_matter(doubt.sends, first));
    add_to(digest, doubt.cost);
    if (prepared == nullptr || !by_content(prepared->protocol)) continue;
    digest.add(ticks_left(doubt.resolve_at, now_)).add(doubt.resolution ? 1 : 0);
    if (doubt.resolution) doubt.resolution->add_to(digest);
    digest.add(doubt.way ? 1 : 0);
    if (doubt.way) doubt.way->add_to(digest);
  }
  add_to(digest, doubts_due_, now_);
  digest.add(finishes_in_log_.size());
  for (const auto& [txn, finish] : finishes_in_log_) {
    digest.add(txn).add(finish.first).add(finish.second.commit ? 1 : 0);
    add_to(digest, finish.second.attempt);
  }
  digest.add(askers_.size());
  for (const auto& [id, asker] : askers_) digest.add(id).add(asker.txn).add(asker.seal ? 1 : 0);
  add_to(digest, askers_due_, now_);
  add_ids(digest, seals_in_log_);
  digest.add(forcers_.size());
  for (const auto* asked : {&to_report_, &confirming_}) {
    digest.add(asked->size());
    for (const auto& [txn, groups] : *asked) {
      digest.add(txn);
      add_ids(digest, groups);
    }
  }
  ballots_.add_to(digest);
  add_ids(digest, confirmed_);
  if (!shard_->old_commits({}, 1).empty()) digest.add(confirm_from_).add(ticks_left(confirm_round_ends_, now_));
  digest.add(held_.size());
  for (const ClientRequest& request : held_) add_to(digest, request);
  digest.add(tidy_in_log_ ? 1 : 0).add(std::min(now_ - last_entry_tick_, tidy_due()));
  bills_.add_to(digest);
  return digest.value();
}

}  // namespace assent
