// What may be done by http: POSTs with an operator's token (server/admin_tokens.h). Each says what became of it, or why
// not; nothing here overrules a transaction's protocol.
#pragma once

#include "server/admin_tokens.h"
#include "server/http_routes.h"
#include "server/observe_service.h"

namespace assent {

// All of it outlives the port.
void add_action_routes(HttpPort& port, const HttpSources& sources, ObserveService& observe, const AdminTokens& tokens);

[[nodiscard]] HttpAnswer http_no_group(std::string_view name);

// The same guard for other routes: nothing, or the answer that refuses.
[[nodiscard]] std::optional<HttpAnswer> refuse_without_token(const AdminTokens& tokens, const HttpRequest& request);

}  // namespace assent
