// The command line as values: parse() reads it, run.h carries it out.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "client/transaction.h"
#include "txn_proto/types.h"

namespace assent::cli {

enum class OutputFormat : std::uint8_t { table, json };

struct GlobalOptions {
  std::string endpoints = "127.0.0.1:7420";
  std::chrono::milliseconds timeout{5'000};
  OutputFormat output = OutputFormat::table;
  bool no_headers = false;
};

struct ClusterStatusCommand {
  bool digests = false;
};
struct ClusterHealthCommand {};
struct ClusterMapCommand {};
struct ClusterAddCommand {
  std::string node;
  std::string peer;    // host:port
  std::string client;  // likewise
  std::chrono::milliseconds wait{30'000};
};
struct ClusterRemoveCommand {
  std::string node;
  std::chrono::milliseconds wait{600'000};
};
struct ShardCreateCommand {
  std::string name;
  std::uint32_t replicas = 3;
  std::vector<std::string> on;  // nodes; none: by rendezvous
  bool in_ring = false;
  std::chrono::milliseconds wait{60'000};
};
struct ShardRingCommand {
  std::string shard;
  bool in_ring = true;
  std::chrono::milliseconds wait{30'000};
};
struct RouteCommand {
  std::string key;
};
struct SqlCommand {
  std::string shard;
  std::string statement;
  std::vector<SqlValue> parameters;
  std::chrono::milliseconds staleness_max{0};  // 0: a linearizable read
};
struct TxnExecCommand {
  std::vector<std::pair<std::string, std::string>> on;    // shard, statement
  std::vector<std::pair<std::string, std::string>> keys;  // key, statement for the shard that it belongs to
  std::vector<client::ServiceCall> calls;
  TxnId id;  // none: a new one
  Mode mode = Mode::atomic;
  Protocol protocol = Protocol::automatic;
};
struct TxnReadCommand {
  std::vector<std::pair<std::string, std::string>> on;  // shard, SELECT
};
struct TxnGetCommand {
  TxnId id;
  bool seal = false;
  std::chrono::milliseconds wait{0};
  std::string group;
};
struct TxnWaitCommand {
  TxnId id;
  std::chrono::milliseconds at_most{60'000};
};
struct TxnSealCommand {
  TxnId id;
  std::chrono::milliseconds wait{10'000};
};
struct TxnInDoubtCommand {};
struct GroupLocksCommand {};
struct TxnExplainCommand {
  TxnId id;
};
struct TxnResolveCommand {
  TxnId id;
  std::chrono::milliseconds wait{3'000};
  std::optional<bool> heuristic;  // commit it, or abort it, where it is in doubt, whatever the votes say
  std::string reason;             // with heuristic
  std::vector<std::string> on;    // shards, or services that keep failing; none: all that are in doubt
  bool yes = false;               // without the typed confirmation
};
// Of what nodes recorded.
struct TxnFilter {
  std::vector<std::string> states;  // as they are printed; empty: all
  std::uint32_t limit = 50;
  std::chrono::milliseconds slower_than{0};
};
struct TxnListCommand {
  TxnFilter filter;
  std::string cursor;
};
struct TxnTraceCommand {
  TxnId id;
};
struct TxnWatchCommand {
  TxnFilter filter;
  std::chrono::milliseconds every{1'000};
  std::chrono::milliseconds at_most{0};  // 0: until the process is ended
};
struct TxnRetryCommand {
  TxnId id;
};
struct TxnForgetCommand {
  TxnId id;
  std::string reason;
  std::vector<std::string> on;  // shards; none: all where an end was forced on it
  bool yes = false;             // without the typed confirmation
};
struct KvCommand {
  std::string shard;  // empty: the one that the key belongs to
  Operation operation;
  std::chrono::milliseconds staleness_max{0};  // of a get; 0: a linearizable read
};
struct TransferLeaderCommand {
  std::string group;
  std::string to;
};
struct GroupMembersCommand {
  std::string group;
};
struct AddReplicaCommand {
  std::string group;
  std::string node;
  bool learner = false;  // it stays one
  std::chrono::milliseconds wait{600'000};
};
struct PromoteReplicaCommand {
  std::string group;
  std::string node;
  std::chrono::milliseconds wait{600'000};
};
struct RemoveReplicaCommand {
  std::string group;
  std::string node;
  std::chrono::milliseconds wait{600'000};
};
struct ReplaceReplicaCommand {
  std::string group;
  std::string node;
  std::string by;  // another node; empty: the same one, with the disk that it has now
  std::chrono::milliseconds wait{600'000};
};
enum class BenchWorkload : std::uint8_t { bank, append, registers, hot, keys };
struct BenchRunCommand {
  BenchWorkload workload = BenchWorkload::bank;
  std::uint32_t clients = 32;
  std::chrono::milliseconds duration{20'000};
  std::chrono::milliseconds warmup{0};
  std::uint64_t accounts_per_shard = 1'000;
  std::int64_t balance = 1'000;
  double cross_shard = 1.0;
  std::uint64_t seed = 1;
  std::string history;
  bool escrow = true;                       // of hot and keys
  std::uint32_t participants = 2;           // of hot and keys: shards of a transfer
  std::uint64_t value_bytes = 0;            // of hot and keys
  bool sql = false;                         // hot and keys: accounts are rows, not keys
  Protocol protocol = Protocol::automatic;  // of what spans several shards
};
struct BenchCheckCommand {
  std::int64_t balance = 1'000;  // that every account began with
};
// Kills the leader of a group, again and again.
struct BenchFailoverCommand {
  std::string group;  // empty: the first shard
  std::uint32_t trials = 100;
  std::chrono::milliseconds election_timeout{1'000};  // the unit of the report
  std::string kill_hook;                              // a shell command; the node's name is added to it
  std::string restart_hook;
};
struct CheckHistoryCommand {
  std::string path;  // "-": standard input
};
struct DemoBankCommand {
  BenchRunCommand bench;
  std::string kill_hook;  // a shell command; the node's name is added to it
  std::string restart_hook;
};
struct ConformanceCommand {
  std::string target;
  std::string ca_file;
  std::string branch = "conformance";
  std::string participant;  // its name
  std::string payload;      // that it says yes to
  std::optional<std::string> refused;
  std::string restart_hook;  // a shell command; the target is added
};
struct VersionCommand {};

using Command =
    std::variant<ClusterStatusCommand, ClusterHealthCommand, ClusterMapCommand, ClusterAddCommand, ClusterRemoveCommand,
                 ShardCreateCommand, ShardRingCommand, RouteCommand, SqlCommand, TxnExecCommand, TxnReadCommand,
                 TxnGetCommand, TxnWaitCommand, TxnSealCommand, TxnInDoubtCommand, TxnExplainCommand, TxnResolveCommand,
                 TxnRetryCommand, TxnForgetCommand, TxnListCommand, TxnTraceCommand, TxnWatchCommand, KvCommand,
                 TransferLeaderCommand, GroupLocksCommand, GroupMembersCommand, AddReplicaCommand,
                 PromoteReplicaCommand, RemoveReplicaCommand, ReplaceReplicaCommand, BenchRunCommand, BenchCheckCommand,
                 BenchFailoverCommand, CheckHistoryCommand, DemoBankCommand, ConformanceCommand, VersionCommand>;

struct Invocation {
  GlobalOptions global;
  Command command;
};

// Either an invocation, or a text to print and the exit code to end with: help (0), or a usage error (2).
struct Farewell {
  int exit_code = 0;
  std::string text;
};
[[nodiscard]] std::variant<Invocation, Farewell> parse(int argc, const char* const* argv);

}  // namespace assent::cli
