#include "server/http_actions.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "server/http_api.h"
#include "server/http_bodies.h"
#include "server/log.h"
#include "server/loop_question.h"

namespace assent {
namespace {

using namespace std::chrono_literals;

// Three rounds of questions to nodes, and something to spare.
constexpr auto patience = 3 * ObserveService::peer_patience + 1'000ms;

HttpAnswer refused(const std::string& why) { return http_error(409, "REFUSED", why); }

struct Doubt {
  bool in_doubt = false;
  std::string attendant;  // the group that will end it by itself
};

Doubt doubt_of(const v1::Explanation& explanation) {
  Doubt doubt;
  for (const v1::GroupSight& one : explanation.sights()) {
    const std::string& stage = one.sight().stage();
    if (stage == "in-doubt" || stage == "resolving") doubt.in_doubt = true;
    if (stage == "collecting" || stage == "deciding" || stage == "finishing") doubt.attendant = one.group();
  }
  return doubt;
}

class Actions {
 public:
  Actions(const HttpSources& sources, ObserveService& observe) : sources_(sources), observe_(observe) {}

  // As assentctl txn resolve does: only what is in doubt, and only what the votes prove.
  [[nodiscard]] HttpAnswer resolve(const TxnId& txn) const {
    const auto explained = explain(txn);
    if (!explained) return http_stuck();
    if (!*explained) {
      return http_error(404, "TXN_NOT_RECORDED", fmt::format("no node that answers knows of {}", txn));
    }
    const Doubt before = doubt_of(**explained);
    if (!before.attendant.empty()) {
      return refused(fmt::format("{} attends to it and ends it by itself: {}", before.attendant, (*explained)->why()));
    }
    const auto told = outcome(txn, before.in_doubt);
    if (!told) return http_stuck();
    const bool definite = *told && ((*told)->state() == v1::COMMITTED || (*told)->state() == v1::ABORTED);
    if (!*told) {
      return refused("no leader of its coordinator group answers, so nothing can be proven now: " +
                     (*explained)->why());
    }
    if (!before.in_doubt) {
      if (!definite) return refused("nobody is in doubt about it, so there is nothing to resolve");
      return refused(fmt::format("it is over: it {}; nothing is left to resolve",
                                 (*told)->state() == v1::COMMITTED ? "committed" : "aborted"));
    }
    if (definite) return document(**told);
    const auto after = explain(txn);
    if (!after || !*after) return http_stuck();
    return refused((*after)->why().empty() ? "the votes that are known do not prove an outcome yet" : (*after)->why());
  }

  // After this it never commits, unless it has.
  [[nodiscard]] HttpAnswer seal(const TxnId& txn) const {
    const auto told = outcome(txn, true);
    if (!told) return http_stuck();
    if (!*told) return refused("the leader of its coordinator group does not answer; try again when there is one");
    return document(**told);
  }

  [[nodiscard]] HttpAnswer transfer(const std::string& group, const std::string& to) const {
    if (sources_.cluster.get()->groups.find(group) == nullptr && group != map_group_name) return http_no_group(group);
    v1::TransferLeaderRequest request;
    request.set_group(group);
    request.set_to(to);
    const auto done = ask_loop_later<ObserveService::Told>(
        sources_.inbox, patience,
        [this, request](Loop&, auto answer) { observe_.transfer(request, std::move(answer)); });
    if (!done) return http_stuck();
    if (!done->done) return refused(done->why);
    return {.status = 202,
            .type = "application/json",
            .body = "{\"group\":" + quoted(group) + ",\"to\":" + quoted(to) + "}\n"};
  }

 private:
  [[nodiscard]] static std::string quoted(const std::string& text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  [[nodiscard]] static HttpAnswer document(const v1::Transaction& transaction) {
    return {.status = 200, .type = "application/json", .body = to_json(transaction) + "\n"};
  }
  [[nodiscard]] std::optional<std::optional<v1::Explanation>> explain(const TxnId& txn) const {
    return ask_loop_later<std::optional<v1::Explanation>>(
        sources_.inbox, patience, [this, txn](Loop&, auto done) { observe_.explain(txn, std::move(done)); });
  }
  [[nodiscard]] std::optional<std::optional<v1::Transaction>> outcome(const TxnId& txn, bool seal) const {
    return ask_loop_later<std::optional<v1::Transaction>>(
        sources_.inbox, patience,
        [this, txn, seal](Loop&, auto done) { observe_.outcome(txn, seal, std::move(done)); });
  }

  const HttpSources& sources_;
  ObserveService& observe_;
};

void audit(std::string_view what, const std::string& about, const HttpAnswer& answer) {
  LogEvent(LogLevel::warn, "admin", what).field("about", about).field("status", answer.status).write();
}

}  // namespace

HttpAnswer http_no_group(std::string_view name) {
  return http_error(404, "GROUP_NOT_FOUND", fmt::format("there is no group \"{:.63}\"", name));
}

std::optional<HttpAnswer> refuse_without_token(const AdminTokens& tokens, const HttpRequest& request) {
  if (tokens.empty()) {
    return http_error(403, "NO_TOKENS", "this node takes no actions by http: auth.admin_tokens_file names no tokens");
  }
  if (tokens.allow(request.authorization)) return std::nullopt;
  return http_error(401, "UNAUTHENTICATED",
                    "send one of the tokens of auth.admin_tokens_file: Authorization: Bearer TOKEN");
}

void add_action_routes(HttpPort& port, const HttpSources& sources, ObserveService& observe, const AdminTokens& tokens) {
  const auto actions = std::make_shared<const Actions>(sources, observe);
  const auto about_txn = [&](const char* pattern, const char* what, HttpAnswer (Actions::*run)(const TxnId&) const) {
    port.action(pattern, [actions, &tokens, what, run](const HttpRequest& request) {
      if (auto no = refuse_without_token(tokens, request)) return *no;
      const std::optional<TxnId> txn = TxnId::from_hex(request.path.at("id"));
      if (!txn) return http_bad_request("this is not a transaction id (32 hex digits)");
      HttpAnswer answer = (*actions.*run)(*txn);
      audit(what, txn->to_hex(), answer);
      return answer;
    });
  };
  about_txn("/api/v1/txns/{id}/resolve", "resolve", &Actions::resolve);
  about_txn("/api/v1/txns/{id}/seal", "seal", &Actions::seal);
  port.action("/api/v1/groups/{group}/transfer-leader", [actions, &tokens](const HttpRequest& request) {
    if (auto no = refuse_without_token(tokens, request)) return *no;
    const auto to = read_transfer_body(request.body);
    if (!to) return http_bad_request(to.error().message);
    HttpAnswer answer = actions->transfer(request.path.at("group"), *to);
    audit("transfer leader", request.path.at("group"), answer);
    return answer;
  });
}

}  // namespace assent
