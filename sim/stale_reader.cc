#include "sim/stale_reader.h"

#include <algorithm>
#include <array>

#include "node/shard_app.h"
#include "sim/watched_application.h"

namespace assent::sim {
namespace {

constexpr std::size_t seen_max = 8;
constexpr std::array<Micros, 5> bounds{5 * millisecond, 30 * millisecond, 150 * millisecond, 1 * second, 5 * second};

const ShardApp* shard_of(Process& process, GroupId shard) {
  const auto* watched = dynamic_cast<const WatchedApplication*>(process.loop().application(shard));
  return watched == nullptr ? nullptr : dynamic_cast<const ShardApp*>(&watched->real());
}

}  // namespace

void StaleReader::begin() {
  schedule_.after(rng_.between(1, 2 * gap_), [this] {
    if (over_) return;
    ask();
    begin();
  });
}

void StaleReader::ask() {
  const GroupId shard = shards_[rng_.below(shards_.size())];
  auto place = processes_.begin();
  std::advance(place, static_cast<std::ptrdiff_t>(rng_.below(processes_.size())));
  const Micros bound = bounds.at(rng_.below(bounds.size()));
  const auto seen = seen_.find(shard);
  if (!place->second->up() || seen == seen_.end()) return;
  Query query{seen->second[rng_.below(seen->second.size())]};
  query.max_staleness_micros = bound;
  const RequestId id(++last_id_);
  waiting_.emplace(id, Waiting{place->first, shard, query});
  place->second->deliver(ClientRequest{id, shard, std::move(query)});
}

void StaleReader::saw(GroupId group, const ClientBody& body) {
  const auto* query = std::get_if<Query>(&body);
  if (query == nullptr || query->rehearse || query->unchanged_since) return;
  std::deque<Work>& seen = seen_[group];
  if (!seen.empty() && seen.back() == query->work) return;
  seen.push_back(query->work);
  if (seen.size() > seen_max) seen.pop_front();
}

void StaleReader::applied(GroupId group, Index index) {
  std::vector<Progress>& progress = progress_[group];
  if (!progress.empty() && progress.back().index >= index) return;
  progress.push_back({schedule_.now(), index});
}

void StaleReader::told(const TxnId& txn) { told_.emplace(txn, schedule_.now()); }

void StaleReader::went_down(NodeId node) {
  std::erase_if(waiting_, [node](const auto& one) { return one.second.node == node; });
}

void StaleReader::read(NodeId node, GroupId group, const Query& query) {
  for (auto& [id, waiting] : waiting_) {
    if (waiting.node != node || waiting.shard != group || waiting.query != query) continue;
    if (!waiting.read_at) waiting.read_at = schedule_.now();
  }
}

void StaleReader::heard(Process& process, const ClientReply& reply) {
  const auto found = waiting_.find(reply.id);
  if (found == waiting_.end() || found->second.node != process.node()) {
    return recorder_.wrong(fmt::format("node {} answered a stale read twice", process.node()));
  }
  const Waiting read = std::move(found->second);
  waiting_.erase(found);
  if (!reply.answer) {
    const Error& error = reply.answer.error();
    recorder_.trace(static_cast<std::uint64_t>(error.code));
    recorder_.outcome("stale read: " + std::string(to_string(error.code)));
    recorder_.say("node {} refuses a stale read of group {}: {}", process.node(), read.shard, error.message);
    return;
  }
  const auto& answer = std::get<QueryAnswer>(*reply.answer);
  recorder_.trace(answer.at, answer.age_micros_max.value_or(0));
  recorder_.outcome("stale read");
  judge(process, read, answer);
}

void StaleReader::judge(Process& process, const Waiting& read, const QueryAnswer& answer) {
  const std::uint64_t bound = *read.query.max_staleness_micros;
  if (!answer.age_micros_max || *answer.age_micros_max > bound) {
    return recorder_.wrong(
        fmt::format("S1 stale reads: node {} answered a read that may be {} us old without saying "
                    "that it is no older",
                    process.node(), bound));
  }
  if (!read.read_at) return recorder_.wrong(fmt::format("node {} answered a stale read unread", process.node()));
  const Micros moment = *read.read_at - std::min<Micros>(*read.read_at, *answer.age_micros_max);
  recorder_.say("node {} answers a stale read of group {} as of {}, at most {} us old", process.node(), read.shard,
                answer.at, *answer.age_micros_max);
  if (const Index needed = applied_before(read.shard, moment); needed > answer.at) {
    return recorder_.wrong(
        fmt::format("S2 stale reads: node {} answered for group {} as of {}, at most {} us old; {} had been applied "
                    "somewhere before that",
                    process.node(), read.shard, answer.at, *answer.age_micros_max, needed));
  }
  judge_hidden(process, read, moment);
}

Index StaleReader::applied_before(GroupId group, Micros moment) const {
  const auto found = progress_.find(group);
  if (found == progress_.end()) return {};
  const auto behind = std::ranges::lower_bound(found->second, moment, {}, &Progress::at);
  return behind == found->second.begin() ? Index() : std::prev(behind)->index;
}

void StaleReader::judge_hidden(Process& process, const Waiting& read, Micros moment) {
  const ShardApp* app = shard_of(process, read.shard);
  if (app == nullptr || app->binding().machine().all_prepared().empty()) return;
  bool follows = true;
  for (const GroupStatus& status : process.loop().status()) {
    if (status.config.id == read.shard) follows = !status.log.leadership.self_leads;
  }
  if (follows) recorder_.outcome("stale read of a follower with prepared transactions");
  // It leaves no trace; the loop is at rest meanwhile.
  auto* resources = const_cast<ResourceManager*>(  // NOLINT
      dynamic_cast<const ResourceManager*>(&app->binding().store()));
  const auto evaluated = resources->query(read.query.work);
  if (!evaluated) return;
  for (const TxnId& txn : app->binding().machine().locks().conflicts(evaluated->effects.locks, {})) {
    const auto told = told_.find(txn);
    if (told == told_.end() || told->second >= moment) continue;
    return recorder_.wrong(
        fmt::format("S3 stale reads: node {} answered for group {} without {}, which was told "
                    "committed before what the answer says of its age",
                    process.node(), read.shard, txn));
  }
}

}  // namespace assent::sim
