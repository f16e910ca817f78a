// Traces of whole runs, for the acceptors: read back from the files into which the simulator writes them.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sim/world.h"

namespace assent::testing {

using Trace = std::vector<nlohmann::json>;

// How many seeds the test run judges; ASSENT_TRACES=1000 for more.
inline unsigned trace_seeds() {
  const char* more = std::getenv("ASSENT_TRACES");
  return more == nullptr ? 40 : static_cast<unsigned>(std::strtoul(more, nullptr, 10));
}

// what: the path of RunOptions that names the trace.
inline Trace trace_of(std::uint64_t seed, const sim::Choices& choices, std::string sim::RunOptions::*what) {
  const auto file = std::filesystem::path(::testing::TempDir()) / fmt::format("assent-trace-{}-{}", ::getpid(), seed);
  sim::RunOptions options;
  options.seed = seed;
  options.choices = choices;
  options.*what = file.string();
  {
    sim::World world(options);
    const auto result = world.run();
    EXPECT_TRUE(result) << result.error().message;
  }
  Trace trace;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) trace.push_back(nlohmann::json::parse(line));
  std::filesystem::remove(file);
  return trace;
}

// Why a trace is rejected, and at which line; empty when it is accepted.
struct TraceJudgement {
  std::string why;
  std::size_t line = 0;
};
template <class Acceptor>
TraceJudgement judge_trace(const Trace& trace) {
  Acceptor acceptor;
  for (std::size_t i = 0; i < trace.size(); ++i) {
    if (auto why = acceptor.accept(trace[i])) return {*why, i};
  }
  return {};
}

}  // namespace assent::testing
