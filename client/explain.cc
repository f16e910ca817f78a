#include "client/explain.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace assent::client {
namespace {

std::string list(const std::vector<std::string>& names) { return fmt::format("{}", fmt::join(names, ", ")); }

std::string seconds(std::uint64_t millis) { return fmt::format("{:.1f} s", static_cast<double>(millis) / 1000.0); }

// Everything that was said about one transaction.
struct Picture {
  std::vector<const GroupSight*> in_doubt;  // shards that voted yes
  const GroupSight* waiting = nullptr;      // a shard that did not vote yet
  const GroupSight* coordinator = nullptr;
  const Sights* all = nullptr;

  [[nodiscard]] std::string why_unreachable(const std::string& group) const {
    const auto found = all->unreachable.find(group);
    return found == all->unreachable.end() ? std::string() : found->second;
  }
};

Picture picture_of(const TxnId& id, const Sights& sights) {
  Picture picture;
  picture.all = &sights;
  for (const GroupSight& one : sights.seen) {
    if (one.sight.txn != id) continue;
    switch (one.sight.stage) {
      case Stage::in_doubt:
      case Stage::resolving: picture.in_doubt.push_back(&one); break;
      case Stage::waiting:
      case Stage::settling:
      case Stage::logging: picture.waiting = &one; break;
      case Stage::forced: break;
      default: picture.coordinator = &one;
    }
  }
  return picture;
}

std::vector<std::string> unreachable_of(const Picture& picture, const std::vector<std::string>& groups) {
  std::vector<std::string> away;
  std::copy_if(groups.begin(), groups.end(), std::back_inserter(away),
               [&](const std::string& group) { return !picture.why_unreachable(group).empty(); });
  return away;
}

std::string bring_back(const std::vector<std::string>& groups) {
  return fmt::format("bring back a majority of {}; then it ends within a second", list(groups));
}

// A question that somebody asked about it is under way: not the transaction itself.
bool only_asked(const GroupSight& sight) { return sight.sight.stage == Stage::asking && sight.participants.empty(); }

void explain_waiting(const GroupSight& at, Explanation& out) {
  const Sight& sight = at.sight;
  switch (sight.stage) {
    case Stage::waiting:
      out.why = sight.waits_for.empty()
                    ? fmt::format("{} holds it back until queries that read what it writes are over", at.group)
                    : fmt::format("{} waits for locks that {} holds", at.group, sight.waits_for.front());
      break;
    case Stage::settling:
      out.why = fmt::format("{} refused it, and waits for {} to end to see whether that still holds", at.group,
                            sight.waits_for.empty() ? "others" : sight.waits_for.front().to_hex());
      break;
    default:
      out.why = fmt::format("{} is writing its vote into its log", at.group);
      out.next = "the vote follows when a majority of the group has it on disk";
      return;
  }
  out.next =
      fmt::format("refused as a conflict in {} unless they are free by then", seconds(sight.left_millis.value_or(0)));
}

// Decided, but a service does not do its part, whatever it is told: for a person to look at.
void explain_failing(const GroupSight& at, Explanation& out) {
  const std::string services = list(at.failing);
  const std::string_view end = at.sight.commit ? "commit" : "abort";
  out.state = "IN_DOUBT";
  out.why += fmt::format("; {} failed too often to {}", services, end);
  out.next = fmt::format(
      "it is called again every ten seconds; assentctl txn retry calls it now; once its part was brought to the {} by "
      "hand: assentctl txn resolve --heuristic {} --reason TEXT --on {}",
      end, end, at.failing.front());
}

void explain_coordinator(const Picture& picture, Explanation& out) {
  const GroupSight& at = *picture.coordinator;
  const std::string whom = at.missing.empty() ? "nobody" : list(at.missing);
  switch (at.sight.stage) {
    case Stage::collecting:
      if (picture.waiting != nullptr) return explain_waiting(*picture.waiting, out);
      out.why = fmt::format("{} waits for the vote of {}", at.group, whom);
      for (const std::string& group : at.missing) {
        const std::string trouble = picture.why_unreachable(group);
        if (!trouble.empty()) out.why += fmt::format("; {}: {}", group, trouble);
      }
      for (const std::string& trouble : at.sight.troubles) out.why += "; " + trouble;
      out.next = fmt::format("without it the transaction ends in {}", seconds(at.sight.left_millis.value_or(0)));
      break;
    case Stage::deciding:
      out.why = fmt::format("{} is writing the decision into its log", at.group);
      out.next = "it is decided when a majority of the group has it on disk";
      break;
    case Stage::asking:
      out.why = fmt::format("{} asks the vote registers; {} has not answered", at.group, whom);
      for (const std::string& group : at.missing) {
        const std::string trouble = picture.why_unreachable(group);
        if (!trouble.empty()) out.why += fmt::format("; {}: {}", group, trouble);
      }
      out.next = "their word decides it, within a second after they answer";
      if (const auto away = unreachable_of(picture, at.missing); !away.empty()) out.next = bring_back(away);
      break;
    default:
      out.state = "FINISHING";
      out.why = fmt::format("it {}; {} has not applied that yet", at.sight.commit ? "committed" : "aborted", whom);
      for (const std::string& trouble : at.sight.troubles) out.why += "; " + trouble;
      out.next = "they are told again every second until they have";
      if (!at.failing.empty()) explain_failing(at, out);
  }
}

void explain_two_phase_doubt(const Picture& picture, Explanation& out) {
  const GroupSight& shard = *picture.in_doubt.front();
  const std::string trouble = picture.why_unreachable(shard.coordinator);
  if (trouble.empty()) {
    out.why = fmt::format("{} voted yes and has not heard the decision of {}", shard.group, shard.coordinator);
    out.next = fmt::format("it asks within a second, and {} knows", shard.coordinator);
    return;
  }
  out.why = fmt::format("{} voted yes; whether it commits only the log of {} says, and that cannot be asked: {}",
                        shard.group, shard.coordinator, trouble);
  out.next = bring_back({shard.coordinator});
}

void explain_votes_doubt(const Picture& picture, Explanation& out) {
  const GroupSight* shard = picture.in_doubt.front();
  for (const GroupSight* one : picture.in_doubt) {
    if (one->sight.stage == Stage::resolving) shard = one;
  }
  if (shard->sight.stage == Stage::in_doubt) {
    out.why = fmt::format("{} voted yes and waits for {} to say what came of it", shard->group, shard->coordinator);
    out.next = fmt::format("in {} the shards ask each other", seconds(shard->sight.left_millis.value_or(0)));
    return;
  }
  const std::string have = shard->missing.size() == 1 ? "has" : "have";
  if (ballots_decide(shard->sight.protocol)) {
    out.why =
        fmt::format("{} voted yes and opened a ballot; a majority of the participants and {} decides, {} {} not said",
                    shard->group, shard->coordinator, list(shard->missing), have);
  } else {
    out.why = fmt::format("{} voted yes, and so it commits unless {} did not; {} {} not said", shard->group,
                          shard->missing.size() == 1 ? "the other" : "one of the others", list(shard->missing), have);
  }
  const std::vector<std::string> away = unreachable_of(picture, shard->missing);
  for (const std::string& group : away) out.why += fmt::format("; {}: {}", group, picture.why_unreachable(group));
  out.next = away.empty() ? "they are asked again every second, and their word ends it" : bring_back(away);
}

// What the votes that can be read leave open.
void say_what_is_not_proven(const Picture& picture, Explanation& out) {
  std::vector<std::string> yes;
  for (const GroupSight* one : picture.in_doubt) yes.push_back(one->group);
  const GroupSight& shard = *picture.in_doubt.front();
  if (ballots_decide(shard.sight.protocol)) {
    out.proof = fmt::format(
        "{} voted yes; a majority of the participants and {} decides, and what they have accepted is not known",
        list(yes), shard.coordinator);
    return;
  }
  if (!votes_decide(shard.sight.protocol)) {
    if (picture.why_unreachable(shard.coordinator).empty()) return;
    out.proof = fmt::format(
        "{} voted yes, so it may have committed; the commit would stand in the log of {} alone. Without a record there "
        "it "
        "is aborted. Nobody else knows",
        list(yes), shard.coordinator);
    return;
  }
  std::vector<std::string> unknown;
  std::copy_if(shard.participants.begin(), shard.participants.end(), std::back_inserter(unknown),
               [&](const std::string& group) { return std::find(yes.begin(), yes.end(), group) == yes.end(); });
  if (unknown.empty()) return;
  out.proof = fmt::format(
      "{} voted yes; the vote of {} is not known. Was it yes, the transaction is committed, and may have been told so; "
      "was it no, or none, it is aborted",
      list(yes), list(unknown));
}

// What was forced stands beside what it waits for: the register still asks for the true outcome.
void explain_heuristics(const TxnId& id, const Sights& sights, Explanation& out) {
  bool over = true;
  bool mixed = false;
  for (const GroupSight& one : sights.seen) {
    if (one.sight.txn != id || !one.sight.heuristic) continue;
    const Heuristic& forced = *one.sight.heuristic;
    const bool ended = one.sight.stage == Stage::forced;
    const bool disagrees = ended && one.sight.commit != forced.commit;
    over = over && ended;
    mixed = mixed || disagrees;
    std::string words =
        fmt::format("its {} was forced at {}: {}", forced.commit ? "commit" : "abort", one.group, forced.reason);
    if (ended) words += fmt::format("; it {}", one.sight.commit ? "committed" : "aborted");
    out.heuristics.push_back(std::move(words));
  }
  if (out.heuristics.empty()) return;
  out.state = mixed ? "MIXED" : "HEURISTIC";
  if (!over) {
    out.why += fmt::format("; {}", fmt::join(out.heuristics, ", "));
    return;
  }
  out.why = fmt::format("{}", fmt::join(out.heuristics, ", "));
  out.next = mixed ? "the shards do not agree: repair the data by hand, then assentctl txn forget"
                   : "nothing: what was forced was right; assentctl txn forget takes it off the list";
  out.proof.clear();
}

}  // namespace

Explanation explain(const TxnId& id, const Sights& sights) {
  const Picture picture = picture_of(id, sights);
  Explanation out;
  out.id = id;
  out.state = picture.in_doubt.empty() ? "RUNNING" : "IN_DOUBT";
  std::set<TxnId> blocked;
  for (const GroupSight& one : sights.seen) {
    if (one.sight.txn != id) continue;
    if (one.sight.protocol != Protocol::automatic) out.protocol = one.sight.protocol;
    if (out.participants.empty()) out.participants = one.participants;
    blocked.insert(one.sight.blocks.begin(), one.sight.blocks.end());
    out.queries_blocked += one.sight.queries_blocked;
    out.locks += one.sight.locks;
    out.millis = std::max(out.millis, one.sight.millis);
  }
  out.blocks.assign(blocked.begin(), blocked.end());
  if (!picture.in_doubt.empty()) say_what_is_not_proven(picture, out);
  const bool attended = picture.coordinator != nullptr && !only_asked(*picture.coordinator);
  if (attended) {
    explain_coordinator(picture, out);
  } else if (!picture.in_doubt.empty()) {
    const bool by_votes = by_content(picture.in_doubt.front()->sight.protocol);
    by_votes ? explain_votes_doubt(picture, out) : explain_two_phase_doubt(picture, out);
  } else if (picture.waiting != nullptr) {
    explain_waiting(*picture.waiting, out);
  } else {
    out.state = "UNKNOWN";
    out.why = "no group that could be asked sees it";
    out.next = sights.unreachable.empty() ? "it is over, or was never begun: ask with assentctl txn get"
                                          : "a group that could not be asked may: see assentctl cluster status";
  }
  explain_heuristics(id, sights, out);
  return out;
}

std::vector<Explanation> explain_in_doubt(const Sights& sights) {
  std::set<TxnId> ids;
  for (const GroupSight& one : sights.seen) {
    const bool doubt = one.sight.stage == Stage::in_doubt || one.sight.stage == Stage::resolving;
    if (doubt || one.sight.heuristic || !one.failing.empty()) ids.insert(one.sight.txn);
  }
  std::vector<Explanation> all;
  all.reserve(ids.size());
  for (const TxnId& id : ids) all.push_back(explain(id, sights));
  return all;
}

}  // namespace assent::client
