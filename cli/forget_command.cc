// assentctl txn forget: a person has dealt with what was forced on a transaction.
//
// Nothing is changed but the list: no row, no vote, no outcome. What was forced stays listed until somebody says this,
// and cannot be forgotten before the transaction's own outcome is known, against which it is held.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/outcome_text.h"
#include "cli/session.h"
#include "client/explain.h"

namespace assent::cli {

namespace {

// Where something was forced on it, of those that are named if any are.
std::vector<const client::GroupSight*> forced_at(const client::Sights& sights, const std::vector<std::string>& named) {
  std::vector<const client::GroupSight*> forced;
  for (const client::GroupSight& one : sights.seen) {
    const bool wanted = named.empty() || std::find(named.begin(), named.end(), one.group) != named.end();
    if (wanted && one.sight.heuristic) forced.push_back(&one);
  }
  return forced;
}

ExitCode conclude_forgotten(const Session& session, const TxnId& id, const std::vector<std::string>& shards,
                            const client::Sights& sights) {
  if (session.json()) {
    session.print(Json{{"txnId", id.to_hex()}, {"forgotten", shards}});
  } else {
    print_fact(session, "txid", id.to_hex());
    print_fact(session, "forgotten", fmt::format("{}", fmt::join(shards, " ")));
  }
  for (const auto& [group, why] : sights.unreachable) {
    session.console.err << fmt::format("assentctl: {} could not be asked, and may still list it: {}\n", group, why);
  }
  return sights.unreachable.empty() ? ExitCode::ok : ExitCode::unhealthy;
}

}  // namespace

ExitCode run(const Session& session, const TxnForgetCommand& command) {
  const client::Result<client::Sights> sights = session.client.sights(command.id);
  if (!sights) return session.fail(sights.error());
  const std::vector<const client::GroupSight*> forced = forced_at(*sights, command.on);
  if (forced.empty()) {
    return refuse(session, command.id, "nothing that was forced on it is listed at a shard that could be asked",
                  sights->unreachable.empty() ? "there is nothing to forget"
                                              : "a group that could not be asked may: see assentctl cluster status");
  }
  const client::Explanation one = client::explain(command.id, *sights);
  for (const client::GroupSight* at : forced) {
    if (at->sight.stage == Stage::forced) continue;
    return refuse(
        session, command.id,
        fmt::format("it has not ended at {}: its outcome is still to be held against what was forced", at->group),
        one.next);
  }
  const std::string question = fmt::format("{}\nTo forget that", fmt::join(one.heuristics, "\n"));
  if (!command.yes && !confirmed(session, command.id, question)) {
    return refuse(session, command.id, "not confirmed; nothing was forgotten", "type the digits, or give --yes");
  }
  std::vector<std::string> shards;
  for (const client::GroupSight* at : forced) {
    const client::Result<client::TxnOutcome> told = session.client.forget({command.id, at->group, command.reason});
    if (!told) return session.fail(told.error());
    shards.push_back(at->group);
  }
  return conclude_forgotten(session, command.id, shards, *sights);
}

}  // namespace assent::cli
