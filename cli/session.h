// What the commands share: the client, the output format, and how answers and errors are printed.
#pragma once

#include <string>

#include "check/verdict.h"
#include "cli/documents.h"
#include "cli/run.h"
#include "cli/table.h"
#include "client/client.h"

namespace assent::cli {

struct Session {
  client::Client& client;
  const GlobalOptions& global;
  Console console;

  [[nodiscard]] bool json() const { return global.output == OutputFormat::json; }
  void print(const Json& document) const { console.out << pretty(document) << '\n'; }
  void print(const Table& table) const { table.print(console.out, !global.no_headers); }
  [[nodiscard]] ExitCode fail(const client::Error& error) const;
};

[[nodiscard]] ExitCode exit_code_of(const check::Verdict& verdict);

[[nodiscard]] ExitCode run(const Session& session, const ClusterStatusCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const ClusterHealthCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const ClusterMapCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const ClusterAddCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const ClusterRemoveCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const ShardCreateCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const ShardRingCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const RouteCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const TransferLeaderCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const GroupMembersCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const AddReplicaCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const PromoteReplicaCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const RemoveReplicaCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const ReplaceReplicaCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const SqlCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const TxnExecCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const TxnReadCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const TxnGetCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const TxnWaitCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const TxnSealCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const TxnInDoubtCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const GroupLocksCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const TxnExplainCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const TxnResolveCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const TxnListCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const TxnTraceCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const TxnWatchCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const TxnRetryCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const TxnForgetCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const KvCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const BenchRunCommand& command);
// bench run with the workloads append and register.
[[nodiscard]] ExitCode run_items(const Session& session, const BenchRunCommand& command);
[[nodiscard]] ExitCode run_hot(const Session& session, const BenchRunCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const BenchCheckCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const BenchFailoverCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const CheckHistoryCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const DemoBankCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const ConformanceCommand& command);
[[nodiscard]] ExitCode run(const Session& session, const VersionCommand& command);

}  // namespace assent::cli
