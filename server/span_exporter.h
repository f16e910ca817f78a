// Sends recorded transactions as spans to a receiver: a bounded queue, batches, and a thread of its own that tells the
// tree of each, encodes it and sends it, again after a growing pause when the receiver cannot take it now.
//
// offer() takes a lock for some instructions and never waits: what finds no room is dropped and counted. So exporting
// can delay no transaction. All other members are for the thread that owns it.
//
// Invariants: the queue holds at most queue_spans_max spans by its own estimate; every transaction that was offered is
// sent or dropped, every span that was sent is accepted, rejected or dropped, and all of them are counted.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/rng.h"
#include "observe/otlp.h"
#include "server/span_sender.h"
#include "server/trace_options.h"

namespace assent {

// Counts, growing while the process lives.
struct ExportFigures {
  std::uint64_t txns_queued = 0;
  std::uint64_t txns_dropped = 0;    // no room in the queue, or too many at once
  std::uint64_t spans_sent = 0;      // and accepted
  std::uint64_t spans_rejected = 0;  // by a receiver that accepted the rest
  std::uint64_t spans_dropped = 0;   // refused, or given up
  std::uint64_t requests = 0;
  std::uint64_t retries = 0;
};

struct RetryOptions {
  std::chrono::milliseconds first{500};
  std::chrono::milliseconds most{5'000};
  std::chrono::milliseconds for_at_most{60'000};  // then the batch is dropped
};

class SpanExporter {
 public:
  SpanExporter(const TraceOptions& options, std::unique_ptr<SpanSender> sender, std::uint64_t seed,
               RetryOptions retry = {});
  ~SpanExporter();
  SpanExporter(const SpanExporter&) = delete;
  SpanExporter& operator=(const SpanExporter&) = delete;

  void start();
  // What is queued is sent once more, within a second; then the thread ends. Twice is harmless.
  void stop();

  // All that nodes recorded of one transaction. From any thread.
  void offer(std::vector<v1::TxnRecord> records);
  void count_dropped(std::uint64_t txns);
  [[nodiscard]] ExportFigures figures() const;

 private:
  using Instant = std::chrono::steady_clock::time_point;
  struct Waiting {
    std::vector<v1::TxnRecord> records;
    std::size_t spans = 0;  // an estimate
  };

  void run();
  [[nodiscard]] std::vector<Waiting> take_batch();
  void send(const std::vector<Waiting>& batch);
  void pause(std::chrono::milliseconds time);  // shorter when it ends

  const TraceOptions options_;
  const RetryOptions retry_;
  const std::unique_ptr<SpanSender> sender_;
  Rng rng_;  // of the thread
  std::thread thread_;

  mutable std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  std::deque<Waiting> queue_;
  std::size_t queued_spans_ = 0;
  ExportFigures figures_;
  bool stopping_ = false;
  bool ended_ = false;
};

}  // namespace assent
