#include "cli/items/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/check.h"

namespace assent::items {

namespace {

using check::Micro;
using check::OpKind;
using std::chrono::milliseconds;

constexpr std::size_t hot_items = 3;
constexpr std::size_t active_items = 40;
constexpr std::uint64_t operations_max = 8;
constexpr unsigned writes_of_a_list_max = 60;
constexpr std::size_t read_at_once = 50;
constexpr milliseconds pause_after_failure{100};
constexpr milliseconds question_timeout{5'000};
constexpr milliseconds last_read_timeout{30'000};

constexpr const char* lists_sql = "CREATE TABLE IF NOT EXISTS bench_lists(id INTEGER PRIMARY KEY, v TEXT NOT NULL)";
constexpr const char* registers_sql =
    "CREATE TABLE IF NOT EXISTS bench_registers(id INTEGER PRIMARY KEY, v INTEGER NOT NULL)";

// In "3 17 5", or in one number.
check::List numbers(const SqlValue& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return {*number};
  std::string_view text;
  if (const auto* string = std::get_if<std::string>(&value)) text = *string;
  if (const auto* blob = std::get_if<SqlBlob>(&value)) text = blob->bytes;
  check::List out;
  while (!text.empty()) {
    check::Number number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec != std::errc{}) break;
    out.push_back(number);
    text.remove_prefix(std::min(text.size(), static_cast<std::size_t>(parsed.ptr - text.data()) + 1));
  }
  return out;
}

}  // namespace

Load::Load(client::Client& client, Options options, bank::History* file)
    : client_(client), options_(options), file_(file) {
  const Rng root(options_.seed);
  for (std::uint32_t i = 0; i < options_.clients; ++i) {
    workers_.push_back(std::make_unique<Worker>(Worker{i, root.split("client " + std::to_string(i)), {}}));
  }
  next_process_ = options_.clients;
}

Load::~Load() { ASSENT_CHECK(running_ == 0, "a Load is destroyed while its clients run"); }

client::Result<bool> Load::set_up() {
  const client::Result<client::ClusterStatus> status = client_.status();
  if (!status) return tl::unexpected(status.error());
  shards_ = status->shards();
  std::sort(shards_.begin(), shards_.end());
  if (shards_.empty()) return client::fail(client::ErrorCode::not_found, "this cluster has no shards");
  for (const std::string& shard : shards_) {
    for (const char* table : {lists_sql, registers_sql}) {
      const auto made = client_.run_with_retry([&](const TxnId&) {
        client::Transaction transaction;
        transaction.on(shard, client::sql(table));
        return transaction;
      });
      if (!made) return tl::unexpected(made.error());
      if (!made->committed()) {
        return client::fail(client::ErrorCode::refused,
                            fmt::format("cannot make tables on {}: {}", shard, made->abort.message + made->note));
      }
    }
  }
  base_ = static_cast<Item>(client::new_txn_id().created().value) * 10'000;
  fresh_ = base_;
  while (active_.size() < active_items) active_.push_back(fresh_++);
  return true;
}

void Load::start() {
  {
    const std::lock_guard lock(mutex_);
    running_ = workers_.size();
  }
  for (const std::unique_ptr<Worker>& worker : workers_) next(*worker);
}

void Load::stop() {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  idle_.wait(lock, [this] { return running_ == 0; });
}

Tally Load::tally() const {
  const std::lock_guard lock(mutex_);
  return tally_;
}

// ---- what is done ----

const std::string& Load::shard_of(Item item) const { return shards_[static_cast<std::size_t>(item) % shards_.size()]; }

// Lists are rows; of the registers every other one on a shard is a key.
Operation Load::operation(const Step& step) const {
  if (options_.kind == Kind::list) {
    if (!step.write) return client::sql("SELECT v FROM bench_lists WHERE id = ?1", step.item);
    return client::sql("INSERT INTO bench_lists(id, v) VALUES(?1, ?2) ON CONFLICT(id) DO UPDATE SET v = v || ' ' || ?2",
                       step.item, std::to_string(step.value));
  }
  const bool key = static_cast<std::size_t>(step.item) / shards_.size() % 2 == 1;
  if (key && step.write) return KvPut{fmt::format("bench/{}", step.item), std::to_string(step.value)};
  if (key) return KvGet{fmt::format("bench/{}", step.item)};
  if (!step.write) return client::sql("SELECT v FROM bench_registers WHERE id = ?1", step.item);
  return client::sql("INSERT INTO bench_registers(id, v) VALUES(?1, ?2) ON CONFLICT(id) DO UPDATE SET v = ?2",
                     step.item, step.value);
}

client::Transaction Load::transaction(const std::vector<Step>& steps) const {
  client::Transaction out;
  for (const Step& step : steps) out.on(shard_of(step.item), operation(step));
  if (out.branches.size() > 1) out.protocol = options_.protocol;
  return out;
}

Load::Item Load::draw_item(Rng& rng) {
  Item& item = active_[rng.chance(0.3) ? rng.below(hot_items) : rng.below(active_.size())];
  if (options_.kind == Kind::list && writes_[item] >= writes_of_a_list_max) item = fresh_++;
  return item;
}

std::vector<Load::Step> Load::draw(Rng& rng) {
  std::vector<Step> steps;
  const bool only_reads = rng.chance(0.1);
  for (std::uint64_t n = rng.between(1, operations_max); n > 0; --n) {
    Step step{draw_item(rng), !only_reads && rng.chance(0.5), 0};
    if (step.write) {
      step.value = ++last_value_;
      ++writes_[step.item];
    }
    steps.push_back(step);
  }
  return steps;
}

// ---- one client ----

void Load::next(Worker& worker) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      if (--running_ == 0) idle_.notify_all();
      return;
    }
    worker.steps = draw(worker.rng);
    record(check::EventType::invoke, worker.process, micros(worker.steps, {}));
  }
  client_.execute_async(
      transaction(worker.steps),
      [this, &worker](const client::Result<client::TxnOutcome>& result) { finished(worker, result); },
      options_.timeout);
}

void Load::finished(Worker& worker, const client::Result<client::TxnOutcome>& result) {
  if (result && !result->definite()) {
    {
      const std::lock_guard lock(mutex_);
      tally_.unknown += 1;
      tally_.last_trouble = result->note;
    }
    return resolve(worker, *result, std::chrono::steady_clock::now() + options_.resolve_patience);
  }
  {
    const std::lock_guard lock(mutex_);
    if (result && result->committed()) {
      committed(worker, *result);
    } else {
      (result ? tally_.aborted : tally_.failed) += 1;
      tally_.last_trouble = result ? result->abort.message : result.error().message;
      record(check::EventType::fail, worker.process, micros(worker.steps, {}));
    }
  }
  if (result) return next(worker);
  client_.call_later(pause_after_failure, [this, &worker] { next(worker); });
}

void Load::resolve(Worker& worker, const client::TxnOutcome& outcome, Time until) {
  const client::OutcomeRequest question{outcome.id, true, milliseconds(1'000), outcome.ask};
  client_.get_outcome_async(
      question,
      [this, &worker, outcome, until](const client::Result<client::TxnOutcome>& told) {
        const bool definite = told && told->definite();
        if (!definite && std::chrono::steady_clock::now() < until) {
          return client_.call_later(pause_after_failure,
                                    [this, &worker, outcome, until] { resolve(worker, outcome, until); });
        }
        {
          const std::lock_guard lock(mutex_);
          if (definite && told->committed()) {
            committed(worker, *told);
          } else if (definite) {
            tally_.aborted += 1;
            record(check::EventType::fail, worker.process, micros(worker.steps, {}));
          } else {
            tally_.unresolved += 1;
            record(check::EventType::info, worker.process, micros(worker.steps, {}));
            worker.process = next_process_++;
          }
        }
        next(worker);
      },
      question_timeout);
}

// ---- the history ----

// A commit that was learned late comes without what it read: nobody knows that any more.
void Load::committed(Worker& worker, const client::TxnOutcome& outcome) {
  tally_.committed += 1;
  std::map<std::string, const WorkResult*> results;
  for (const client::BranchResult& branch : outcome.results) results[branch.shard] = &branch.results;
  const bool blind = std::any_of(worker.steps.begin(), worker.steps.end(), [&](const Step& step) {
    return !step.write && !results.contains(shard_of(step.item));
  });
  record(blind ? check::EventType::info : check::EventType::ok, worker.process, micros(worker.steps, results));
  if (blind) worker.process = next_process_++;
}

void Load::record(check::EventType type, std::uint64_t process, std::vector<Micro> value) {
  if (file_ != nullptr) file_->write(type, process, value);
  const Result<void> added = history_.add({type, process, 0, {}, std::move(value)});
  if (!added && !bad_history_) bad_history_ = added.error().message;
}

std::vector<Micro> Load::micros(const std::vector<Step>& steps,
                                const std::map<std::string, const WorkResult*>& results) const {
  std::map<std::string, std::size_t> place;
  std::vector<Micro> out;
  for (const Step& step : steps) {
    const std::string& shard = shard_of(step.item);
    const std::size_t at = place[shard]++;
    const std::string key = fmt::format("{}/{}", options_.kind == Kind::list ? "list" : "register", step.item - base_);
    if (step.write) {
      out.push_back({options_.kind == Kind::list ? OpKind::append : OpKind::write, key, step.value});
      continue;
    }
    Micro read{OpKind::read, key, {}};
    const auto found = results.find(shard);
    if (found != results.end() && at < found->second->size()) {
      const OperationResult& result = (*found->second)[at];
      const check::List list = result.rows.empty() ? check::List{} : numbers(result.rows[0][0]);
      if (options_.kind == Kind::list) {
        read.value = list;
      } else if (!list.empty()) {
        read.value = list.front();
      }
    }
    out.push_back(std::move(read));
  }
  return out;
}

// ---- the end ----

client::Result<bool> Load::read_shard(const std::string& shard, const std::vector<Item>& items) {
  std::vector<Step> steps;
  Work work;
  for (const Item item : items) {
    steps.push_back({item, false, 0});
    work.push_back(operation(steps.back()));
  }
  std::uint64_t process = 0;
  {
    const std::lock_guard lock(mutex_);
    process = next_process_++;
    record(check::EventType::invoke, process, micros(steps, {}));
  }
  const client::Result<client::QueryResult> answer = client_.query(shard, work, last_read_timeout);
  if (!answer) return tl::unexpected(answer.error());
  const std::lock_guard lock(mutex_);
  record(check::EventType::ok, process, micros(steps, {{shard, &answer->results}}));
  return true;
}

client::Result<check::Verdict> Load::judge() {
  std::map<std::string, std::vector<Item>> by_shard;
  for (Item item = base_; item < fresh_; ++item) {
    std::vector<Item>& items = by_shard[shard_of(item)];
    items.push_back(item);
    if (items.size() < read_at_once) continue;
    if (auto read = read_shard(shard_of(item), items); !read) return tl::unexpected(read.error());
    items.clear();
  }
  for (const auto& [shard, items] : by_shard) {
    if (items.empty()) continue;
    if (auto read = read_shard(shard, items); !read) return tl::unexpected(read.error());
  }
  const std::lock_guard lock(mutex_);
  if (bad_history_) return client::fail(client::ErrorCode::internal, "the history cannot be judged: " + *bad_history_);
  return check::judge(history_.history());
}

}  // namespace assent::items
