#include "check/list_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_set>

namespace assent::check {
namespace {

struct Read {
  Access access;
  const List* list = nullptr;
  std::size_t external = 0;  // elements that are not the transaction's own appends before the read
  bool before_own = true;    // the transaction had not appended to the key yet
};

class ListKey {
 public:
  ListKey(const Evidence& evidence, KeyId key, Graph& graph, Verdict& verdict)
      : evidence_(evidence), key_(key), graph_(graph), verdict_(verdict) {}

  void judge() {
    for_each_transaction(accesses(), [this](std::span<const Access> own) {
      if (evidence_.ok(own.front().txn)) read_transaction(own);
    });
    for (const Read& read : reads_) judge_elements(read);
    find_order();
    if (!ordered_) return;
    judge_own_order();
    judge_lost();
    add_edges();
  }

 private:
  [[nodiscard]] const std::vector<Access>& accesses() const { return evidence_.keys[key_].accesses; }
  [[nodiscard]] const std::string& name() const { return evidence_.name(key_); }
  [[nodiscard]] std::string words(TxnIndex txn) const { return "  " + describe(evidence_.history, txn) + "\n"; }

  // ---- within one transaction ----

  void read_transaction(std::span<const Access> own) {
    List appended;
    const List* last_read = nullptr;
    std::size_t appended_at_read = 0;
    const TxnIndex txn = own.front().txn;
    for (const Access& access : own) {
      const Op& op = evidence_.op(access);
      if (op.kind == OpKind::append) {
        appended.push_back(std::get<Number>(op.value));
        continue;
      }
      static const List empty;
      const auto* found = std::get_if<List>(&op.value);
      const List* list = found == nullptr ? &empty : found;
      if (!ends_with(*list, appended)) {
        return internal(txn, fmt::format("it appended {} to {} and then reads {}", describe(Value(appended)), name(),
                                         describe(Value(*list))));
      }
      if (last_read != nullptr && !continues(*last_read, appended, appended_at_read, *list)) {
        return internal(txn, fmt::format("it reads {} first as {} and then as {}", name(), describe(Value(*last_read)),
                                         describe(Value(*list))));
      }
      last_read = list;
      appended_at_read = appended.size();
      reads_.push_back({access, list, list->size() - appended.size(), appended.empty()});
    }
  }

  static bool ends_with(const List& list, const List& tail) {
    return list.size() >= tail.size() && std::equal(tail.rbegin(), tail.rend(), list.rbegin());
  }
  // `now` is `before` and what was appended since.
  static bool continues(const List& before, const List& appended, std::size_t appended_before, const List& now) {
    return now.size() == before.size() + appended.size() - appended_before &&
           std::equal(before.begin(), before.end(), now.begin());
  }

  void internal(TxnIndex txn, const std::string& what) {
    verdict_.found("internal", fmt::format("A transaction contradicts itself: {}.\n{}", what, words(txn)));
  }

  // ---- elements ----

  void judge_elements(const Read& read) {
    std::unordered_set<Number> seen;
    for (std::size_t i = 0; i < read.list->size(); ++i) {
      const Number value = (*read.list)[i];
      if (!seen.insert(value).second) {
        return report("duplicate elements", value, read, fmt::format("{} stands twice in {}", value, name()));
      }
      if (i < read.external) judge_external(read, value);
    }
    if (read.external > 0) judge_last(read, (*read.list)[read.external - 1]);
  }

  void judge_external(const Read& read, Number value) {
    const Writer* writer = evidence_.writer(key_, value);
    if (writer == nullptr)
      return report("garbage read", value, read, fmt::format("nobody appended {} to {}", value, name()));
    if (writer->txn == read.access.txn) {
      return report("internal", value, read,
                    fmt::format("{} is read in {} by its own transaction before it is appended", value, name()));
    }
    if (evidence_.failed(writer->txn)) {
      report("G1a", value, read, fmt::format("{} is read in {}, but its transaction did not happen", value, name()),
             writer->txn);
    }
  }

  void judge_last(const Read& read, Number value) {
    const Writer* writer = evidence_.writer(key_, value);
    if (writer == nullptr || writer->last || writer->txn == read.access.txn) return;
    report("G1b", value, read,
           fmt::format("a read of {} ends with {}, in the middle of the transaction that appended it", name(), value),
           writer->txn);
  }

  // Once for each value.
  void report(const std::string& anomaly, Number value, const Read& read, const std::string& what,
              std::optional<TxnIndex> other = {}) {
    if (!reported_.emplace(anomaly, value).second) return;
    verdict_.found(anomaly, fmt::format("{}.\n{}{}", what, other ? words(*other) : "", words(read.access.txn)));
  }

  // ---- the order of the key ----

  // The longest read is the order, and every other read its beginning.
  void find_order() {
    const Read* longest = nullptr;
    for (const Read& read : reads_) {
      if (longest == nullptr || read.list->size() > longest->list->size()) longest = &read;
    }
    ordered_ = true;
    if (longest == nullptr) return;
    for (const Read& read : reads_) {
      if (std::equal(read.list->begin(), read.list->end(), longest->list->begin())) continue;
      ordered_ = false;
      verdict_.found("incompatible order",
                     fmt::format("{} is read as {} and as {}, and neither is the beginning of the other.\n{}{}", name(),
                                 describe(Value(*read.list)), describe(Value(*longest->list)), words(read.access.txn),
                                 words(longest->access.txn)));
      return;
    }
    order_ = *longest->list;
    for (std::size_t i = 0; i < order_.size(); ++i) place_[order_[i]] = i;
    if (place_.size() != order_.size()) ordered_ = false;  // duplicates, already told
  }

  // What one transaction appended stands in the order in which it did so.
  void judge_own_order() {
    for_each_transaction(accesses(), [this](std::span<const Access> own) {
      std::optional<std::size_t> last;
      for (const Access& access : own) {
        const Op& op = evidence_.op(access);
        if (op.kind != OpKind::append) continue;
        const auto found = place_.find(std::get<Number>(op.value));
        if (found == place_.end()) continue;
        if (last && found->second < *last) {
          verdict_.found("incompatible order",
                         fmt::format("what a transaction appended to {} stands there in another order: {}.\n{}", name(),
                                     describe(Value(order_)), words(access.txn)));
          return;
        }
        last = found->second;
      }
    });
  }

  // Appends of what happened that no read shows: they follow all that was read.
  void judge_lost() {
    const Read* latest = nullptr;
    for (const Read& read : reads_) {
      if (latest == nullptr || evidence_.txn(read.access.txn).invoked > evidence_.txn(latest->access.txn).invoked)
        latest = &read;
    }
    for (const Access& access : accesses()) {
      const Op& op = evidence_.op(access);
      if (op.kind != OpKind::append || evidence_.happened[access.txn] == 0) continue;
      const Number value = std::get<Number>(op.value);
      if (place_.contains(value)) continue;
      unseen_.push_back({value, access.txn});
      if (latest == nullptr || evidence_.txn(latest->access.txn).invoked < evidence_.txn(access.txn).ended) continue;
      verdict_.found(
          "lost append",
          fmt::format(
              "the append of {} to {} was told to have happened, and a read that began later does not show it.\n{}{}",
              value, name(), words(access.txn), words(latest->access.txn)));
    }
  }

  // ---- dependencies ----

  void edge(TxnIndex from, Node to, EdgeKind kind, Number value) { graph_.add({from, to, kind, key_, value}); }

  void add_edges() {
    std::optional<TxnIndex> last;
    Number last_value = 0;
    for (const Number value : order_) {
      const Writer* writer = evidence_.writer(key_, value);
      if (writer == nullptr || evidence_.failed(writer->txn)) continue;
      if (last) edge(*last, writer->txn, EdgeKind::ww, last_value);
      last = writer->txn;
      last_value = value;
    }
    std::optional<Node> beyond;  // stands before all unseen appends
    if (!unseen_.empty()) {
      beyond = graph_.add_virtual();
      for (const auto& [value, txn] : unseen_) graph_.add({*beyond, txn, EdgeKind::pass, key_, value});
      if (last) edge(*last, *beyond, EdgeKind::ww, last_value);
    }
    for (const Read& read : reads_) add_read_edges(read, beyond);
    add_lost_update();
  }

  // Two transactions that read the same end and appended to it unseen, each before the other: through the one virtual
  // node this cycle could not be told from a way back to oneself.
  void add_lost_update() {
    std::vector<std::pair<Number, TxnIndex>> both;
    for (const Read& read : reads_) {
      if (!read.before_own || read.external != order_.size()) continue;
      const auto own = std::find_if(unseen_.begin(), unseen_.end(),
                                    [&](const auto& unseen) { return unseen.second == read.access.txn; });
      if (own != unseen_.end() && (both.empty() || both.front().second != own->second)) both.push_back(*own);
      if (both.size() == 2) break;
    }
    if (both.size() < 2) return;
    edge(both[0].second, both[1].second, EdgeKind::rw, both[1].first);
    edge(both[1].second, both[0].second, EdgeKind::rw, both[0].first);
  }

  void add_read_edges(const Read& read, const std::optional<Node>& beyond) {
    const TxnIndex reader = read.access.txn;
    if (read.external > 0) {
      const Number value = (*read.list)[read.external - 1];
      const Writer* writer = evidence_.writer(key_, value);
      if (writer != nullptr && !evidence_.failed(writer->txn)) edge(writer->txn, reader, EdgeKind::wr, value);
    }
    if (!read.before_own) return;
    if (read.external == order_.size()) {
      if (beyond) edge(reader, *beyond, EdgeKind::rw, unseen_.front().first);
      return;
    }
    const Number value = order_[read.external];
    const Writer* writer = evidence_.writer(key_, value);
    if (writer != nullptr && !evidence_.failed(writer->txn)) edge(reader, writer->txn, EdgeKind::rw, value);
  }

  const Evidence& evidence_;
  const KeyId key_;
  Graph& graph_;
  Verdict& verdict_;
  std::vector<Read> reads_;  // of transactions that happened and do not contradict themselves
  std::set<std::pair<std::string, Number>> reported_;
  bool ordered_ = false;
  List order_;
  std::unordered_map<Number, std::size_t> place_;
  std::vector<std::pair<Number, TxnIndex>> unseen_;
};

}  // namespace

void judge_list_key(const Evidence& evidence, KeyId key, Graph& graph, Verdict& verdict) {
  ListKey(evidence, key, graph, verdict).judge();
}

}  // namespace assent::check
