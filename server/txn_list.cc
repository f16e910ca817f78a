#include "server/txn_list.h"

#include <algorithm>
#include <functional>
#include <map>

#include "observe/txn_record.h"
#include "txn_proto/sight_codec.h"

namespace assent {
namespace {

bool is_open(const std::string& state) {
  return state != to_string(TxnProgress::committed) && state != to_string(TxnProgress::aborted);
}

// That of somebody who asks about a transaction, and of an operator's word on one that is over, is not of a
// transaction that is open.
bool shows_open(const v1::Sight& sight) {
  return sight.stage() != to_string(Stage::forced) &&
         (sight.stage() != to_string(Stage::asking) || sight.participants_size() > 0);
}

TxnProgress progress_of(const Sight& sight) {
  switch (sight.stage) {
    case Stage::in_doubt:
    case Stage::resolving:
    case Stage::deciding:
    case Stage::asking: return TxnProgress::prepared;
    case Stage::finishing: return sight.commit ? TxnProgress::committing : TxnProgress::aborting;
    case Stage::collecting: return TxnProgress::preparing;
    default: return sight.protocol == Protocol::one_phase ? TxnProgress::active : TxnProgress::preparing;
  }
}

bool at_coordinator(Stage stage) { return stage >= Stage::collecting && stage <= Stage::finishing; }

// What all leaders see of one transaction.
class Picture {
 public:
  void add(const std::string& group, const v1::Sight& message) {
    const Sight sight = from_api(message);
    const bool leads = at_coordinator(sight.stage);
    if (sight.protocol != Protocol::automatic) summary_.set_protocol(std::string(to_string(sight.protocol)));
    if (leads || summary_.coordinator().empty()) {
      summary_.set_coordinator(leads || message.coordinator().empty() ? group : message.coordinator());
    }
    if (summary_.participants().empty()) *summary_.mutable_participants() = message.participants();
    millis_ = std::max(millis_, sight.millis);
    if (!leads && (led_ || progress_of(sight) < progress_)) return;
    led_ = led_ || leads;
    progress_ = progress_of(sight);
  }
  [[nodiscard]] v1::TxnSummary summary(const TxnId& txn) const {
    v1::TxnSummary out = summary_;
    out.set_txn_id(txn.to_hex());
    out.set_state(std::string(to_string(progress_)));
    out.set_started_unix_micros(static_cast<std::int64_t>(txn.created().value) * 1'000);
    out.set_duration_micros(millis_ * 1'000);
    return out;
  }

 private:
  v1::TxnSummary summary_;
  TxnProgress progress_ = TxnProgress::active;
  std::uint64_t millis_ = 0;
  bool led_ = false;  // its coordinator's word counts before that of shards
};

// The view of the node that answered the client knows most.
int rank(const v1::TxnSummary& summary) {
  return (summary.answered() ? 4 : 0) + (summary.outcome().empty() ? 0 : 2) + (summary.coordinator().empty() ? 0 : 1);
}

bool wanted(const v1::TxnSummary& summary, const v1::TxnsRequest& request) {
  return wants(request, summary.state()) && summary.duration_micros() >= request.slower_than_micros();
}

// Every group that it may touch.
bool all_told(const v1::TxnSummary& summary, const LeadersView& view, const GroupDirectory& groups) {
  const auto told = [&](const std::string& name) {
    return groups.find(name) == nullptr || view.told.contains(name);  // a service is no group: its coordinator knows
  };
  const auto all = [&](const auto& names) { return std::all_of(names.begin(), names.end(), told); };
  if (!summary.coordinator().empty()) return told(summary.coordinator()) && all(summary.participants());
  return all(groups.names(GroupKind::coordinator)) && all(groups.names(GroupKind::shard));
}

}  // namespace

bool wants(const v1::TxnsRequest& request, std::string_view state) {
  return request.states().empty() ||
         std::find(request.states().begin(), request.states().end(), state) != request.states().end();
}

bool wants_open(const v1::TxnsRequest& request) {
  return std::any_of(request.states().begin(), request.states().end(), is_open);
}

std::vector<TxnId> ended_of(const v1::TxnPage& page, const LeadersView& view, const GroupDirectory& groups) {
  std::set<std::string> seen;
  for (const v1::GroupSight& one : view.sights) {
    if (shows_open(one.sight())) seen.insert(one.sight().txn_id());
  }
  std::vector<TxnId> ended;
  for (const v1::TxnSummary& one : page.txns()) {
    if (!is_open(one.state()) || seen.contains(one.txn_id()) || !all_told(one, view, groups)) continue;
    if (const auto txn = TxnId::from_hex(one.txn_id())) ended.push_back(*txn);
  }
  return ended;
}

void settle(const std::vector<TxnId>& ended, const std::vector<std::vector<v1::TxnRecord>>& records,
            const v1::TxnsRequest& request, v1::TxnPage& page) {
  std::map<std::string, const v1::TxnSummary*> over;
  for (const TxnId& txn : ended) over[txn.to_hex()] = nullptr;
  for (const std::vector<v1::TxnRecord>& of_one : records) {
    for (const v1::TxnRecord& record : of_one) {
      const v1::TxnSummary& summary = record.summary();
      const auto found = over.find(summary.txn_id());
      if (found == over.end() || is_open(summary.state()) || !wanted(summary, request)) continue;
      if (found->second == nullptr || rank(*found->second) < rank(summary)) found->second = &summary;
    }
  }
  v1::TxnPage out = page;
  out.clear_txns();
  for (const v1::TxnSummary& one : page.txns()) {
    const auto found = over.find(one.txn_id());
    if (found == over.end()) {
      *out.add_txns() = one;
    } else if (found->second != nullptr) {
      *out.add_txns() = *found->second;
    }
  }
  page = std::move(out);
}

v1::TxnPage page_of(const LeadersView& view, const v1::TxnsRequest& request) {
  std::map<TxnId, Picture, std::greater<>> pictures;
  const TxnId cursor = TxnId::from_hex(request.cursor()).value_or(TxnId());
  for (const v1::GroupSight& one : view.sights) {
    const std::optional<TxnId> txn = TxnId::from_hex(one.sight().txn_id());
    if (!txn || (!cursor.none() && *txn >= cursor) || !shows_open(one.sight())) continue;
    pictures[*txn].add(one.group(), one.sight());
  }
  v1::TxnPage page;
  for (const auto& [txn, picture] : pictures) {
    v1::TxnSummary summary = picture.summary(txn);
    if (wanted(summary, request)) *page.add_txns() = std::move(summary);
  }
  return page;
}

// A page that was cut short says nothing of what is older than its end, so the whole ends there too.
v1::TxnPage merged(const std::vector<v1::TxnPage>& pages, std::size_t limit) {
  std::map<std::string, const v1::TxnSummary*, std::greater<>> best;
  std::string from;
  for (const v1::TxnPage& page : pages) {
    from = std::max(from, page.next_cursor());
    for (const v1::TxnSummary& one : page.txns()) {
      const v1::TxnSummary*& kept = best[one.txn_id()];
      if (kept == nullptr || rank(*kept) < rank(one)) kept = &one;
    }
  }
  v1::TxnPage out;
  for (const auto& [id, summary] : best) {
    if (id < from) break;
    if (static_cast<std::size_t>(out.txns_size()) == limit) {
      from = out.txns(out.txns_size() - 1).txn_id();
      break;
    }
    *out.add_txns() = *summary;
  }
  out.set_next_cursor(from);
  return out;
}

}  // namespace assent
