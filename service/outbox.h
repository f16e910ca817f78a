// Sends what stands in an outbox (outbox_store.h), each message as one transaction of the cluster.
//
//   OutboxRelay relay(*store, *client);
//
// A row gets a transaction's id, durably, before that transaction is begun, and keeps it until the transaction is known
// to have aborted; then it gets another one. Whatever dies, no second transaction is begun while the first may commit.
// The same id is sent again and again until it is definite, which never runs the work twice (docs/API.md).
//
// A message whose services refuse it is tried again after a pause that grows, for ever, while later ones go on: what is
// told names it. An id that is too old to be executed is asked about; where the cluster has forgotten what came of it
// (history.keep, a day and more), the row stays for a person to look at.
//
// A thread of its own, from construction to destruction, which waits for the transaction that is under way.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "client/client.h"
#include "service/outbox_store.h"

namespace assent::service {

// The calls as bytes for put(). All of them happen or none; the names must be different.
[[nodiscard]] Bytes outbox_message(const std::vector<client::ServiceCall>& calls);
// corruption: somebody else has written them.
[[nodiscard]] Result<std::vector<client::ServiceCall>> read_outbox_message(ByteView message);

struct OutboxOptions {
  std::chrono::milliseconds interval{200};    // between two looks; wake() ends it
  std::size_t batch = 100;                    // rows read at a time
  std::chrono::milliseconds timeout{10'000};  // of each transaction
  std::chrono::milliseconds pause_max{
      60'000};  // of a message that could not be sent; begins with the interval, doubles
};

struct Relayed {
  std::size_t sent = 0;
  std::size_t waiting = 0;  // tried, and still there
  std::string trouble;      // the last one that was met; empty: none
};

class OutboxRelay {
 public:
  // told: after each look that found something, on the relay's thread. Store and client must outlive this.
  OutboxRelay(OutboxStore& store, client::Client& client, OutboxOptions options = {},
              std::function<void(const Relayed&)> told = {});
  ~OutboxRelay();
  OutboxRelay(const OutboxRelay&) = delete;
  OutboxRelay& operator=(const OutboxRelay&) = delete;

  // Something was put: looks at once.
  void wake();

 private:
  struct Pause {
    std::chrono::steady_clock::time_point until;
    std::chrono::milliseconds length{0};
  };

  void serve();
  [[nodiscard]] Relayed look();
  void relay(OutboxRow row, Relayed& all);
  // Gives the row a new id; false when it is another process's, or the store failed.
  [[nodiscard]] bool renew(OutboxRow& row, Relayed& all);
  void settle(const OutboxRow& row, const client::TxnOutcome& outcome, Relayed& all);
  void put_off(const OutboxRow& row, std::string why, Relayed& all);
  [[nodiscard]] bool stopping();

  OutboxStore& store_;
  client::Client& client_;
  const OutboxOptions options_;
  const std::function<void(const Relayed&)> told_;
  std::map<std::int64_t, Pause> pauses_;  // the thread's own
  std::mutex mutex_;                      // protects all below
  std::condition_variable changed_;
  bool stopping_ = false;
  bool woken_ = false;
  std::thread thread_;  // last: it uses what stands above
};

}  // namespace assent::service
