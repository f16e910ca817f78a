// The list of transactions, of all nodes together: what each recorded, and what the leaders see. Pure.
//
// A record knows what happened where its node led. What another leader carried on stays open in it for ever, and a node
// that was started anew knows nothing; so whether a transaction is over is not told by records but by the leaders of
// its groups, whose machines are the truth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "assent/v1/observe.pb.h"
#include "base/ids.h"
#include "txn_proto/names.h"

namespace assent {

// What the leaders of groups see that is not over.
struct LeadersView {
  std::vector<v1::GroupSight> sights;         // by group
  std::set<std::string> told;                 // groups whose leader told all that it sees
  std::map<NodeId, std::string> silent = {};  // nodes that did not answer, and why
};

[[nodiscard]] bool wants(const v1::TxnsRequest& request, std::string_view state);
[[nodiscard]] bool wants_open(const v1::TxnsRequest& request);
// Those that stand on the page as open, while all groups that they may touch have told and none of them sees them: they
// are over.
[[nodiscard]] std::vector<TxnId> ended_of(const v1::TxnPage& page, const LeadersView& view,
                                          const GroupDirectory& groups);
// Puts in their place what records say now, if somebody recorded their end and that was asked for; else takes them off.
void settle(const std::vector<TxnId>& ended, const std::vector<std::vector<v1::TxnRecord>>& records,
            const v1::TxnsRequest& request, v1::TxnPage& page);
// Of what leaders see, the transactions that were asked for: also those that nobody has a record of.
[[nodiscard]] v1::TxnPage page_of(const LeadersView& view, const v1::TxnsRequest& request);
// All pages of one cursor as one page. Of a transaction that stands on several, the summary that tells most; of equal
// ones the first.
[[nodiscard]] v1::TxnPage merged(const std::vector<v1::TxnPage>& pages, std::size_t limit);

}  // namespace assent
