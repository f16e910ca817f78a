// How a Client behaves. Every field has a default that suits a program beside a healthy cluster.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "client/backoff.h"
#include "client/error.h"
#include "txn_proto/types.h"

namespace assent::client {

struct Options {
  std::vector<std::string> endpoints;         // host:port of client APIs; one is enough, the rest is discovered
  std::chrono::milliseconds timeout{10'000};  // of a call that brings none
  // After this time without an answer the same request goes out again, perhaps to another leader; doubled each time.
  std::chrono::milliseconds attempt_timeout{1'000};
  std::chrono::milliseconds status_timeout{1'000};  // for one node's status
  BackoffPolicy discovery{std::chrono::milliseconds(10), std::chrono::milliseconds(200), 2.0};
};

// How run_with_retry goes on after an abort that a new attempt may escape.
struct RetryPolicy {
  std::uint32_t attempts_max = 64;
  BackoffPolicy pause{std::chrono::milliseconds(1), std::chrono::milliseconds(100), 2.0};
};

// Of an interactive transaction.
struct RunOptions {
  Protocol protocol = Protocol::automatic;
  RetryPolicy retry = {};
};

// "a:1, b:2" as endpoints; an Error names the part that is not host:port.
[[nodiscard]] Result<std::vector<std::string>> parse_endpoints(std::string_view text);

}  // namespace assent::client
