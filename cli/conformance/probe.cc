#include "cli/conformance/probe.h"

#include <fmt/format.h>
#include <grpcpp/generic/generic_stub.h>
#include <httplib.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

#include "txn_proto/api_error.h"

namespace assent::conformance {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds pause{20};
constexpr milliseconds call_time{3'000};

void note(Told& told, const grpc::Status& status) {
  told.code = status.error_code();
  told.message = status.error_message();
  if (has_details(status)) told.reason = from_status(status).reason;
}

template <class Request>
std::string attempt_of(const Request& request) {
  return to_string(Attempt{request.attempt().epoch(), request.attempt().number()});
}

// The first five fields of all requests are the same.
template <class Request>
v1::PrepareRequest as_prepare(const Request& request) {
  v1::PrepareRequest out;
  out.ParseFromString(request.SerializeAsString());
  return out;
}

std::shared_ptr<grpc::ChannelCredentials> credentials_for(const GrpcTarget& at, const std::string& ca_file) {
  if (!at.tls) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  if (!ca_file.empty()) {
    std::ifstream in(ca_file, std::ios::binary);
    options.pem_root_certs = {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  return grpc::SslCredentials(options);
}

// A caller's mistake, as HTTP tells it; to a coordinator it would be as unknown as any other.
bool says_bad_request(int status) { return status == 400 || status == 413 || status == 422; }

void set_deadline(grpc::ClientContext& context, milliseconds time) {
  context.set_deadline(std::chrono::system_clock::now() + time);
}

template <class Response>
void note_attempt(Told& told, const Response& response) {
  told.has_attempt = response.has_attempt();
  told.attempt = {response.attempt().epoch(), response.attempt().number()};
}

}  // namespace

std::string to_string(const Attempt& attempt) { return fmt::format("{}.{}", attempt.epoch, attempt.number); }

bool Told::definite() const { return ok() || code == grpc::StatusCode::ABORTED || code == grpc::StatusCode::NOT_FOUND; }

std::string Told::text() const {
  std::string out = fmt::format("{} was answered {}", call, name_of(code));
  if (!reason.empty()) out += " " + reason;
  if (!ok() && !message.empty()) out += ": " + message.substr(0, 200);
  if (ok() && vote != v1::VOTE_NONE) {
    out += fmt::format(" {} of attempt {}", vote == v1::VOTE_YES ? "YES" : "READ_ONLY",
                       has_attempt ? to_string(attempt) : "none");
  }
  if (ok() && call.starts_with("Status")) {
    out += fmt::format(" {} of attempt {}", v1::BranchState_Name(state), has_attempt ? to_string(attempt) : "none");
  }
  return out;
}

Probe::Probe(Target target) : target_(std::move(target)), http_(http_target(target_.address)) { reconnect(); }

Probe::~Probe() {
  for (const auto& [branch, attempt] : yeses_) static_cast<void>(once(request<v1::AbortRequest>(branch, attempt)));
}

void Probe::reconnect() {
  if (http_) return;
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // or the old connection, and its back-off, would be found
  arguments.SetMaxSendMessageSize(-1);
  const GrpcTarget at = grpc_target(target_.address).value_or(GrpcTarget{target_.address, false});
  auto channel = grpc::CreateCustomChannel(at.endpoint, credentials_for(at, target_.ca_file), arguments);
  const std::scoped_lock lock(mutex_);
  channel_ = std::move(channel);
}

std::shared_ptr<grpc::Channel> Probe::channel() {
  const std::scoped_lock lock(mutex_);
  return channel_;
}

// ---- once ----

template <class Request, class Response>
Response Probe::call(Told& told, const Request& request, StubMethod<Request, Response> method) {
  grpc::ClientContext context;
  set_deadline(context, call_time);
  Response response;
  const auto stub = v1::Participant::NewStub(channel());
  note(told, (*stub.*method)(&context, request, &response));
  return response;
}

Told Probe::once(const v1::PrepareRequest& request) {
  Told told;
  told.call = "Prepare of attempt " + attempt_of(request);
  v1::PrepareResponse response;
  if (http_) {
    ask(told, {"prepare", request}, response);
  } else {
    response = call<v1::PrepareRequest, v1::PrepareResponse>(told, request, &v1::Participant::Stub::Prepare);
  }
  told.vote = response.vote();
  told.result = response.result();
  note_attempt(told, response);
  if (const auto id = TxnId::from_hex(request.txn_id())) remember({*id, request.branch()}, told);
  return told;
}

Told Probe::once(const v1::CommitRequest& request) {
  Told told;
  told.call = "Commit of attempt " + attempt_of(request);
  if (http_) {
    v1::PrepareResponse none;
    ask(told, {"commit", as_prepare(request)}, none);
    return told;
  }
  call<v1::CommitRequest, v1::CommitResponse>(told, request, &v1::Participant::Stub::Commit);
  return told;
}

Told Probe::once(const v1::AbortRequest& request) {
  Told told;
  told.call = "Abort of attempt " + attempt_of(request);
  if (http_) {
    v1::PrepareResponse none;
    ask(told, {"abort", as_prepare(request)}, none);
    return told;
  }
  call<v1::AbortRequest, v1::AbortResponse>(told, request, &v1::Participant::Stub::Abort);
  return told;
}

Told Probe::once(const v1::BranchStatusRequest& request) {
  Told told;
  told.call = "Status";
  v1::BranchStatusResponse response;
  if (http_) {
    v1::PrepareRequest head;
    head.set_txn_id(request.txn_id());
    head.set_branch(request.branch());
    head.set_participant(request.participant());
    const auto said = post("status", body_of({"status", head}));
    const HttpStatusAnswer answer =
        said ? read_status_answer(said->status, said->body)
             : HttpStatusAnswer{grpc::Status(grpc::StatusCode::UNAVAILABLE, said.error()), {}};
    note(told, answer.status);
    if (told.code == grpc::StatusCode::UNIMPLEMENTED) tells_status_ = false;
    response = answer.response;
  } else {
    response = call<v1::BranchStatusRequest, v1::BranchStatusResponse>(told, request, &v1::Participant::Stub::Status);
  }
  told.state = response.state();
  told.coordinator = response.coordinator();
  note_attempt(told, response);
  return told;
}

Told Probe::garbage(const std::string& method) {
  Told told;
  told.call = method + " with bytes that are no message";
  const std::string bytes(64, '\xff');
  if (http_) {
    std::string verb = method;
    std::transform(verb.begin(), verb.end(), verb.begin(), [](char c) { return static_cast<char>(c | 0x20); });
    const auto said = post(verb, bytes);
    note(told, said ? read_answer({verb, {}}, said->status, said->body).status
                    : grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, said.error()));
    return told;
  }
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer sent(&slice, 1);
  grpc::ClientContext context;
  set_deadline(context, call_time);
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(channel());
  auto call = stub.PrepareUnaryCall(&context, "/assent.v1.Participant/" + method, sent, &queue);
  call->StartCall();
  grpc::ByteBuffer received;
  grpc::Status status;
  call->Finish(&received, &status, nullptr);
  void* tag = nullptr;
  bool fine = false;
  queue.Next(&tag, &fine);
  note(told, status);
  return told;
}

// ---- by HTTP ----

tl::expected<HttpReply, std::string> Probe::post(std::string_view verb, const std::string& body) const {
  httplib::Client client(http_->origin());
  if (http_->tls && !target_.ca_file.empty()) client.set_ca_cert_path(target_.ca_file);
  client.set_follow_location(false);
  client.set_tcp_nodelay(true);
  client.set_connection_timeout(call_time);
  client.set_read_timeout(call_time);
  client.set_write_timeout(call_time);
  const auto said = client.Post(http_->path + "/" + std::string(verb), body, "application/json");
  if (!said) return tl::unexpected("it cannot be called: " + httplib::to_string(said.error()));
  return HttpReply{said->status, said->body};
}

void Probe::ask(Told& told, const HttpParticipantCall& call, v1::PrepareResponse& response) const {
  const auto said = post(call.verb, body_of(call));
  if (!said) return note(told, grpc::Status(grpc::StatusCode::UNAVAILABLE, said.error()));
  if (says_bad_request(said->status)) {
    return note(told, grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, said->body.substr(0, 200)));
  }
  HttpParticipantAnswer answer = read_answer(call, said->status, said->body);
  note(told, answer.status);
  if (answer.status.ok()) response = std::move(answer.response);
}

// ---- until definite ----

Told Probe::until_definite(const std::function<Told()>& call) {
  const auto end = std::chrono::steady_clock::now() + target_.patience;
  for (;;) {
    Told told = call();
    const bool refused =
        told.code == grpc::StatusCode::INVALID_ARGUMENT || told.code == grpc::StatusCode::UNIMPLEMENTED;
    if (told.definite() || refused || std::chrono::steady_clock::now() >= end) return told;
    std::this_thread::sleep_for(pause);
  }
}

v1::PrepareRequest Probe::prepare_request(const BranchRef& branch, Attempt attempt) const {
  auto out = request<v1::PrepareRequest>(branch, attempt);
  out.set_payload(target_.payload);
  out.set_time_left_millis(static_cast<std::uint32_t>(std::max<std::int64_t>(1, target_.patience.count())));
  return out;
}

Told Probe::prepare(const BranchRef& branch, Attempt attempt) { return prepare(branch, attempt, target_.payload); }

Told Probe::prepare(const BranchRef& branch, Attempt attempt, const Bytes& payload) {
  v1::PrepareRequest request = prepare_request(branch, attempt);
  request.set_payload(payload);
  return until_definite([&] { return once(request); });
}

Told Probe::commit(const BranchRef& branch, Attempt attempt) {
  return until_definite([&] { return once(request<v1::CommitRequest>(branch, attempt)); });
}

Told Probe::abort(const BranchRef& branch, Attempt attempt) {
  return until_definite([&] { return once(request<v1::AbortRequest>(branch, attempt)); });
}

Told Probe::status(const BranchRef& branch) {
  const auto end = std::chrono::steady_clock::now() + target_.patience;
  for (;;) {
    Told told = until_definite([&] { return once(request<v1::BranchStatusRequest>(branch, {})); });
    const bool running = told.ok() && told.state == v1::BRANCH_RUNNING;
    if (!running || std::chrono::steady_clock::now() >= end) return told;
    std::this_thread::sleep_for(pause);
  }
}

void Probe::remember(const BranchRef& branch, const Told& told) {
  if (!told.yes() || !told.has_attempt) return;
  const std::scoped_lock lock(mutex_);
  yeses_.emplace_back(branch, told.attempt);
}

}  // namespace assent::conformance
