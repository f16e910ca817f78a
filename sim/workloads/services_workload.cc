#include "sim/workloads/services_workload.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "sim/services/connection.h"

namespace assent::sim {
namespace {

constexpr unsigned spots = 4;
constexpr unsigned accounts = 3;
constexpr std::uint64_t usual_retention_millis = 600'000;

Mode draw_mode(Rng& rng) {
  const std::uint64_t draw = rng.below(10);
  return draw < 4 ? Mode::atomic : draw < 5 ? Mode::tcc : draw < 8 ? Mode::saga : Mode::concurrent_saga;
}

}  // namespace

std::vector<Work> ServicesWorkload::opening(GroupId) {
  Work fill;
  for (unsigned spot = 0; spot < spots; ++spot) {
    if (scene_.swarm.backend == Backend::sql) {
      fill.emplace_back(SqlStatement{"INSERT INTO tally VALUES(?1, 0)", {SqlValue(std::int64_t{spot})}});
    } else {
      fill.emplace_back(KvPut{fmt::format("tally/{}", spot), "0"});
    }
  }
  std::vector<Work> steps;
  if (scene_.swarm.backend == Backend::sql) {
    steps.push_back({SqlStatement{"CREATE TABLE tally(id INTEGER PRIMARY KEY, n INTEGER NOT NULL)", {}}});
  }
  steps.push_back(std::move(fill));
  return steps;
}

Work ServicesWorkload::shard_work(unsigned spot) const {
  if (scene_.swarm.backend == Backend::sql) {
    return {SqlStatement{"UPDATE tally SET n = n + 1 WHERE id = ?1", {SqlValue(std::int64_t{spot})}}};
  }
  return {KvAdd{fmt::format("tally/{}", spot), 1, std::nullopt, std::nullopt}};
}

ServicesWorkload::Plan ServicesWorkload::draw(Rng& rng) const {
  Plan plan;
  plan.mode = draw_mode(rng);
  plan.spot = static_cast<unsigned>(rng.below(spots));
  const std::uint64_t count = rng.between(1, 4);
  for (std::uint64_t i = 0; i < count; ++i) {
    Part part;
    part.site = rng.below(scene_.swarm.services.size());
    part.account = fmt::format("a{}", rng.below(accounts));
    part.fails = rng.chance(scene_.swarm.service_faults.refuse);
    plan.parts.push_back(std::move(part));
  }
  // Who may not refuse is one of its own kind: a database's no is for good. And none where ended branches are forgotten
  // while somebody may still call: a step that is put off for so long is refused as too old (docs/SERVICES.md).
  const bool saga = is_saga(plan.mode) && scene_.swarm.retention_millis >= usual_retention_millis;
  for (auto part = plan.parts.rbegin(); part != plan.parts.rend() && saga && rng.chance(0.4); ++part) {
    if (!is_ledger(*part)) break;
    part->retriable = true;
  }
  for (const GroupId shard : scene_.shards) {
    if (rng.chance(0.4)) plan.shards.push_back(shard);
  }
  return plan;
}

Transaction ServicesWorkload::transaction(Plan plan) const {
  Transaction out;
  out.what =
      fmt::format("{} over {} services and {} shards", to_string(plan.mode), plan.parts.size(), plan.shards.size());
  out.mode = plan.mode;
  out.begin = [this, plan](const TxnId& txn) {
    std::vector<Branch> branches;
    for (const GroupId shard : plan.shards) branches.push_back(Branch{shard, shard_work(plan.spot)});
    for (std::size_t i = 0; i < plan.parts.size(); ++i) {
      const Part& part = plan.parts[i];
      const ServiceSpec& spec = scene_.swarm.services[part.site];
      ServiceWork work;
      work.at = {fmt::format("b{}", i), spec.target, spec.name};
      work.retriable = part.retriable;
      work.payload = is_ledger(part) ? fmt::format("{} {}", part.retriable ? "retriable" : "voting", part.account)
                                     : statements_of({txn, work.at.name}, part.account, -1, part.fails);
      branches.push_back(Branch{GroupId(first_service.value + i), {}, std::move(work)});
    }
    return branches;
  };
  out.ended = [](const TxnId&, const Ended&) {};
  return out;
}

Deed ServicesWorkload::next(unsigned, Rng& rng) { return transaction(draw(rng)); }

// One of each mode over everything.
std::optional<Deed> ServicesWorkload::last(std::size_t step) {
  constexpr std::array<Mode, 4> modes = {Mode::atomic, Mode::tcc, Mode::saga, Mode::concurrent_saga};
  if (step >= modes.size()) return std::nullopt;
  Plan plan;
  plan.mode = modes[step];
  plan.shards = scene_.shards;
  for (std::size_t site = 0; site < scene_.swarm.services.size(); ++site) {
    Part part;
    part.site = site;
    part.account = "a0";
    plan.parts.push_back(std::move(part));
  }
  return transaction(std::move(plan));
}

}  // namespace assent::sim
