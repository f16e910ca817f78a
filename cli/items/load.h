// Clients that read and write single items in transactions of one to eight operations over all shards, some items hot
// and most cold, and the history of what they did and heard: `append` (lists that are only appended to, in SQL) and
// `register` (numbers that are overwritten, in SQL rows and in keys). Every value is written once. The history is
// judged for strict serializability (check/judge.h): the load itself knows no rules.
//
// Each run has items of its own, so that it may follow others on one cluster. A transaction that aborted is not tried
// again; one whose outcome is not known is asked for, with seal, until the patience ends.
//
// start(), then stop(), then judge(). Safe from any thread; the clients live on the client library's.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "check/judge.h"
#include "cli/bank/history.h"
#include "client/client.h"

namespace assent::items {

enum class Kind : std::uint8_t { list, number };

struct Options {
  Kind kind = Kind::list;
  std::uint32_t clients = 16;
  Protocol protocol = Protocol::automatic;  // of what spans several shards
  std::uint64_t seed = 1;
  std::chrono::milliseconds timeout{5'000};            // of one transaction
  std::chrono::milliseconds resolve_patience{30'000};  // for asking about one that is not definite
};

struct Tally {
  std::uint64_t committed = 0;
  std::uint64_t aborted = 0;
  std::uint64_t failed = 0;   // certainly not begun: nobody could be asked
  std::uint64_t unknown = 0;  // not definite at first
  std::uint64_t unresolved = 0;
  std::string last_trouble;
};

class Load {
 public:
  // file: a copy of the history for others; may be null. Both must outlive the load.
  Load(client::Client& client, Options options, bank::History* file);
  ~Load();  // the load must have stopped

  // Makes the tables; an Error when that does not work.
  [[nodiscard]] client::Result<bool> set_up();
  void start();
  // Lets what is under way end.
  void stop();
  // Reads every item once more, then says what the history is worth. After stop(), with a cluster that answers.
  [[nodiscard]] client::Result<check::Verdict> judge();

  [[nodiscard]] Tally tally() const;

 private:
  using Time = std::chrono::steady_clock::time_point;
  using Item = std::int64_t;  // item i is on shard i modulo the shards
  struct Step {
    Item item = 0;
    bool write = false;
    std::int64_t value = 0;
  };
  struct Worker {
    std::uint64_t process = 0;
    Rng rng{0};
    std::vector<Step> steps;  // of the transaction under way
  };

  [[nodiscard]] const std::string& shard_of(Item item) const;
  [[nodiscard]] Operation operation(const Step& step) const;
  [[nodiscard]] client::Transaction transaction(const std::vector<Step>& steps) const;
  void next(Worker& worker);
  void finished(Worker& worker, const client::Result<client::TxnOutcome>& result);
  void resolve(Worker& worker, const client::TxnOutcome& outcome, Time until);
  [[nodiscard]] client::Result<bool> read_shard(const std::string& shard, const std::vector<Item>& items);
  // These want the lock held.
  [[nodiscard]] std::vector<Step> draw(Rng& rng);
  [[nodiscard]] Item draw_item(Rng& rng);
  void committed(Worker& worker, const client::TxnOutcome& outcome);
  void record(check::EventType type, std::uint64_t process, std::vector<check::Micro> value);
  [[nodiscard]] std::vector<check::Micro> micros(const std::vector<Step>& steps,
                                                 const std::map<std::string, const WorkResult*>& results) const;

  client::Client& client_;
  const Options options_;
  std::vector<std::string> shards_;
  Item base_ = 0;                                 // of this run's items
  std::vector<std::unique_ptr<Worker>> workers_;  // each touched only between its own calls

  mutable std::mutex mutex_;  // protects all below, and what file_ points at
  std::condition_variable idle_;
  bank::History* file_;
  check::HistoryBuilder history_;
  std::uint64_t next_process_ = 0;
  std::size_t running_ = 0;
  bool stopping_ = false;
  Tally tally_;
  std::vector<Item> active_;  // the hot ones first; a list that has become long makes way for a fresh one
  std::map<Item, unsigned> writes_;
  Item fresh_ = 0;
  std::int64_t last_value_ = 0;
  std::optional<std::string> bad_history_;  // why it cannot be judged
};

}  // namespace assent::items
