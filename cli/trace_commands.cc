// assentctl txn list, trace and watch: what nodes recorded. Any node answers for all of them; the JSON is that of the
// http port.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>

#include <map>
#include <thread>

#include "assent/v1/observe.grpc.pb.h"
#include "cli/session.h"
#include "cli/waterfall.h"
#include "txn_proto/api_error.h"

namespace assent::cli {

namespace {

std::string json_text(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string text;
  static_cast<void>(google::protobuf::util::MessageToJsonString(message, &text, options));
  return text;
}
Json json_of(const google::protobuf::Message& message) { return Json::parse(json_text(message)); }

// The first endpoint that answers; what the others said when none does.
class Asker {
 public:
  explicit Asker(const Session& session) : session_(session) {
    const auto endpoints = client::parse_endpoints(session.global.endpoints);
    for (const std::string& endpoint : *endpoints) {
      nodes_.emplace_back(endpoint,
                          v1::Observe::NewStub(grpc::CreateChannel(endpoint, grpc::InsecureChannelCredentials())));
    }
  }

  template <class Request, class Response>
  client::Result<Response> ask(grpc::Status (v1::Observe::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                         Response*),
                               const Request& request) const {
    client::Error none{client::ErrorCode::unreachable, "no node answers", {}, {}};
    for (const auto& [endpoint, stub] : nodes_) {
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + session_.global.timeout);
      Response response;
      const grpc::Status status = ((*stub).*method)(&context, request, &response);
      if (status.ok()) return response;
      if (has_details(status)) {  // a node has judged it
        const bool unknown = status.error_code() == grpc::StatusCode::NOT_FOUND;
        return client::fail(unknown ? client::ErrorCode::not_found : client::ErrorCode::refused,
                            status.error_message());
      }
      none.tried.push_back({endpoint, {}, status.error_message()});
    }
    return tl::unexpected(std::move(none));
  }

 private:
  const Session& session_;
  std::vector<std::pair<std::string, std::unique_ptr<v1::Observe::Stub>>> nodes_;
};

std::string age_of(const v1::TxnSummary& summary, std::int64_t now) {
  return duration_of(static_cast<std::uint64_t>(std::max<std::int64_t>(0, now - summary.started_unix_micros())));
}

std::string remark_of(const v1::TxnSummary& summary) {
  std::vector<std::string> words;
  if (!summary.reason().empty()) {
    words.push_back(summary.refused_by().empty() ? summary.reason() : summary.refused_by() + ": " + summary.reason());
  }
  if (summary.repeats() > 0) words.push_back(fmt::format("{} messages repeated", summary.repeats()));
  if (summary.recovered()) words.emplace_back("recovered");
  return fmt::format("{}", fmt::join(words, ", "));
}

void add_row(const v1::TxnSummary& one, std::int64_t now, Table& table) {
  table.add({one.txn_id(), one.state(), age_of(one, now), duration_of(one.duration_micros()), one.protocol(),
             fmt::format("{}", fmt::join(one.participants(), " ")), one.node(), remark_of(one)});
}

Table txn_table() { return Table({"TXID", "STATE", "AGE", "TOOK", "PROTOCOL", "PARTICIPANTS", "NODE", "REMARK"}); }

void warn(const Session& session, const google::protobuf::RepeatedPtrField<v1::Unreachable>& unreachable) {
  for (const v1::Unreachable& one : unreachable) {
    session.console.err << fmt::format("assentctl: {} could not be asked: {}\n", one.node(), one.why());
  }
}

v1::TxnsRequest request_of(const TxnFilter& filter) {
  v1::TxnsRequest request;
  for (const std::string& state : filter.states) request.add_states(state);
  request.set_limit(filter.limit);
  request.set_slower_than_micros(static_cast<std::uint64_t>(filter.slower_than.count()) * 1'000);
  return request;
}

}  // namespace

ExitCode run(const Session& session, const TxnListCommand& command) {
  v1::TxnsRequest request = request_of(command.filter);
  request.set_cursor(command.cursor);
  const auto page = Asker(session).ask(&v1::Observe::Stub::Txns, request);
  if (!page) return session.fail(page.error());
  if (session.json()) {
    session.print(json_of(*page));
    return ExitCode::ok;
  }
  Table table = txn_table();
  for (const v1::TxnSummary& one : page->txns()) add_row(one, page->as_of_unix_micros(), table);
  session.print(table);
  if (!page->next_cursor().empty()) {
    session.console.err << fmt::format("older ones: --cursor {}\n", page->next_cursor());
  }
  warn(session, page->unreachable());
  return ExitCode::ok;
}

ExitCode run(const Session& session, const TxnTraceCommand& command) {
  v1::TraceRequest request;
  request.set_txn_id(command.id.to_hex());
  const auto trace = Asker(session).ask(&v1::Observe::Stub::Trace, request);
  if (!trace) return session.fail(trace.error());
  if (session.json()) {
    session.print(json_of(*trace));
  } else {
    for (const std::string& line : waterfall(*trace)) session.console.out << line << '\n';
  }
  return ExitCode::ok;
}

// A line for each transaction that is new or in another state, until the time is over or the process is ended. In JSON
// one document a line.
ExitCode run(const Session& session, const TxnWatchCommand& command) {
  const Asker asker(session);
  const auto until = std::chrono::steady_clock::now() + command.at_most;
  std::map<std::string, std::string> seen;  // state by id, of the last page
  while (true) {
    const auto page = asker.ask(&v1::Observe::Stub::Txns, request_of(command.filter));
    if (!page) return session.fail(page.error());
    std::map<std::string, std::string> now;
    for (auto one = page->txns().rbegin(); one != page->txns().rend(); ++one) {
      now[one->txn_id()] = one->state();
      const auto before = seen.find(one->txn_id());
      if (before != seen.end() && before->second == one->state()) continue;
      if (session.json()) {
        session.console.out << json_text(*one) << '\n';
      } else {
        session.console.out << fmt::format("{}  {:<10}  {:>8}  {}  {}  {}\n", one->txn_id(), one->state(),
                                           duration_of(one->duration_micros()), one->protocol(),
                                           fmt::join(one->participants(), " "), remark_of(*one));
      }
    }
    session.console.out.flush();
    seen = std::move(now);
    if (command.at_most.count() > 0 && std::chrono::steady_clock::now() + command.every > until) return ExitCode::ok;
    std::this_thread::sleep_for(command.every);
  }
}

}  // namespace assent::cli
