// assentctl txn in-doubt, explain and group locks: what transactions wait for.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/outcome_text.h"
#include "cli/session.h"
#include "client/explain.h"

namespace assent::cli {

namespace {

std::vector<std::string> hex(const std::vector<TxnId>& txns) {
  std::vector<std::string> out;
  out.reserve(txns.size());
  for (const TxnId& txn : txns) out.push_back(txn.to_hex());
  return out;
}

std::string age_of(std::uint64_t millis) { return fmt::format("{:.1f}s", static_cast<double>(millis) / 1000.0); }

// What it waits for, then what it keeps from others.
std::string keys_of(const Sight& sight) {
  std::vector<std::string> all = sight.wanted_keys;
  all.insert(all.end(), sight.contested_keys.begin(), sight.contested_keys.end());
  return fmt::format("{}", fmt::join(all, ", "));
}

Json to_json(const client::Explanation& one) {
  return {{"txnId", one.id.to_hex()},
          {"state", one.state},
          {"protocol", to_string(one.protocol)},
          {"participants", one.participants},
          {"ageMillis", std::to_string(one.millis)},
          {"locks", std::to_string(one.locks)},
          {"blocks", hex(one.blocks)},
          {"queriesBlocked", std::to_string(one.queries_blocked)},
          {"heuristics", one.heuristics},
          {"why", one.why},
          {"next", one.next}};
}

Json unreachable_json(const client::Sights& sights) {
  Json out = Json::object();
  for (const auto& [group, why] : sights.unreachable) out[group] = why;
  return out;
}

void warn_of_unreachable(const Session& session, const client::Sights& sights) {
  for (const auto& [group, why] : sights.unreachable) {
    session.console.err << fmt::format("assentctl: {} could not be asked: {}\n", group, why);
  }
}

bool seen(const client::Sights& sights) {
  return std::any_of(sights.seen.begin(), sights.seen.end(), [](const client::GroupSight& one) {
    return one.sight.stage != Stage::asking || !one.participants.empty();  // else: somebody only asks about it
  });
}

void print(const Session& session, const client::Explanation& one) {
  print_fact(session, "txid", one.id.to_hex());
  print_fact(session, "state", one.state);
  print_fact(session, "protocol", to_string(one.protocol));
  print_fact(session, "participants", fmt::format("{}", fmt::join(one.participants, " ")));
  print_fact(session, "for", age_of(one.millis));
  if (one.locks > 0) print_fact(session, "locks", std::to_string(one.locks));
  print_fact(session, "blocks", fmt::format("{}", fmt::join(hex(one.blocks), " ")));
  if (one.queries_blocked > 0) print_fact(session, "", fmt::format("{} queries", one.queries_blocked));
  print_fact(session, "why", one.why);
  print_fact(session, "next", one.next);
}

}  // namespace

ExitCode run(const Session& session, const TxnInDoubtCommand&) {
  const client::Result<client::Sights> sights = session.client.sights({});
  if (!sights) return session.fail(sights.error());
  const std::vector<client::Explanation> all = client::explain_in_doubt(*sights);
  if (session.json()) {
    Json list = Json::array();
    for (const client::Explanation& one : all) list.push_back(to_json(one));
    session.print(Json{{"inDoubt", std::move(list)}, {"unreachable", unreachable_json(*sights)}});
  } else {
    Table table({"TXID", "PROTOCOL", "AGE", "LOCKS", "BLOCKS", "WHY"});
    for (const client::Explanation& one : all) {
      table.add({one.id.to_hex(), std::string(to_string(one.protocol)), age_of(one.millis), std::to_string(one.locks),
                 std::to_string(one.blocks.size() + one.queries_blocked), one.why});
    }
    session.print(table);
    warn_of_unreachable(session, *sights);
  }
  return sights->unreachable.empty() ? ExitCode::ok : ExitCode::unhealthy;
}

// Those that stand alone are left out.
ExitCode run(const Session& session, const GroupLocksCommand&) {
  const client::Result<client::Sights> sights = session.client.sights({});
  if (!sights) return session.fail(sights.error());
  Json list = Json::array();
  Table table({"GROUP", "TXID", "STAGE", "AGE", "LOCKS", "WAITS FOR", "BLOCKS", "QUERIES", "KEYS"});
  for (const client::GroupSight& one : sights->seen) {
    const Sight& sight = one.sight;
    if (sight.waits_for.empty() && sight.blocks.empty() && sight.queries_blocked == 0) continue;
    const std::vector<std::string> waits_for = hex(sight.waits_for);
    const std::vector<std::string> blocks = hex(sight.blocks);
    list.push_back({{"group", one.group},
                    {"txnId", sight.txn.to_hex()},
                    {"stage", to_string(sight.stage)},
                    {"ageMillis", std::to_string(sight.millis)},
                    {"locks", std::to_string(sight.locks)},
                    {"waitsFor", waits_for},
                    {"blocks", blocks},
                    {"queriesBlocked", std::to_string(sight.queries_blocked)},
                    {"wantedKeys", sight.wanted_keys},
                    {"contestedKeys", sight.contested_keys}});
    table.add({one.group, sight.txn.to_hex(), std::string(to_string(sight.stage)), age_of(sight.millis),
               std::to_string(sight.locks), fmt::format("{}", fmt::join(waits_for, " ")),
               fmt::format("{}", fmt::join(blocks, " ")), std::to_string(sight.queries_blocked), keys_of(sight)});
  }
  if (session.json()) {
    session.print(Json{{"locks", std::move(list)}, {"unreachable", unreachable_json(*sights)}});
  } else {
    session.print(table);
    warn_of_unreachable(session, *sights);
  }
  return sights->unreachable.empty() ? ExitCode::ok : ExitCode::unhealthy;
}

// What nobody sees any more is over, or never was: then its outcome is the explanation.
ExitCode run(const Session& session, const TxnExplainCommand& command) {
  const client::Result<client::Sights> sights = session.client.sights(command.id);
  if (!sights) return session.fail(sights.error());
  if (!seen(*sights))
    return conclude(session, session.client.get_outcome({.id = command.id, .seal = false, .group = {}}));
  const client::Explanation one = client::explain(command.id, *sights);
  if (session.json()) {
    session.print(to_json(one));
  } else {
    print(session, one);
  }
  return ExitCode::unknown;
}

}  // namespace assent::cli
