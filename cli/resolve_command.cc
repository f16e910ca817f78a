// assentctl txn resolve: the protocol's own resolution, asked for by a person.
//
// Only a transaction in doubt is resolved. One that runs ends by itself, one that is over has its outcome, and one that
// nobody knows has nothing to resolve (txn seal keeps it from ever beginning). What the votes do not prove is refused:
// the registers are asked, never overruled. With --heuristic a person then forces an end on the shards that are in
// doubt; the registers still say what they said, and what it comes to is held against what was forced. Where a
// transaction is decided and a service keeps failing to do its part, --heuristic says that a person did it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/outcome_text.h"
#include "cli/session.h"
#include "client/explain.h"

namespace assent::cli {

namespace {

bool in_doubt(const client::Sights& sights) {
  return std::any_of(sights.seen.begin(), sights.seen.end(), [](const client::GroupSight& one) {
    return one.sight.stage == Stage::in_doubt || one.sight.stage == Stage::resolving;
  });
}

// A coordinator that still counts its votes will end it; a decided one is only being carried out.
const client::GroupSight* attendant(const client::Sights& sights) {
  for (const client::GroupSight& one : sights.seen) {
    const bool runs = one.sight.stage == Stage::collecting || one.sight.stage == Stage::deciding;
    if (runs || one.sight.stage == Stage::finishing) return &one;
  }
  return nullptr;
}

ExitCode resolve_finished(const Session& session, const TxnId& id) {
  const client::Result<client::TxnOutcome> told = session.client.get_outcome({.id = id, .seal = false, .group = {}});
  if (!told) return session.fail(told.error());
  if (!told->definite()) return conclude(session, told);
  return refuse(session, id, fmt::format("it is over: it {}", told->committed() ? "committed" : "aborted"),
                "nothing is left to resolve; see assentctl txn get");
}

// Where it may be forced: in doubt, not forced yet, and named if any are named.
std::vector<std::string> shards_to_force(const client::Sights& sights, const std::vector<std::string>& named) {
  std::vector<std::string> shards;
  for (const client::GroupSight& one : sights.seen) {
    const bool doubt = one.sight.stage == Stage::in_doubt || one.sight.stage == Stage::resolving;
    const bool wanted = named.empty() || std::find(named.begin(), named.end(), one.group) != named.end();
    if (doubt && wanted && !one.sight.heuristic) shards.push_back(one.group);
  }
  return shards;
}

ExitCode force(const Session& session, const TxnResolveCommand& command, const client::Sights& sights) {
  const client::Explanation one = client::explain(command.id, sights);
  const std::vector<std::string> shards = shards_to_force(sights, command.on);
  if (shards.empty()) {
    return refuse(session, command.id, "no shard where it may be forced is in doubt about it: " + one.why, one.next);
  }
  const std::string question =
      fmt::format("{}\n{}\nTo {} it all the same", one.why, one.proof, *command.heuristic ? "commit" : "abort");
  if (!command.yes && !confirmed(session, command.id, question)) {
    return refuse(session, command.id, "not confirmed; nothing was forced", "type the digits, or give --yes");
  }
  for (const std::string& shard : shards) {
    const client::Result<client::TxnOutcome> told =
        session.client.force({command.id, shard, *command.heuristic, command.reason});
    if (!told) return session.fail(told.error());
  }
  const client::Result<client::Sights> after = session.client.sights(command.id);
  if (!after) return session.fail(after.error());
  const client::Explanation now = client::explain(command.id, *after);
  if (session.json()) {
    session.print(Json{{"txnId", command.id.to_hex()}, {"state", now.state}, {"heuristics", now.heuristics}});
  } else {
    print_fact(session, "txid", command.id.to_hex());
    print_fact(session, "state", now.state);
    for (const std::string& words : now.heuristics) print_fact(session, "heuristic", words);
  }
  return ExitCode::ok;
}

// Services that keep failing to do what was decided, and are named if any are named.
std::vector<std::string> services_to_end(const client::Sights& sights, const std::vector<std::string>& named) {
  std::vector<std::string> services;
  for (const client::GroupSight& one : sights.seen) {
    for (const std::string& name : one.failing) {
      const bool wanted = named.empty() || std::find(named.begin(), named.end(), name) != named.end();
      if (wanted) services.push_back(name);
    }
  }
  return services;
}

ExitCode end_services(const Session& session, const TxnResolveCommand& command, const client::Sights& sights,
                      const std::vector<std::string>& services) {
  const client::Explanation one = client::explain(command.id, sights);
  const std::string question = fmt::format("{}\nTo say that {} was brought to its {} by hand", one.why,
                                           fmt::join(services, ", "), *command.heuristic ? "commit" : "abort");
  if (!command.yes && !confirmed(session, command.id, question)) {
    return refuse(session, command.id, "not confirmed; nothing was changed", "type the digits, or give --yes");
  }
  client::Result<client::TxnOutcome> told = client::TxnOutcome{};
  for (const std::string& service : services) {
    told = session.client.end_service({command.id, service, *command.heuristic, command.reason});
    if (!told && told.error().code == client::ErrorCode::refused) {
      return refuse(session, command.id, told.error().message, one.next);
    }
    if (!told) return session.fail(told.error());
  }
  return conclude(session, told);
}

}  // namespace

ExitCode run(const Session& session, const TxnResolveCommand& command) {
  const client::Result<client::Sights> before = session.client.sights(command.id);
  if (!before) return session.fail(before.error());
  if (command.heuristic) {
    const std::vector<std::string> services = services_to_end(*before, command.on);
    if (!services.empty()) return end_services(session, command, *before, services);
  }
  if (const client::GroupSight* busy = attendant(*before)) {
    const client::Explanation one = client::explain(command.id, *before);
    return refuse(session, command.id, fmt::format("{} attends to it: {}", busy->group, one.why), one.next);
  }
  if (!in_doubt(*before)) return resolve_finished(session, command.id);
  // The shards' own question to the others is under way or about to be; this one asks the coordinator to do the same.
  const client::OutcomeRequest question{command.id, true, command.wait, {}};
  const client::Result<client::TxnOutcome> told =
      session.client.get_outcome(question, session.global.timeout + command.wait);
  if (told && told->definite()) return conclude(session, told);
  const client::Result<client::Sights> after = session.client.sights(command.id);
  if (!after) return session.fail(after.error());
  if (!in_doubt(*after))
    return conclude(session, session.client.get_outcome({.id = command.id, .seal = false, .group = {}}));
  if (command.heuristic) return force(session, command, *after);
  const client::Explanation one = client::explain(command.id, *after);
  return refuse(session, command.id, one.proof.empty() ? one.why : one.proof, one.next);
}

}  // namespace assent::cli
