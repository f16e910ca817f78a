#include "server/span_exporter.h"

#include <algorithm>
#include <map>
#include <utility>

#include "observe/otlp_wire.h"
#include "observe/timeline.h"
#include "server/log.h"
#include "server/system_clock.h"

namespace assent {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t log_seconds = 60;
constexpr auto farewell = std::chrono::seconds(1);

// Two steps make a span, more or less; a call has four of them and two spans.
std::size_t spans_of(const std::vector<v1::TxnRecord>& records) {
  std::size_t steps = 2;
  for (const v1::TxnRecord& record : records) steps += static_cast<std::size_t>(record.steps_size());
  return steps / 2;
}

// One resource for each node, whatever transactions its spans belong to.
void merge(std::vector<OtlpBatch> from, std::vector<OtlpBatch>& into) {
  for (OtlpBatch& batch : from) {
    const auto same =
        std::find_if(into.begin(), into.end(), [&](const OtlpBatch& one) { return one.resource == batch.resource; });
    if (same == into.end()) {
      into.push_back(std::move(batch));
      continue;
    }
    std::move(batch.spans.begin(), batch.spans.end(), std::back_inserter(same->spans));
  }
}

}  // namespace

SpanExporter::SpanExporter(const TraceOptions& options, std::unique_ptr<SpanSender> sender, std::uint64_t seed,
                           RetryOptions retry)
    : options_(options), retry_(retry), sender_(std::move(sender)), rng_(seed) {}

SpanExporter::~SpanExporter() { stop(); }

void SpanExporter::start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "assent-spans");
    run();
  });
}

void SpanExporter::stop() {
  if (!thread_.joinable()) return;
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    changed_.wait_for(lock, farewell, [this] { return ended_; });
  }
  sender_->cancel();
  thread_.join();
}

void SpanExporter::offer(std::vector<v1::TxnRecord> records) {
  const std::size_t spans = spans_of(records);
  const std::lock_guard lock(mutex_);
  if (stopping_ || queued_spans_ + spans > options_.queue_spans_max) {
    ++figures_.txns_dropped;
    return;
  }
  queued_spans_ += spans;
  ++figures_.txns_queued;
  queue_.push_back({std::move(records), spans});
  if (queued_spans_ >= options_.batch_spans_max) changed_.notify_all();
}

void SpanExporter::count_dropped(std::uint64_t txns) {
  const std::lock_guard lock(mutex_);
  figures_.txns_dropped += txns;
}

ExportFigures SpanExporter::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

// ---- the thread ----

void SpanExporter::run() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, options_.delay,
                        [this] { return stopping_ || queued_spans_ >= options_.batch_spans_max; });
      if (queue_.empty() && stopping_) break;
    }
    const std::vector<Waiting> batch = take_batch();
    if (!batch.empty()) send(batch);
  }
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

std::vector<SpanExporter::Waiting> SpanExporter::take_batch() {
  std::vector<Waiting> batch;
  std::size_t spans = 0;
  const std::lock_guard lock(mutex_);
  while (!queue_.empty() && (batch.empty() || spans + queue_.front().spans <= options_.batch_spans_max)) {
    spans += queue_.front().spans;
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  queued_spans_ -= spans;
  return batch;
}

void SpanExporter::send(const std::vector<Waiting>& batch) {
  std::vector<OtlpBatch> resources;
  for (const Waiting& one : batch) {
    const auto now = static_cast<std::int64_t>(SystemClock::wall_micros());
    merge(otlp_of(make_trace(one.records, now), options_.resource), resources);
  }
  std::uint64_t spans = 0;
  for (const OtlpBatch& one : resources) spans += one.spans.size();
  if (spans == 0) return;  // no empty envelopes
  const std::string body =
      options_.protocol == OtlpProtocol::http_json ? otlp_json(resources) : otlp_protobuf(resources);
  const Instant until = std::chrono::steady_clock::now() + retry_.for_at_most;
  milliseconds step = retry_.first;
  while (true) {
    const SpanReply reply = sender_->send(body);
    bool again = reply.kind == SpanReply::Kind::retry;
    // Half of it fixed, half by chance: nodes that were turned away together do not come back together.
    const auto chance = static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(step.count() / 2 + 1)));
    const milliseconds wait = reply.after.value_or(step / 2 + milliseconds(chance));
    again = again && std::chrono::steady_clock::now() + wait < until;
    {
      const std::lock_guard lock(mutex_);
      ++figures_.requests;
      again = again && !stopping_;
      if (again) ++figures_.retries;
      if (reply.kind == SpanReply::Kind::accepted) {
        const std::uint64_t rejected = std::min(reply.rejected, spans);
        figures_.spans_rejected += rejected;
        figures_.spans_sent += spans - rejected;
      } else if (!again) {
        figures_.spans_dropped += spans;
      }
    }
    if (reply.kind != SpanReply::Kind::accepted || reply.rejected > 0) {
      LogEvent(LogLevel::warn, "trace",
               reply.kind == SpanReply::Kind::accepted ? "the receiver did not take all spans"
               : again                                 ? "spans could not be sent; they are sent again"
                                                       : "spans could not be sent and are dropped")
          .field("to", options_.text())
          .field("spans", spans)
          .field("rejected", reply.rejected)
          .field("said", reply.message)
          .write_at_most_every(log_seconds, again ? "trace again" : "trace dropped");
    }
    if (!again) return;
    pause(wait);  // when the node stops meanwhile, it is tried once more
    step = std::min(retry_.most, step * 2);
  }
}

void SpanExporter::pause(milliseconds time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [this] { return stopping_; });
}

}  // namespace assent
