// The fuzzers' entry functions: each takes any bytes as they might come from a disk, a peer, a client or an operator,
// gives them to production code, and ends the process when that breaks a promise (`require`). Nothing but a finding may
// end it: malformed bytes are an error value.
//
// Not a test framework: libfuzzer_main.cc drives one of them under libFuzzer (scripts/fuzz.sh), tests/fuzz replays
// seeds, corpus and regressions through all of them in the ordinary test run. Entry functions keep no state between
// calls, so that an input that was found is an input that can be replayed.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace assent::fuzz {

struct Target {
  std::string_view name;
  void (*run)(ByteView input) = nullptr;
  // Real encodings, for the fuzzer to begin with.
  std::vector<Bytes> (*seeds)() = nullptr;
};

// Ascending by name.
[[nodiscard]] std::span<const Target> targets();
[[nodiscard]] const Target* find_target(std::string_view name);

// A promise that must hold whatever came in; says which one did not and aborts.
void require(bool holds, std::string_view promise);

// ---- the targets, each in a file of its own ----
void run_api(ByteView input);
void run_changes(ByteView input);
void run_config(ByteView input);
void run_coordinator(ByteView input);
void run_frames(ByteView input);
void run_http_bodies(ByteView input);
void run_node(ByteView input);
void run_raft(ByteView input);
void run_records(ByteView input);
void run_services(ByteView input);
void run_shard(ByteView input);
void run_snapshots(ByteView input);
void run_sql(ByteView input);
void run_sqlite_image(ByteView input);
void run_wal(ByteView input);
void run_wire(ByteView input);

std::vector<Bytes> api_seeds();
std::vector<Bytes> changes_seeds();
std::vector<Bytes> config_seeds();
std::vector<Bytes> coordinator_seeds();
std::vector<Bytes> frames_seeds();
std::vector<Bytes> http_bodies_seeds();
std::vector<Bytes> node_seeds();
std::vector<Bytes> raft_seeds();
std::vector<Bytes> records_seeds();
std::vector<Bytes> services_seeds();
std::vector<Bytes> shard_seeds();
std::vector<Bytes> snapshots_seeds();
std::vector<Bytes> sql_seeds();
std::vector<Bytes> sqlite_image_seeds();
std::vector<Bytes> wal_seeds();
std::vector<Bytes> wire_seeds();

}  // namespace assent::fuzz
