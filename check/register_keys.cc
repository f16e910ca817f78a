#include "check/register_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace assent::check {
namespace {

// The absent version is before all others.
using Version = std::optional<Number>;

// When a version was there, as real time tells.
struct Zone {
  std::uint64_t first_end = Transaction::never;  // the earliest end of a transaction that left or saw it
  std::uint64_t last_begin = 0;                  // the latest beginning of one that made or saw it
  TxnIndex ended = 0;                            // the transactions that say so
  TxnIndex begun = 0;
  [[nodiscard]] bool forward() const { return first_end < last_begin; }
};

class RegisterKey {
 public:
  RegisterKey(const Evidence& evidence, KeyId key, Graph& graph, Verdict& verdict)
      : evidence_(evidence), key_(key), graph_(graph), verdict_(verdict) {}

  void judge() {
    for_each_transaction(evidence_.keys[key_].accesses, [this](std::span<const Access> own) {
      if (evidence_.happened[own.front().txn] != 0) take(own);
    });
    judge_zones();
    add_edges();
  }

 private:
  [[nodiscard]] const std::string& name() const { return evidence_.name(key_); }
  [[nodiscard]] std::string words(TxnIndex txn) const { return "  " + describe(evidence_.history, txn) + "\n"; }
  static std::string words_of(const Version& version) { return version ? std::to_string(*version) : "nothing"; }

  // ---- within one transaction ----

  void take(std::span<const Access> own) {
    const TxnIndex txn = own.front().txn;
    std::optional<Version> now;   // as far as the transaction knows
    std::optional<Version> read;  // from others
    std::optional<Version> written;
    for (const Access& access : own) {
      const Op& op = evidence_.op(access);
      const auto* number = std::get_if<Number>(&op.value);
      const Version version = number == nullptr ? Version() : Version(*number);
      if (op.kind == OpKind::write) {
        now = written = version;
        continue;
      }
      if (!evidence_.ok(txn)) continue;  // what it read is not known
      if (now && *now != version) {
        return verdict_.found(
            "internal", fmt::format("A transaction contradicts itself: it reads {} as {} where it must be {}.\n{}",
                                    name(), words_of(version), words_of(*now), words(txn)));
      }
      if (!now) {
        if (!judge_read(txn, version)) return;
        read = version;
      }
      now = version;
    }
    if (read) {
      readers_[*read].push_back(txn);
      touch(*read, txn);
    }
    if (written) touch(*written, txn);
    if (read && written) next_.emplace(*read, *written);
  }

  // The transaction saw or made the version: it was there at some moment between its beginning and its end.
  void touch(const Version& version, TxnIndex txn) {
    Zone& zone = zones_[version];
    const Transaction& transaction = evidence_.txn(txn);
    if (transaction.ended < zone.first_end) {
      zone.first_end = transaction.ended;
      zone.ended = txn;
    }
    if (transaction.invoked > zone.last_begin) {
      zone.last_begin = transaction.invoked;
      zone.begun = txn;
    }
  }

  bool judge_read(TxnIndex txn, const Version& version) {
    if (!version) return true;
    const Writer* writer = evidence_.writer(key_, *version);
    if (writer == nullptr)
      return report("garbage read", *version, fmt::format("nobody wrote {} to {}", *version, name()), txn);
    if (writer->txn == txn) {
      return report("internal", *version,
                    fmt::format("{} is read in {} by its own transaction before it is written", *version, name()), txn);
    }
    if (evidence_.failed(writer->txn)) {
      return report("G1a", *version,
                    fmt::format("{} is read in {}, but its transaction did not happen", *version, name()), txn,
                    writer->txn);
    }
    if (!writer->last) {
      return report("G1b", *version,
                    fmt::format("{} is read in {}, which its own transaction replaced", *version, name()), txn,
                    writer->txn);
    }
    return true;
  }

  bool report(const std::string& anomaly, Number value, const std::string& what, TxnIndex txn,
              std::optional<TxnIndex> other = {}) {
    if (reported_.emplace(anomaly, value).second) {
      verdict_.found(anomaly, fmt::format("{}.\n{}{}", what, other ? words(*other) : "", words(txn)));
    }
    return false;
  }

  // ---- real time ----

  // The versions whose zone proves that they were there at several moments must not overlap, and none may lie within.
  // The absent version was there before everything.
  void judge_zones() {
    for (const auto& [version, zone] : zones_) by_first_end_.push_back(version);
    std::stable_sort(by_first_end_.begin(), by_first_end_.end(),
                     [this](const Version& a, const Version& b) { return first_end(a) < first_end(b); });
    std::vector<Version> forward;
    for (const Version& version : by_first_end_) {
      if (first_end(version) < zones_.at(version).last_begin) forward.push_back(version);
    }
    for (std::size_t i = 1; i < forward.size(); ++i) {
      if (first_end(forward[i]) < zones_.at(forward[i - 1]).last_begin) return disorder(forward[i - 1], forward[i]);
    }
    std::size_t at = 0;
    std::vector<Version> backward;
    for (const Version& version : by_first_end_) {
      if (version && !zones_.at(version).forward()) backward.push_back(version);
    }
    std::sort(backward.begin(), backward.end(),
              [this](const Version& a, const Version& b) { return zones_.at(a).last_begin < zones_.at(b).last_begin; });
    for (const Version& version : backward) {
      const Zone& zone = zones_.at(version);
      while (at < forward.size() && zones_.at(forward[at]).last_begin <= zone.last_begin) ++at;
      if (at < forward.size() && first_end(forward[at]) < zone.last_begin &&
          zone.first_end < zones_.at(forward[at]).last_begin) {
        return disorder(forward[at], version);
      }
    }
  }

  [[nodiscard]] std::uint64_t first_end(const Version& version) const {
    return version ? zones_.at(version).first_end : 0;
  }

  // Each of the two versions was there after the other.
  void disorder(const Version& a, const Version& b) {
    ordered_ = false;
    const Zone& first = zones_.at(a);
    const Zone& second = zones_.at(b);
    std::string story = fmt::format(
        "{} was {} before it was {} and also after it was {}: of these transactions each pair, in turn, ended before "
        "the other began.\n",
        name(), words_of(a), words_of(b), words_of(b));
    if (a) story += words(first.ended);
    story += words(second.begun) + words(second.ended) + words(first.begun);
    verdict_.found("not linearizable", story);
  }

  // ---- dependencies ----

  [[nodiscard]] std::optional<TxnIndex> writer_of(const Version& version) const {
    const Writer* writer = version ? evidence_.writer(key_, *version) : nullptr;
    if (writer == nullptr || evidence_.happened[writer->txn] == 0) return std::nullopt;
    return writer->txn;
  }

  struct Ends {
    Node start;  // passes on to the version's writer
    Node end;    // everything that made or saw the version leads there
  };

  void add_edges() {
    std::map<Version, Ends> ends;
    for (const auto& [version, zone] : zones_) {
      const Ends made{graph_.add_virtual(), graph_.add_virtual()};
      ends.emplace(version, made);
      const auto writer = writer_of(version);
      const Number value = version.value_or(0);
      if (writer) {
        graph_.add({made.start, *writer, EdgeKind::pass, key_, value});
        graph_.add({*writer, made.end, EdgeKind::ww, key_, value});
      }
      for (const TxnIndex reader : readers_[version]) {
        if (writer) graph_.add({*writer, reader, EdgeKind::wr, key_, value});
        graph_.add({reader, made.end, EdgeKind::rw, key_, value});
      }
    }
    const auto before = [&](const Version& earlier, const Version& later, EdgeKind kind) {
      graph_.add({ends.at(earlier).end, ends.at(later).start, kind, key_, later.value_or(0)});
    };
    for (const auto& [earlier, later] : next_) before(earlier, later, EdgeKind::pass);
    if (zones_.contains(Version())) {
      for (const auto& [version, zone] : zones_) {
        if (version) before(Version(), version, EdgeKind::pass);
      }
    }
    if (ordered_) add_real_time_order(before);
    add_lost_update();
  }

  // Two transactions that replaced the same version, each before the other: through the version's one virtual node this
  // cycle could not be told from a way back to oneself.
  void add_lost_update() {
    for (auto first = next_.begin(); first != next_.end(); first = next_.upper_bound(first->first)) {
      const auto second = std::next(first);
      if (second == next_.end() || second->first != first->first) continue;
      const auto one = writer_of(first->second);
      const auto other = writer_of(second->second);
      if (!one || !other) continue;
      graph_.add({*one, *other, EdgeKind::rw, key_, second->second.value_or(0)});
      graph_.add({*other, *one, EdgeKind::rw, key_, first->second.value_or(0)});
    }
  }

  // A version whose first end lies before another's last beginning is the earlier one. Only the nearest ones get an
  // edge: those before which no other candidate began for the last time.
  template <class Before>
  void add_real_time_order(const Before& before) {
    std::vector<Version> sorted;
    for (const Version& version : by_first_end_) {
      if (version) sorted.push_back(version);
    }
    for (const Version& version : sorted) {
      const Zone& zone = zones_.at(version);
      auto at = std::lower_bound(sorted.begin(), sorted.end(), zone.last_begin,
                                 [this](const Version& v, std::uint64_t t) { return first_end(v) < t; });
      std::uint64_t covered = 0;
      while (at != sorted.begin()) {
        --at;
        const Zone& candidate = zones_.at(*at);
        if (candidate.first_end < covered) break;
        if (*at == version) continue;
        before(*at, version, EdgeKind::pass_real_time);
        covered = std::max(covered, candidate.last_begin);
      }
    }
  }

  const Evidence& evidence_;
  const KeyId key_;
  Graph& graph_;
  Verdict& verdict_;
  std::map<Version, Zone> zones_;
  std::map<Version, std::vector<TxnIndex>> readers_;
  std::multimap<Version, Version> next_;
  std::vector<Version> by_first_end_;
  std::set<std::pair<std::string, Number>> reported_;
  bool ordered_ = true;
};

}  // namespace

void judge_register_key(const Evidence& evidence, KeyId key, Graph& graph, Verdict& verdict) {
  RegisterKey(evidence, key, graph, verdict).judge();
}

}  // namespace assent::check
