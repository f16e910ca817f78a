// The exporter against a receiver on real sockets, by all three transports, and against one that cannot take spans.
#include "server/span_exporter.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdlib>
#include <filesystem>

#include "tests/local.h"
#include "tests/server/otlp_receiver.h"

namespace assent {
namespace {

using namespace std::chrono_literals;
using testing::eventually;
using testing::OtlpReceiver;
using testing::ReceiverAnswer;

// One transaction as its coordinator recorded it: a root, a phase, two calls.
std::vector<v1::TxnRecord> transaction(std::uint64_t number) {
  v1::TxnRecord record;
  v1::TxnSummary& summary = *record.mutable_summary();
  summary.set_txn_id(TxnId::make(ClusterMillis(1'700'000'000'000), 1, number).to_hex());
  summary.set_protocol("two-phase");
  summary.set_coordinator("c0");
  summary.set_node("n1");
  summary.set_outcome("committed");
  summary.set_answered(true);
  summary.set_started_unix_micros(1'700'000'000'000'000);
  summary.set_duration_micros(1'000);
  for (const char* shard : {"s1", "s2"}) {
    summary.add_participants(shard);
    std::int64_t at = 1'700'000'000'000'100;
    for (const char* step : {"prepare_sent", "vote_heard"}) {
      v1::TxnStep& one = *record.add_steps();
      one.set_step(step);
      one.set_group("c0");
      one.set_peer(shard);
      one.set_unix_micros(at += 200);
      one.set_yes(true);
    }
  }
  v1::TxnPhase& phase = *record.add_phases();
  phase.set_phase("prepare");
  phase.set_start_unix_micros(1'700'000'000'000'000);
  phase.set_duration_micros(1'000);
  return {record};
}
constexpr std::size_t spans_of_one = 4;

constexpr RetryOptions quick{.first = 1ms, .most = 4ms, .for_at_most = 10'000ms};

class EachTransport : public ::testing::TestWithParam<OtlpProtocol> {
 protected:
  explicit EachTransport(const std::string& certificate = {}, const std::string& key = {})
      : receiver_(certificate, key) {
    options_.exports = true;
    options_.protocol = GetParam();
    const bool grpc = GetParam() == OtlpProtocol::grpc;
    options_.endpoint = {"127.0.0.1", grpc ? receiver_.grpc_port() : receiver_.http_port()};
    options_.path = "/v1/traces";
    options_.delay = 1ms;
    options_.headers = {{"X-Token", "secret"}};
    pump_ = std::thread([this] {
      std::vector<RpcQueue::Ended> ended;
      while (!done_) {
        queue_.wait(std::chrono::steady_clock::now() + 20ms, ended);
        for (const auto& one : ended) one.tag->end(one.ok);
        ended.clear();
      }
    });
  }
  ~EachTransport() override {
    exporter_.reset();
    done_ = true;
    queue_.wake();
    pump_.join();
    queue_.drain();
  }
  SpanExporter& start(RetryOptions retry = quick) {
    auto sender = GetParam() == OtlpProtocol::grpc ? grpc_span_sender(options_, queue_,
                                                                      [](const std::function<void()>& run) {
                                                                        run();
                                                                        return true;
                                                                      })
                                                   : http_span_sender(options_);
    exporter_ = std::make_unique<SpanExporter>(options_, std::move(sender), 7, retry);
    exporter_->start();
    return *exporter_;
  }
  // 429 and 503 by http; what stands for them in gRPC.
  static ReceiverAnswer busy(const std::string& after = {}) {
    return {.status = 503, .retry_after = after, .grpc_status = {grpc::StatusCode::UNAVAILABLE, "busy"}, .rejected = 0};
  }
  static ReceiverAnswer bad() {
    return {
        .status = 400, .retry_after = {}, .grpc_status = {grpc::StatusCode::INVALID_ARGUMENT, "bad"}, .rejected = 0};
  }

  OtlpReceiver receiver_;
  TraceOptions options_;
  RpcQueue queue_;
  std::atomic<bool> done_ = false;
  std::thread pump_;
  std::unique_ptr<SpanExporter> exporter_;
};

TEST_P(EachTransport, SpansArriveAndKeepTheRules) {
  options_.resource.service_name = "shop";
  SpanExporter& exporter = start();
  for (std::uint64_t i = 0; i < 20; ++i) exporter.offer(transaction(i));
  ASSERT_TRUE(eventually(10s, [&] { return exporter.figures().spans_sent == 20 * spans_of_one; }));
  const OtlpReceiver::Seen seen = receiver_.seen();
  EXPECT_EQ(seen.violations, std::vector<std::string>());
  EXPECT_EQ(seen.traces.size(), 20U);
  EXPECT_EQ(seen.spans.at("assent.v1.Participant/Prepare"), 40U);
  EXPECT_EQ(seen.spans.at("assent.transaction"), 20U);
  EXPECT_EQ(seen.resource.at("service.name"), "shop");
  EXPECT_EQ(seen.resource.at("service.instance.id"), "n1");
  EXPECT_EQ(seen.resource.at("telemetry.sdk.name"), "assent");
  EXPECT_EQ(seen.last_headers.at("x-token"), "secret");
}

TEST_P(EachTransport, WhatIsCompressedArrivesAsItWas) {
  options_.gzip = true;
  SpanExporter& exporter = start();
  for (std::uint64_t i = 0; i < 20; ++i) exporter.offer(transaction(i));
  ASSERT_TRUE(eventually(10s, [&] { return exporter.figures().spans_sent == 20 * spans_of_one; }));
  const OtlpReceiver::Seen seen = receiver_.seen();
  EXPECT_EQ(seen.violations, std::vector<std::string>());
  EXPECT_EQ(seen.traces.size(), 20U);
  // gRPC takes its own header off before anybody sees it.
  if (GetParam() != OtlpProtocol::grpc) {
    EXPECT_EQ(seen.last_headers.at("content-encoding"), "gzip");
  }
}

// A certificate of its own, for 127.0.0.1.
struct OwnCertificate {
  OwnCertificate() {
    std::string name = (std::filesystem::temp_directory_path() / "assent-otlp-XXXXXX").string();
    folder = ::mkdtemp(name.data());
    const std::string made =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout " +
        key() + " -out " + certificate() + " 2>/dev/null";
    EXPECT_EQ(std::system(made.c_str()), 0) << "openssl is there (scripts/test.sh installs it)";
  }
  [[nodiscard]] std::string certificate() const { return folder + "/certificate.pem"; }
  [[nodiscard]] std::string key() const { return folder + "/key.pem"; }
  ~OwnCertificate() { std::filesystem::remove_all(folder); }
  OwnCertificate(const OwnCertificate&) = delete;
  OwnCertificate& operator=(const OwnCertificate&) = delete;

  std::string folder;
};

class EachSecureTransport : private OwnCertificate, public EachTransport {
 protected:
  EachSecureTransport() : EachTransport(certificate(), key()) { options_.secure = true; }
  using OwnCertificate::certificate;
};

TEST_P(EachSecureTransport, WhoIsTrustedGetsTheSpans) {
  options_.certificate = certificate();
  options_.gzip = true;
  SpanExporter& exporter = start();
  exporter.offer(transaction(1));
  ASSERT_TRUE(eventually(10s, [&] { return exporter.figures().spans_sent == spans_of_one; }));
  EXPECT_EQ(receiver_.seen().violations, std::vector<std::string>());
}

TEST_P(EachSecureTransport, WhoIsNotTrustedGetsNothing) {
  SpanExporter& exporter = start({.first = 1ms, .most = 4ms, .for_at_most = 300ms});
  exporter.offer(transaction(1));
  ASSERT_TRUE(eventually(10s, [&] { return exporter.figures().spans_dropped == spans_of_one; }));
  EXPECT_EQ(receiver_.seen().requests, 0U);
}

TEST_P(EachTransport, WhatIsTurnedAwayForNowComesAgain) {
  receiver_.answer_next(busy());
  receiver_.answer_next(busy());
  SpanExporter& exporter = start();
  exporter.offer(transaction(1));
  ASSERT_TRUE(eventually(10s, [&] { return exporter.figures().spans_sent == spans_of_one; }));
  const ExportFigures figures = exporter.figures();
  EXPECT_EQ(figures.requests, 3U);
  EXPECT_EQ(figures.retries, 2U);
  EXPECT_EQ(figures.spans_dropped, 0U);
  EXPECT_EQ(receiver_.seen().traces.size(), 1U);
}

TEST_P(EachTransport, WhatIsRefusedIsDroppedAndTheNextIsSent) {
  receiver_.answer_next(bad());
  SpanExporter& exporter = start();
  exporter.offer(transaction(1));
  ASSERT_TRUE(eventually(10s, [&] { return exporter.figures().spans_dropped == spans_of_one; }));
  exporter.offer(transaction(2));
  ASSERT_TRUE(eventually(10s, [&] { return exporter.figures().spans_sent == spans_of_one; }));
  EXPECT_EQ(exporter.figures().requests, 2U);
  EXPECT_EQ(exporter.figures().retries, 0U);
}

TEST_P(EachTransport, APartialSuccessIsCountedAndNotSentAgain) {
  receiver_.answer_next({.status = 200, .retry_after = {}, .grpc_status = {}, .rejected = 3});
  SpanExporter& exporter = start();
  exporter.offer(transaction(1));
  ASSERT_TRUE(eventually(10s, [&] { return exporter.figures().requests == 1; }));
  ASSERT_TRUE(eventually(10s, [&] { return exporter.figures().spans_rejected == 3; }));
  EXPECT_EQ(exporter.figures().spans_sent, spans_of_one - 3);
  EXPECT_EQ(exporter.figures().retries, 0U);
}

TEST_P(EachTransport, AReceiverThatStaysBusyIsGivenUp) {
  for (int i = 0; i < 1'000; ++i) receiver_.answer_next(busy());
  SpanExporter& exporter = start({.first = 1ms, .most = 10ms, .for_at_most = 500ms});
  exporter.offer(transaction(1));
  ASSERT_TRUE(eventually(10s, [&] { return exporter.figures().spans_dropped == spans_of_one; }));
  EXPECT_GT(exporter.figures().retries, 0U);
}

// The whole point: a receiver that does not answer costs a bounded queue and nothing else.
TEST_P(EachTransport, BeyondTheQueueTransactionsAreDroppedAndCounted) {
  for (int i = 0; i < 1'000; ++i) receiver_.answer_next(busy());
  options_.queue_spans_max = 30;
  options_.batch_spans_max = 3;
  SpanExporter& exporter = start({.first = 60'000ms, .most = 60'000ms, .for_at_most = 600'000ms});
  for (std::uint64_t i = 0; i < 500; ++i) exporter.offer(transaction(i));
  const ExportFigures figures = exporter.figures();
  EXPECT_EQ(figures.txns_queued + figures.txns_dropped, 500U);
  EXPECT_GE(figures.txns_queued, 10U);
  EXPECT_LE(figures.txns_queued, 12U) << "what fits, and a batch that is under way";
  exporter.stop();  // while it waits to come again: it ends soon
}

std::string name_of(const ::testing::TestParamInfo<OtlpProtocol>& given) {
  if (given.param == OtlpProtocol::grpc) return "grpc";
  return given.param == OtlpProtocol::http_json ? "http_json" : "http_protobuf";
}
const auto transports = ::testing::Values(OtlpProtocol::http_json, OtlpProtocol::http_protobuf, OtlpProtocol::grpc);
INSTANTIATE_TEST_SUITE_P(All, EachTransport, transports, name_of);
INSTANTIATE_TEST_SUITE_P(All, EachSecureTransport, transports, name_of);

// What a sender is told and when it is asked, without sockets.
class ScriptedSender final : public SpanSender {
 public:
  explicit ScriptedSender(std::vector<SpanReply>& script) : script_(script) {}
  SpanReply send(const std::string&) override {
    const std::lock_guard lock(mutex_);
    times_.push_back(std::chrono::steady_clock::now());
    if (script_.empty()) return {};
    SpanReply reply = script_.front();
    script_.erase(script_.begin());
    return reply;
  }
  void cancel() override {}
  std::vector<std::chrono::steady_clock::time_point> times() const {
    const std::lock_guard lock(mutex_);
    return times_;
  }

 private:
  std::vector<SpanReply>& script_;
  mutable std::mutex mutex_;
  std::vector<std::chrono::steady_clock::time_point> times_;
};

TEST(SpanExporterTest, RetryAfterIsTheLeastPause) {
  std::vector<SpanReply> script{{.kind = SpanReply::Kind::retry, .rejected = 0, .message = "", .after = 300ms}};
  auto sender = std::make_unique<ScriptedSender>(script);
  const ScriptedSender& asked = *sender;
  TraceOptions options;
  options.delay = 1ms;
  SpanExporter exporter(options, std::move(sender), 7, quick);
  exporter.start();
  exporter.offer(transaction(1));
  ASSERT_TRUE(eventually(10s, [&] { return asked.times().size() == 2; }));
  EXPECT_GE(asked.times()[1] - asked.times()[0], 300ms);
}

TEST(SpanExporterTest, ItsEndSendsWhatIsQueued) {
  std::vector<SpanReply> script;
  auto sender = std::make_unique<ScriptedSender>(script);
  const ScriptedSender& asked = *sender;
  TraceOptions options;
  options.delay = 600'000ms;
  SpanExporter exporter(options, std::move(sender), 7, quick);
  exporter.start();
  exporter.offer(transaction(1));
  exporter.stop();
  EXPECT_EQ(asked.times().size(), 1U);
  EXPECT_EQ(exporter.figures().spans_sent, spans_of_one);
  exporter.offer(transaction(2));
  EXPECT_EQ(exporter.figures().txns_dropped, 1U);
}

TEST(RetryAfter, IsSecondsOrADate) {
  const auto now = std::chrono::system_clock::from_time_t(1'445'412'470);  // 21 Oct 2015 07:27:50
  EXPECT_EQ(retry_after("120", now), 120s);
  EXPECT_EQ(retry_after("Wed, 21 Oct 2015 07:28:00 GMT", now), 10s);
  EXPECT_GT(retry_after("Fri, 31 Dec 9999 23:59:59 GMT", now), 24h * 365 * 7'000) << "beyond the clock's own end";
  EXPECT_EQ(retry_after("Wed, 21 Oct 2015 07:27:00 GMT", now), 0s) << "that is over";
  for (const char* bad : {"", "soon", "-1", "1.5", "Wed, 21 Oct 2015", "99999999999999999999"}) {
    EXPECT_EQ(retry_after(bad, now), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace assent
