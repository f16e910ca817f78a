#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <future>
#include <mutex>

#include "observe/otlp_wire.h"
#include "server/span_body.h"
#include "server/span_sender.h"
#include "txn_proto/api_error.h"

namespace assent {
namespace {

using std::chrono::milliseconds;

// The messages are ours by their field numbers; the method goes by OpenTelemetry's name.
constexpr const char* method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
constexpr std::size_t message_max = 200;

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

std::string flat(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string out;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return out;
  for (const grpc::Slice& slice : slices) out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return out;
}

SpanReply reply_of(const grpc::Status& status, const std::string& body) {
  if (status.ok()) {
    const OtlpAnswer told = otlp_answer_of_protobuf(body);
    return {.kind = SpanReply::Kind::accepted, .rejected = told.rejected, .message = told.message, .after = {}};
  }
  SpanReply reply{.kind = SpanReply::Kind::refused,
                  .rejected = 0,
                  .message = name_of(status.error_code()) + ": " + status.error_message().substr(0, message_max),
                  .after = {}};
  const std::uint32_t wait = from_status(status).retry_after_millis;
  if (wait > 0) reply.after = milliseconds(wait);
  switch (status.error_code()) {
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DATA_LOSS: reply.kind = SpanReply::Kind::retry; break;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:  // only when it says when it will have room again
      if (reply.after) reply.kind = SpanReply::Kind::retry;
      break;
    default: break;
  }
  return reply;
}

// Lives until its end has come through the queue, or until the task that would have begun it is dropped.
class Export final : public RpcTag, public std::enable_shared_from_this<Export> {
 public:
  Export(const TraceOptions& options, std::shared_ptr<grpc::Channel> channel, const std::string& body)
      : timeout_(options.timeout), stub_(std::move(channel)) {
    for (const auto& [name, value] : options.headers) context_.AddMetadata(lower(name), value);
    const grpc::Slice slice(body);
    request_ = grpc::ByteBuffer(&slice, 1);
  }
  ~Export() { tell(grpc::Status(grpc::StatusCode::CANCELLED, "the node stops")); }
  Export(const Export&) = delete;
  Export& operator=(const Export&) = delete;

  std::future<SpanReply> reply() { return promise_.get_future(); }
  void begin(RpcQueue& queue) {
    if (queue.draining()) return;
    self_ = shared_from_this();
    context_.set_deadline(std::chrono::system_clock::now() + timeout_);
    reader_ = stub_.PrepareUnaryCall(&context_, method, request_, &queue.completions());
    reader_->StartCall();
    reader_->Finish(&response_, &status_, static_cast<RpcTag*>(this));
  }
  void end(bool /*ok*/) override {
    tell(status_);
    const std::shared_ptr<Export> last = std::move(self_);
  }
  void cancel() { context_.TryCancel(); }

 private:
  void tell(const grpc::Status& status) {
    if (told_) return;
    told_ = true;
    promise_.set_value(reply_of(status, flat(response_)));
  }

  const milliseconds timeout_;
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  grpc::Status status_;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader_;
  std::promise<SpanReply> promise_;
  bool told_ = false;
  std::shared_ptr<Export> self_;
};

class GrpcSpanSender final : public SpanSender {
 public:
  GrpcSpanSender(const TraceOptions& options, RpcQueue& queue, PostToQueue post)
      : options_(options), queue_(queue), post_(std::move(post)) {
    grpc::ChannelArguments arguments;
    constexpr int reconnect_millis_max = 1'000;
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, reconnect_millis_max);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    if (options_.gzip) arguments.SetCompressionAlgorithm(GRPC_COMPRESS_GZIP);
    channel_ = grpc::CreateCustomChannel(options_.endpoint.text(), credentials(), arguments);
  }

  SpanReply send(const std::string& body) override {
    auto call = std::make_shared<Export>(options_, channel_, body);
    std::future<SpanReply> reply = call->reply();
    {
      const std::lock_guard lock(mutex_);
      if (cancelled_)
        return {.kind = SpanReply::Kind::refused, .rejected = 0, .message = "the node stops", .after = {}};
      running_ = call;
    }
    static_cast<void>(post_([call, &queue = queue_] { call->begin(queue); }));
    call.reset();
    return reply.get();  // kept also when the call is dropped; its deadline bounds the wait
  }
  void cancel() override {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    if (const auto call = running_.lock()) call->cancel();
  }

 private:
  // Files that cannot be read were told of before (Daemon::open_export); without them nothing is trusted.
  [[nodiscard]] std::shared_ptr<grpc::ChannelCredentials> credentials() const {
    if (!options_.secure) return grpc::InsecureChannelCredentials();
    const auto files = read_tls_files(options_);
    grpc::SslCredentialsOptions tls;
    if (files) tls = {files->authorities, files->key, files->certificate};
    return grpc::SslCredentials(tls);
  }

  const TraceOptions options_;
  RpcQueue& queue_;
  const PostToQueue post_;
  std::shared_ptr<grpc::Channel> channel_;
  std::mutex mutex_;  // guards the rest
  std::weak_ptr<Export> running_;
  bool cancelled_ = false;
};

}  // namespace

std::unique_ptr<SpanSender> grpc_span_sender(const TraceOptions& options, RpcQueue& queue, PostToQueue post) {
  return std::make_unique<GrpcSpanSender>(options, queue, std::move(post));
}

}  // namespace assent
