// What of a conductor matters for what it will do. The explorer takes two with equal digests for one; it also tests
// that claim (sim/explore/groups.h).
#include <algorithm>

#include "coordinator/conductor.h"
#include "txn_proto/digest_values.h"

namespace assent {

std::uint64_t Conductor::digest() const {
  Digest digest;
  digest.add(leading_ ? 1 : 0).add(epoch_).add(attempts_);
  digest.add(running_.size());
  for (const auto& [txn, running] : running_) {
    digest.add(txn).add(static_cast<std::uint64_t>(running.phase)).add(running.fingerprint).add(running.age);
    add_to(digest, running.attempt);
    digest.add(running.branches.size()).add(running.yes.size());  // the fingerprint stands for what is in the branches
    for (const auto& [shard, result] : running.yes) {
      digest.add(shard);
      add_encoded(digest, result);
    }
    digest.add(static_cast<std::uint64_t>(running.mode)).add(running.trace);
    const bool timed = running.phase != Phase::proposed && running.phase != Phase::sealing;
    for (const auto& [service, trouble] : running.trouble) digest.add(service).add(trouble);
    for (const auto& [service, called] : running.called) digest.add(service).add(now_ - called.since).add(called.calls);
    if (timed) digest.add(ticks_left(running.deadline, now_));
    digest.add(static_cast<std::uint64_t>(running.protocol)).add(running.look ? 1 : 0);
    digest.add(running.resolution ? 1 : 0).add(running.survey.size());
    if (running.resolution) running.resolution->add_to(digest);
    digest.add(running.way ? 1 : 0);
    if (running.way) running.way->add_to(digest);
    for (const auto& [shard, standing] : running.survey) digest.add(shard).add(static_cast<std::uint64_t>(standing));
    digest.add(running.backoff.pause).add(running.in_log ? 1 : 0);
    add_encoded(digest, running.refusal);
    for (const Waiting& one : running.executes) digest.add(one.id).add(one.fingerprint);
    for (const Cost& cost : {running.votes, running.seals, running.own}) add_to(digest, cost);
  }
  add_to(digest, running_due_, now_);
  digest.add(finishing_.size());
  for (const auto& [txn, finishing] : finishing_) {
    digest.add(txn).add(finishing.commit ? 1 : 0).add(finishing.backoff.pause);
    add_to(digest, finishing.attempt);
    digest.add(static_cast<std::uint64_t>(finishing.protocol)).add(finishing.fingerprint);
    digest.add(static_cast<std::uint64_t>(finishing.mode)).add(finishing.trace);
    add_ids(digest, finishing.left);
    for (const auto& [service, payload] : finishing.steps) digest.add(service).add(payload);
    for (const auto& [service, trouble] : finishing.trouble) digest.add(service).add(trouble);
    for (const auto& [service, failures] : finishing.failures) {
      digest.add(service).add(failures.count).add(ticks_left(failures.next, now_));
    }
    for (const ServiceAddress& service : finishing.services)
      digest.add(service.name).add(service.target).add(service.participant);
    add_to(digest, finishing.finishes);
    digest.add(finishing.locked_millis);
    const bool for_ever = finishing.commit || is_recorded(finishing.mode);
    if (!for_ever) digest.add(finishing.sends);
  }
  add_to(digest, finishing_due_, now_);
  for (const auto& [txn, id] : enders_) digest.add(txn).add(id);
  digest.add(askers_.size());
  for (const auto& [id, asker] : askers_) digest.add(id).add(asker.txn).add(asker.seal ? 1 : 0);
  add_to(digest, askers_due_, now_);
  add_ids(digest, recent_abort_order_);
  for (const auto& [txn, abort] : recent_aborts_) {
    digest.add(abort.fingerprint);
    add_encoded(digest, abort.refusal);
  }
  digest.add(held_.size());
  for (const ClientRequest& request : held_) add_to(digest, request);
  digest.add(tidy_in_log_ ? 1 : 0).add(std::min(now_ - last_entry_tick_, options_.tidy_ticks));
  digest.add(admit_in_log_ ? 1 : 0).add(known_shards_.size());
  add_ids(digest, known_shards_);
  add_ids(digest, ended_);
  if (!ended_.empty()) digest.add(std::min(now_ - ended_since_, options_.end_ticks));
  digest.add(notes_.size());
  for (const auto& [txn, note] : notes_) {
    digest.add(txn).add(note.fingerprint).add(note.commit ? 1 : 0).add(static_cast<std::uint64_t>(note.reason));
  }
  add_ids(digest, notes_waiting_);
  if (!notes_waiting_.empty()) digest.add(std::min(now_ - notes_since_, options_.note_ticks));
  bills_.add_to(digest);
  ballots_.add_to(digest);
  add_to(digest, ballots_due_, now_);
  digest.add(rounds_opened_);
  return digest.value();
}

}  // namespace assent
