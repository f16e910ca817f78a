// Closed-loop clients that transfer money, and what they measure. Each client has one transfer under way at a time; all
// of them live on the client library's thread, so that a hundred clients cost one thread.
//
// start(), then sample() about once a second, then stop(). Every outcome that is not definite is resolved by asking,
// with seal, until the patience ends. Safe from any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cli/bank/bank.h"
#include "cli/bank/books.h"
#include "cli/bank/histogram.h"
#include "cli/bank/history.h"
#include "client/client.h"

namespace assent::bank {

struct LoadOptions {
  std::uint32_t clients = 32;
  double cross_shard = 1.0;
  Protocol protocol = Protocol::automatic;  // of transfers between two shards
  std::uint64_t seed = 1;
  std::chrono::milliseconds timeout{10'000};           // of one transfer, all its attempts together
  std::chrono::milliseconds resolve_patience{60'000};  // for asking about one that is not definite
};

struct Tally {
  std::uint64_t committed = 0;
  std::uint64_t aborted = 0;           // transfers that gave up: overdrafts, and conflicts beyond all retries
  std::uint64_t conflicts = 0;         // attempts that aborted and were followed by another
  std::uint64_t failed = 0;            // certainly not begun: nobody could be asked
  std::uint64_t unknown = 0;           // whose answer was lost on the way, at least once
  std::uint64_t unknown_resolved = 0;  // of these: whose outcome was learned by sending again or asking
  Histogram latency;                   // of the committed, in microseconds, from the first attempt on
  std::string last_trouble;            // an abort's or a failure's words, for a person

  void merge(const Tally& other);
};

class Load {
 public:
  Load(client::Client& client, Bank bank, LoadOptions options, History* history);
  ~Load();  // the load must have stopped

  void start();
  // What happened since the last sample. Everything since the last discard() stays in total().
  [[nodiscard]] Tally sample();
  void discard();  // the end of the warm-up: forgets all figures, not the ledger
  // Lets what is under way end.
  void stop();

  [[nodiscard]] Tally total() const;
  [[nodiscard]] Ledger ledger() const;
  [[nodiscard]] std::uint64_t fresh_process();  // a number that no client of the history has had
  // The longest time between two acknowledged commits since start(), its end and stop() counting as commits.
  [[nodiscard]] std::chrono::milliseconds longest_gap() const;

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Teller {
    std::uint64_t process = 0;
    Rng rng{0};
    Transfer transfer;
    Time began;
  };

  void next(Teller& teller);
  void finished(Teller& teller, const client::Result<client::TxnOutcome>& result);
  void resolve(Teller& teller, client::TxnOutcome outcome, Time until);
  // These want the lock held.
  void record_commit(Teller& teller, const client::TxnOutcome& outcome);
  void record_abort(Teller& teller, const client::TxnOutcome& outcome);
  void record_event(EventType type, const Teller& teller, std::optional<BalancesAfter> after);
  void note_gap(Time now);

  client::Client& client_;
  const Bank bank_;
  const LoadOptions options_;
  std::vector<std::unique_ptr<Teller>> tellers_;  // each touched only between its own calls

  mutable std::mutex mutex_;  // protects all below, and what history_ points at
  std::condition_variable idle_;
  History* history_;
  std::uint64_t next_process_ = 0;
  std::size_t running_ = 0;
  bool stopping_ = false;
  Tally recent_;
  Tally total_;  // without recent_
  Ledger ledger_;
  Time last_commit_;
  std::chrono::steady_clock::duration longest_gap_{0};
};

}  // namespace assent::bank
