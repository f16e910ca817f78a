#include "sim/recorder.h"

#include <algorithm>
#include <cstdio>

#include "base/check.h"

namespace assent::sim {

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok: return "ok";
    case Verdict::crash: return "crash";
    case Verdict::wrong: return "wrong";
    case Verdict::stuck: return "stuck";
  }
  return "?";
}

// One that bare cores must reach (sim/core_walk.h), and whole runs need not.
constexpr std::string_view state_of_walks = "snapshot installed over a longer log";

void merge(Counters& into, const Counters& from) {
  for (const auto& [name, count] : from) into[name] += count;
}

const std::vector<std::string_view>& rare_states() {
  static const std::vector<std::string_view> names = {
      "prepared transaction recovered after a restart",
      "shard's database recovered from its file",
      "outcomes recovered from a coordinator's file",
      "prepared transaction outlives a leader of its shard",
      "commit delivered by a later coordinator leader",
      "abort presumed from the absence of a decision",
      "commit that the votes decided",
      "shard in doubt asked to resolve it",
      "commit forgotten when everybody had finished it",
      "abort presumed because every register is empty and too old",
      "abort decided by ballot",
      "commit decided by a ballot that a shard or a later leader opened",
      "asker with a seal heard committed",
      "late prepare met a tombstone or a seal",
      "late prepare met a finished transaction",
      "prepare of a new attempt met an earlier vote",
      "finish repeated at a shard",
      "snapshot taken with prepared transactions",
      "snapshot installed with prepared transactions",
      "snapshot installed from a peer",
      "snapshot went on where its stream had broken",
      "entries applied while a snapshot was made",
      "torn tail cut off in recovery",
      "all nodes crashed with prepared transactions",
      "coordinator leader crashed with decisions not delivered",
      "two nodes believed to lead one group",
      "leader resigned with clients waiting",
      "node stopped by a failed sync",
      "node stopped by a full disk",
      "unknown outcome resolved as committed",
      "unknown outcome resolved as aborted",
      "outcome sealed by an asker",
      "younger transaction refused by wait-die",
      "overdraft refused by a constraint",
      "prepare timed out",
      "transaction id refused as too old",
      "reused id refused",
      "retry answered from the record",
      "outcome expired",
      "schema changed under load",
      "frame of an earlier incarnation delivered",
      "removed replica gone",
      "replica begun anew where one had gone",
      "damage found by recovery",
      "damaged node came up whole",
      "replica goes on without entries that were damaged",
      "replica begun again without damaged data",
      "start given up for a failed read",
      "recovery over more than three segments",
      "crash right after a recovery",
      "crash of a paused node",
      "cancelled call was committed all the same",
      "cancelled call was aborted",
      "outcome learned after more than three questions",
      "answer got after more than five tries",
      "replica rebuilt from a snapshot and a log",
      "replica rebuilt from a snapshot alone",
      "durable entries cut off by a new leader",
      "read barrier lost with its leader",
      "several reads satisfied by one round",
      "follower too far behind for the log",
      "election without a winner",
      "candidate gave way to another",
      "leader stepped down for want of a majority",
      "leader deposed by a newer epoch",
      "campaign asked for by the leader",
      "leader elected with uncommitted entries of older epochs",
      "entry committed before its leader's own disk had it",
      "entry of an older epoch committed by a new leader",
      "more than ten entries committed at once",
      "damage found while running",
      "damage found by the scrubber",
      "cold damage repaired",
      "joint membership",
      "leader left out of its group",
      "new disk in the place of a lost one",
      "group of one",
      "members changed with prepared transactions",
      "group asleep",
      "shard's database closed while its group slept",
      "sleeper woken by somebody else than its leader",
      "leader crashed while its group slept",
      "read answered by a lease",
      "vote refused for a promise",
  };
  return names;
}

Recorder::Recorder(const Schedule& schedule, std::optional<TimeSpan> narrate)
    : schedule_(schedule), narrate_(narrate) {}

void Recorder::rare(std::string_view name) {
  const auto& names = rare_states();
  ASSENT_CHECK(name == state_of_walks || std::find(names.begin(), names.end(), name) != names.end(),
               "a rare state must be listed");
  ++rare_[std::string(name)];
}

void Recorder::line(const std::string& text) const {
  std::printf("%11.6f %s\n", static_cast<double>(schedule_.now()) / static_cast<double>(second), text.c_str());
}

void Recorder::fail(Verdict verdict, std::string why) {
  if (failed()) return;
  if (narrate_) line(fmt::format("VERDICT {}: {}", to_string(verdict), why));
  verdict_ = verdict;
  why_ = std::move(why);
}

}  // namespace assent::sim
