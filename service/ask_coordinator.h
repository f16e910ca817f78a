// Asks an Assent cluster what came of a branch in doubt, for a Resolver.
//
//   Result<client::Client> client = client::Client::connect({.endpoints = {"10.0.0.1:7420"}});
//   Resolver resolver(host.branches(), ask_coordinator(*client));
#pragma once

#include "client/client.h"
#include "service/resolver.h"

namespace assent::service {

// By GetOutcome with seal, at the group that the branch names. The client must outlive the function.
[[nodiscard]] AskFate ask_coordinator(client::Client& client);

}  // namespace assent::service
