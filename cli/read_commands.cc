// assentctl txn read
#include <fmt/format.h>

#include "cli/documents.h"
#include "cli/outcome_text.h"
#include "cli/session.h"

namespace assent::cli {

ExitCode run(const Session& session, const TxnReadCommand& command) {
  client::Transaction all;
  for (const auto& [shard, statement] : command.on) all.on(shard, SqlStatement{statement, {}});
  const client::Result<client::ReadResult> read = session.client.read(std::move(all.branches));
  if (!read) return session.fail(read.error());
  Json document{{"rounds", read->rounds}, {"locked", read->locked}, {"results", Json::array()}};
  for (const client::BranchResult& branch : read->results) {
    Json results = Json::array();
    for (const OperationResult& result : branch.results) {
      results.push_back(to_json(result));
      if (session.json()) continue;
      session.console.out << fmt::format("-- {}\n", branch.shard);
      print_rows(session, result);
    }
    document["results"].push_back({{"shard", branch.shard}, {"results", std::move(results)}});
  }
  if (session.json()) session.print(document);
  return ExitCode::ok;
}

}  // namespace assent::cli
