#include "tests/server/otlp_receiver.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "tests/observe/golden_span.h"

namespace assent::testing {
namespace {

using Json = nlohmann::json;
using test::hex_of;

constexpr const char* export_method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

bool is_hex(const Json& value, std::size_t digits) {
  if (!value.is_string()) return false;
  const auto& text = value.get_ref<const std::string&>();
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string::npos &&
         text.find_first_not_of('0') != std::string::npos;
}
bool is_count(const Json& value) {
  if (!value.is_string()) return false;
  const auto& text = value.get_ref<const std::string&>();
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

void check(bool holds, const std::string& rule, OtlpReceiver::Seen& seen) {
  if (!holds) seen.violations.push_back(rule);
}

void judge_span(const Json& span, OtlpReceiver::Seen& seen) {
  static const std::set<std::string> known{
      "traceId",         "spanId",     "parentSpanId", "name",   "kind", "startTimeUnixNano",
      "endTimeUnixNano", "attributes", "events",       "status", "flags"};
  for (const auto& [key, value] : span.items()) check(known.contains(key), "a span has a field " + key, seen);
  check(is_hex(span.value("traceId", Json()), 32), "traceId is not 32 hex digits", seen);
  check(is_hex(span.value("spanId", Json()), 16), "spanId is not 16 hex digits", seen);
  if (span.contains("parentSpanId")) check(is_hex(span["parentSpanId"], 16), "parentSpanId is bad", seen);
  check(span.value("name", Json()).is_string() && !span["name"].empty(), "a span has no name", seen);
  check(span.value("kind", Json()).is_number_integer(), "kind is not a number", seen);
  for (const char* time : {"startTimeUnixNano", "endTimeUnixNano"}) {
    check(is_count(span.value(time, Json())), std::string(time) + " is not a decimal string", seen);
  }
  for (const Json& one : span.value("attributes", Json::array())) {
    check(one["key"].is_string() && one["value"].is_object() && one["value"].size() == 1, "an attribute is bad", seen);
    if (one["value"].contains("intValue")) check(one["value"]["intValue"].is_string(), "intValue is no string", seen);
  }
  for (const Json& one : span.value("events", Json::array()))
    check(is_count(one["timeUnixNano"]), "an event's time", seen);
  if (span.contains("status")) check(span["status"]["code"].is_number_integer(), "status.code is not a number", seen);
  if (span.contains("flags")) check(span["flags"].is_number_unsigned(), "flags is not a number", seen);
}

}  // namespace

namespace {

std::string content_of(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

OtlpReceiver::OtlpReceiver(const std::string& certificate, const std::string& key) {
  const bool secure = !certificate.empty();
  http_ = secure ? std::make_unique<httplib::SSLServer>(certificate.c_str(), key.c_str())
                 : std::make_unique<httplib::Server>();
  http_->Post(".*",
              [this](const httplib::Request& request, httplib::Response& response) { serve_http(request, response); });
  http_->set_keep_alive_timeout(1);
  http_port_ = static_cast<std::uint16_t>(http_->bind_to_any_port("127.0.0.1"));
  http_thread_ = std::thread([this] { http_->listen_after_bind(); });
  while (!http_->is_running()) std::this_thread::yield();
  auto credentials = grpc::InsecureServerCredentials();
  if (secure) {
    grpc::SslServerCredentialsOptions tls;
    tls.pem_key_cert_pairs.push_back({content_of(key), content_of(certificate)});
    credentials = grpc::SslServerCredentials(tls);
  }
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", credentials, &grpc_port_);
  builder.RegisterAsyncGenericService(&service_);
  queue_ = builder.AddCompletionQueue();
  server_ = builder.BuildAndStart();
  grpc_thread_ = std::thread([this] { serve_grpc(); });
}

OtlpReceiver::~OtlpReceiver() {
  http_->stop();
  http_thread_.join();
  server_->Shutdown(std::chrono::system_clock::now());
  {
    const std::lock_guard lock(ending_mutex_);
    ending_ = true;
    queue_->Shutdown();
  }
  grpc_thread_.join();
}

void OtlpReceiver::answer_next(ReceiverAnswer answer) {
  const std::lock_guard lock(mutex_);
  answers_.push_back(std::move(answer));
}

OtlpReceiver::Seen OtlpReceiver::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

void OtlpReceiver::serve_http(const httplib::Request& request, httplib::Response& response) {
  const std::string type = request.get_header_value("Content-Type");
  const bool json = type == "application/json";
  {
    const std::lock_guard lock(mutex_);
    check(json || type == "application/x-protobuf", "content type " + type, seen_);
    check(request.path == "/v1/traces", "path " + request.path, seen_);
    seen_.last_headers.clear();
    for (const auto& [name, value] : request.headers) {
      std::string lower = name;
      std::transform(lower.begin(), lower.end(), lower.begin(),
                     [](char c) { return static_cast<char>(std::tolower(c)); });
      seen_.last_headers[lower] = value;
    }
  }
  const ReceiverAnswer answer = judge(request.body, json);
  response.status = answer.status;
  if (!answer.retry_after.empty()) response.set_header("Retry-After", answer.retry_after);
  if (json) {
    Json body = Json::object();
    if (answer.status != 200) body["message"] = "not now";
    if (answer.rejected > 0) {
      body["partialSuccess"] = {{"rejectedSpans", std::to_string(answer.rejected)}, {"errorMessage", "some are bad"}};
    }
    return response.set_content(body.dump(), "application/json");
  }
  test::otlp::ExportTraceServiceResponse body;
  if (answer.rejected > 0)
    body.mutable_partial_success()->set_rejected_spans(static_cast<std::int64_t>(answer.rejected));
  response.set_content(answer.status == 200 ? body.SerializeAsString() : "", "application/x-protobuf");
}

// One call at a time, step by step.
void OtlpReceiver::serve_grpc() {
  const auto next = [this] {
    void* tag = nullptr;
    bool ok = false;
    return queue_->Next(&tag, &ok) && ok;
  };
  while (true) {
    grpc::GenericServerContext context;
    grpc::GenericServerAsyncReaderWriter stream(&context);
    {
      const std::lock_guard lock(ending_mutex_);
      if (ending_) break;
      service_.RequestCall(&context, &stream, queue_.get(), queue_.get(), nullptr);
    }
    if (!next()) break;
    grpc::ByteBuffer request;
    stream.Read(&request, nullptr);
    if (!next()) continue;
    std::vector<grpc::Slice> slices;
    std::string body;
    if (request.Dump(&slices).ok()) {
      for (const grpc::Slice& slice : slices) body.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
    {
      const std::lock_guard lock(mutex_);
      check(context.method() == export_method, "method " + context.method(), seen_);
      seen_.last_headers.clear();
      for (const auto& [name, value] : context.client_metadata()) {
        seen_.last_headers[std::string(name.data(), name.size())] = std::string(value.data(), value.size());
      }
    }
    const ReceiverAnswer answer = judge(body, false);
    test::otlp::ExportTraceServiceResponse response;
    if (answer.rejected > 0) {
      response.mutable_partial_success()->set_rejected_spans(static_cast<std::int64_t>(answer.rejected));
    }
    const std::string bytes = response.SerializeAsString();
    const grpc::Slice slice(bytes);
    if (answer.grpc_status.ok()) {
      stream.WriteAndFinish(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), answer.grpc_status, nullptr);
    } else {
      stream.Finish(answer.grpc_status, nullptr);
    }
    next();
  }
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) {
  }
}

ReceiverAnswer OtlpReceiver::judge(const std::string& body, bool json) {
  const std::lock_guard lock(mutex_);
  ++seen_.requests;
  ReceiverAnswer answer;
  if (!answers_.empty()) {
    answer = answers_.front();
    answers_.pop_front();
  }
  Seen taken = seen_;
  if (json) {
    const Json document = Json::parse(body, nullptr, false);
    check(document.is_object(), "the body is no JSON object", taken);
    if (document.is_object()) judge_json(document, taken);
  } else {
    test::otlp::ExportTraceServiceRequest request;
    check(request.ParseFromString(body), "the body is no protobuf message", taken);
    judge_message(request, taken);
  }
  if (answer.status == 200 && answer.grpc_status.ok()) {
    seen_ = std::move(taken);
  } else {
    seen_.violations = taken.violations;
  }
  return answer;
}

void OtlpReceiver::judge_json(const Json& document, Seen& seen) {
  check(document.size() == 1 && document.contains("resourceSpans"), "the envelope has other fields", seen);
  const Json& resources = document["resourceSpans"];
  check(!resources.empty(), "an empty envelope", seen);
  for (const Json& resource : resources) {
    for (const Json& one : resource["resource"]["attributes"]) {
      seen.resource[one["key"].get<std::string>()] = one["value"].value("stringValue", "");
    }
    for (const Json& scope : resource["scopeSpans"]) {
      check(!scope["spans"].empty(), "a scope without spans", seen);
      for (const Json& span : scope["spans"]) {
        judge_span(span, seen);
        seen.traces.insert(span.value("traceId", ""));
        ++seen.spans[span.value("name", "")];
        seen.span_ids[span.value("traceId", "")].insert(span.value("spanId", ""));
      }
    }
  }
}

void OtlpReceiver::judge_message(const test::otlp::ExportTraceServiceRequest& request, Seen& seen) {
  check(request.resource_spans_size() > 0, "an empty envelope", seen);
  for (const auto& resource : request.resource_spans()) {
    for (const auto& one : resource.resource().attributes()) seen.resource[one.key()] = one.value().string_value();
    for (const auto& scope : resource.scope_spans()) {
      check(scope.spans_size() > 0, "a scope without spans", seen);
      for (const auto& span : scope.spans()) {
        check(span.trace_id().size() == 16 && span.span_id().size() == 8, "an id has the wrong length", seen);
        check(span.parent_span_id().empty() || span.parent_span_id().size() == 8, "a parent's id is bad", seen);
        check(span.start_time_unix_nano() > 0 && span.end_time_unix_nano() >= span.start_time_unix_nano(),
              "a span ends before it begins", seen);
        check(!span.name().empty(), "a span has no name", seen);
        seen.traces.insert(hex_of(span.trace_id()));
        ++seen.spans[span.name()];
        seen.span_ids[hex_of(span.trace_id())].insert(hex_of(span.span_id()));
      }
    }
  }
}

}  // namespace assent::testing
