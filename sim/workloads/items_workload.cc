#include "sim/workloads/items_workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace assent::sim {
namespace {

constexpr unsigned operations_max = 8;
constexpr unsigned writes_of_a_list_max = 40;
constexpr std::size_t read_at_once = 20;

// The numbers of "3 17 5"; nullopt when there is anything else.
std::optional<check::List> numbers(std::string_view text) {
  check::List out;
  while (!text.empty()) {
    check::Number number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec != std::errc{}) return std::nullopt;
    out.push_back(number);
    text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
    if (text.starts_with(' ')) text.remove_prefix(1);
  }
  return out;
}

std::string text_of(const SqlValue& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  if (const auto* string = std::get_if<std::string>(&value)) return *string;
  if (const auto* blob = std::get_if<SqlBlob>(&value)) return blob->bytes;
  return {};
}

}  // namespace

ItemsWorkload::ItemsWorkload(const Scene& scene, ItemKind kind) : scene_(scene), kind_(kind) {
  hot_ = scene_.rng.between(1, 3);
  const std::size_t items = hot_ + scene_.rng.between(2, 20);
  while (active_.size() < items) active_.push_back(fresh_++);
}

std::string ItemsWorkload::name_of(Item item) const {
  return fmt::format("{}/{}", kind_ == ItemKind::list ? "list" : "register", item);
}

std::vector<Work> ItemsWorkload::opening(GroupId) {
  if (!sql()) return {};
  if (kind_ == ItemKind::list)
    return {{SqlStatement{"CREATE TABLE lists(id INTEGER PRIMARY KEY, v TEXT NOT NULL)", {}}}};
  return {{SqlStatement{"CREATE TABLE registers(id INTEGER PRIMARY KEY, v INTEGER NOT NULL)", {}}}};
}

// ---- drawing ----

ItemsWorkload::Item ItemsWorkload::draw_item(Rng& rng) {
  const std::size_t place = rng.chance(0.5) ? rng.below(hot_) : hot_ + rng.below(active_.size() - hot_);
  if (kind_ == ItemKind::list && writes_[active_[place]] >= writes_of_a_list_max) active_[place] = fresh_++;
  return active_[place];
}

Deed ItemsWorkload::next(unsigned, Rng& rng) {
  if (rng.chance(scene_.swarm.query_share)) {
    const Item item = draw_item(rng);
    std::vector<Item> items{item};
    for (const Item other : active_) {
      if (other != item && shard_of(other) == shard_of(item) && rng.chance(0.3)) items.push_back(other);
    }
    return question(shard_of(item), std::move(items), false);
  }
  const bool only_reads = rng.chance(scene_.swarm.read_share);
  std::vector<Step> steps;
  for (std::uint64_t n = rng.between(1, operations_max); n > 0; --n) {
    steps.push_back({draw_item(rng), !only_reads && rng.chance(0.5), 0});
  }
  return transaction(std::move(steps));
}

// ---- transactions ----

Transaction ItemsWorkload::transaction(std::vector<Step> steps) {
  std::stable_sort(steps.begin(), steps.end(),
                   [this](const Step& a, const Step& b) { return shard_of(a.item) < shard_of(b.item); });
  const auto draft = std::make_shared<Draft>();  // of the attempt under way
  draft->steps = std::move(steps);
  const auto writes =
      std::count_if(draft->steps.begin(), draft->steps.end(), [](const Step& step) { return step.write; });
  Transaction out;
  out.what = fmt::format("{} reads and {} writes", draft->steps.size() - static_cast<std::size_t>(writes), writes);
  out.only_reads = writes == 0;
  out.begin = [this, draft](const TxnId&) { return begin(*draft); };
  out.ended = [this, draft](const TxnId&, const Ended& how) { ended(*draft, how); };
  out.history = [this, draft](const Ended* how) {
    std::map<GroupId, const WorkResult*> results;
    if (how != nullptr && how->how == Ended::How::committed) {
      for (const BranchResult& branch : how->answer.results) results[branch.shard] = &branch.result;
    }
    return micros(draft->steps, results);
  };
  return out;
}

// Each attempt writes values of its own.
std::vector<Branch> ItemsWorkload::begin(Draft& draft) {
  draft.put.clear();
  std::map<GroupId, Work> work;
  for (Step& step : draft.steps) {
    const bool blind = kind_ == ItemKind::list && !sql() && stale_.contains(step.item);
    if (blind) step.write = false;
    if (step.write) {
      step.value = ++last_value_;
      ++writes_[step.item];
    }
    add_operations(work[shard_of(step.item)], step, draft);
  }
  return branches_of(std::move(work));
}

void ItemsWorkload::add_operations(Work& work, const Step& step, Draft& draft) const {
  const auto item = static_cast<std::int64_t>(step.item);
  if (sql()) {
    const std::string table = kind_ == ItemKind::list ? "lists" : "registers";
    if (!step.write) {
      work.emplace_back(SqlStatement{"SELECT v FROM " + table + " WHERE id = ?1", {SqlValue(item)}});
    } else if (kind_ == ItemKind::list) {
      work.emplace_back(
          SqlStatement{"INSERT INTO lists(id, v) VALUES(?1, ?2) ON CONFLICT(id) DO UPDATE SET v = v || ' ' || ?2",
                       {SqlValue(item), SqlValue(std::to_string(step.value))}});
    } else {
      work.emplace_back(SqlStatement{"INSERT INTO registers(id, v) VALUES(?1, ?2) ON CONFLICT(id) DO UPDATE SET v = ?2",
                                     {SqlValue(item), SqlValue(step.value)}});
    }
    return;
  }
  const std::string key = name_of(step.item);
  if (!step.write) {
    work.emplace_back(KvGet{key});
  } else if (kind_ == ItemKind::number) {
    work.emplace_back(KvPut{key, std::to_string(step.value)});
  } else {
    const auto own = draft.put.find(step.item);
    const auto seen = seen_.find(step.item);
    const std::string before = own != draft.put.end() ? own->second
                               : seen != seen_.end()  ? seen->second
                                                      : std::string();
    const std::string after = before + (before.empty() ? "" : " ") + std::to_string(step.value);
    work.emplace_back(KvExpect{key, before.empty() ? std::nullopt : std::optional<Bytes>(before)});
    work.emplace_back(KvPut{key, after});
    draft.put[step.item] = after;
  }
}

void ItemsWorkload::ended(const Draft& draft, const Ended& ended) {
  for (const auto& [item, text] : draft.put) {
    if (ended.how == Ended::How::committed) {
      seen_[item] = text;
    } else {
      stale_.insert(item);
    }
  }
}

// ---- reading ----

Question ItemsWorkload::question(GroupId shard, const std::vector<Item>& items, bool must_be_answered) {
  std::vector<Step> steps;
  steps.reserve(items.size());
  Work work;
  Draft none;
  for (const Item item : items) {
    steps.push_back({item, false, 0});
    add_operations(work, steps.back(), none);
  }
  Question out;
  out.what = fmt::format("a query of {} items on group {}", items.size(), shard);
  out.shard = shard;
  out.work = std::move(work);
  out.answered = [this, shard, must_be_answered](const std::optional<QueryAnswer>& answer) {
    if (!answer && must_be_answered) scene_.recorder.stuck(fmt::format("the items of group {} cannot be read", shard));
  };
  out.history = [this, shard, steps](const QueryAnswer* answer) {
    std::map<GroupId, const WorkResult*> results;
    if (answer != nullptr) results[shard] = &answer->result;
    return micros(steps, results);
  };
  return out;
}

std::vector<check::Micro> ItemsWorkload::micros(const std::vector<Step>& steps,
                                                const std::map<GroupId, const WorkResult*>& results) {
  std::map<GroupId, std::size_t> place;
  std::vector<check::Micro> out;
  for (const Step& step : steps) {
    const GroupId shard = shard_of(step.item);
    const auto found = results.find(shard);
    std::size_t& at = place[shard];
    if (step.write) {
      at += kind_ == ItemKind::list && !sql() ? 2 : 1;
      out.push_back(
          {kind_ == ItemKind::list ? check::OpKind::append : check::OpKind::write, name_of(step.item), step.value});
      continue;
    }
    check::Value value;
    if (found != results.end()) {
      if (at < found->second->size()) {
        value = read(step.item, (*found->second)[at]);
      } else {
        scene_.recorder.wrong(fmt::format("the results of group {} have a wrong shape", shard));
      }
    }
    ++at;
    out.push_back({check::OpKind::read, name_of(step.item), std::move(value)});
  }
  return out;
}

check::Value ItemsWorkload::read(Item item, const OperationResult& result) {
  const bool absent = result.rows.empty();
  const std::string text = absent || result.rows[0].empty() ? std::string() : text_of(result.rows[0][0]);
  const auto found = numbers(text);
  if (!found || (absent != found->empty()) || result.rows.size() > 1 ||
      (kind_ == ItemKind::number && found->size() > 1)) {
    scene_.recorder.wrong(fmt::format("{} is read as '{}', which nobody wrote", name_of(item), text));
    return {};
  }
  if (kind_ == ItemKind::number) return absent ? check::Value() : check::Value(found->front());
  seen_[item] = text;
  stale_.erase(item);
  return *found;
}

// ---- the end ----

// All items that ever were, some of one shard at a time; then a last write, made from what was just read, and its read.
std::optional<Deed> ItemsWorkload::last(std::size_t step) {
  const std::size_t shards = scene_.shards.size();
  const std::size_t parts = (fresh_ + shards * read_at_once - 1) / (shards * read_at_once);
  const std::size_t shard = step / parts;
  if (step == shards * parts)
    return transaction({{active_[0], true, 0}, {active_[1], false, 0}, {active_[2], true, 0}});
  if (step == shards * parts + 1)
    return transaction({{active_[0], false, 0}, {active_[1], false, 0}, {active_[2], false, 0}});
  if (shard >= shards) return std::nullopt;
  std::vector<Item> items;
  for (Item item = shard + step % parts * read_at_once * shards; item < fresh_ && items.size() < read_at_once;
       item += shards) {
    items.push_back(item);
  }
  if (items.empty()) items.push_back(shard);
  return question(scene_.shards[shard], std::move(items), true);
}

}  // namespace assent::sim
