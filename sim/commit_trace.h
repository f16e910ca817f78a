// What became of each transaction, for independent checkers of the commit protocol: one JSON object a line, in causal
// order. Log entries stand where the cluster first applied them.
//   {"time":<ns>,"id":"<hex>","event":"prepare","participant":"2","vote":"yes","attempt":[3,7],"index":12}
// event       prepare        a shard's register was set by this entry; vote yes or no
//             vote received  by the leader of the coordinator; vote yes or no
//             decide         the entry that commits it: the coordinator's; the shard's own with one phase; the last
//                            yes where the votes decide; where ballots do, the entry that makes a majority
//             finish applied at a participant; outcome committed or aborted
//             outcome told   a node answered; outcome committed or aborted; participant is the group that answered.
//                            Not told is that an id was used again with other content
// attempt and index are left out where there is none. attempt [0,0] is that of one phase. decide also has
// "participants":["2","3"], whose yes it needs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "sim/line_file.h"
#include "sim/schedule.h"
#include "sim/txn_checker.h"
#include "txn_proto/commands.h"
#include "txn_proto/types.h"

namespace assent::sim {

class CommitTrace {
 public:
  explicit CommitTrace(const Schedule& schedule) : schedule_(schedule) {}
  [[nodiscard]] Result<void> open(const std::string& path) { return file_.open(path); }

  void decided(GroupId coordinator, const Decide& decide, Index index);
  // The last of the votes, where they decide.
  void decided_by_vote(GroupId shard, const TxnId& txn, const std::vector<GroupId>& participants, Index index);
  // before, after: the transaction's register at the shard.
  void applied(GroupId shard, const ShardCommand& command, Index index, const Register& before, const Register& after);
  void vote_received(const Vote& vote, GroupId from);
  void told(GroupId by, const TxnAnswer& answer);

 private:
  void line(const TxnId& txn, std::string_view event, GroupId participant, std::string_view verdict,
            const std::optional<Attempt>& attempt, const std::optional<Index>& index,
            const std::vector<GroupId>& participants = {});

  const Schedule& schedule_;
  LineFile file_;
};

}  // namespace assent::sim
