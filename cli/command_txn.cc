// assentctl txn ..., parsed.
#include "cli/command_detail.h"

namespace assent::cli {

namespace {

void add_outcome(CLI::App& txn, Draft& draft) {
  CLI::App& get =
      *txn.add_subcommand("get",
                          "What came of a transaction. Ends with 0 when it committed, 6 when it aborted, 7 while "
                          "undecided, 4 when no group knows it");
  const auto ask = leaf<TxnGetCommand>(get, draft);
  add_txn_id(get, "id", ask->id, "The transaction's id")->required();
  get.add_flag("--seal", ask->seal, "Make sure that it never commits after the answer, unless it has");
  add_duration(get, "--wait", ask->wait, "Wait for a decision while it is undecided");
  get.add_option("--group", ask->group, "Ask this group only (default: the coordinator, then every shard)");

  CLI::App& wait = *txn.add_subcommand("wait",
                                       "Wait until a transaction is decided. Ends with 0 when it committed, 6 when it "
                                       "aborted, 124 when it still is undecided, 4 when no group knows it");
  const auto until = leaf<TxnWaitCommand>(wait, draft);
  add_txn_id(wait, "id", until->id, "The transaction's id")->required();
  add_duration(wait, "--for", until->at_most, "At most so long (default 60s)");

  CLI::App& seal = *txn.add_subcommand("seal",
                                       "Make sure that a transaction never commits, unless it has. Ends with 6 when it "
                                       "never will, 0 when it had committed before, 7 when that could not be learned");
  const auto close = leaf<TxnSealCommand>(seal, draft);
  add_txn_id(seal, "id", close->id, "The transaction's id")->required();
  add_duration(seal, "--wait", close->wait, "While it runs, wait so long for it to end (default 10s)");
}

std::optional<std::optional<bool>> read_end(std::string_view text) {
  if (text != "commit" && text != "abort") return std::nullopt;
  return std::optional(text == "commit");
}

void add_explanations(CLI::App& txn, Draft& draft) {
  CLI::App& doubt = *txn.add_subcommand("in-doubt",
                                        "Transactions that voted yes and have not heard what came of them: what each "
                                        "waits for, since when, whom it blocks. Ends with 5 when a group could not be "
                                        "asked, so that the list may lack some");
  leaf<TxnInDoubtCommand>(doubt, draft);
  CLI::App& explain =
      *txn.add_subcommand("explain", "Why a transaction is not over, and what happens next. Ends as txn get does");
  const auto one = leaf<TxnExplainCommand>(explain, draft);
  add_txn_id(explain, "id", one->id, "The transaction's id")->required();
  CLI::App& resolve = *txn.add_subcommand("resolve",
                                          "Run the protocol's own resolution of a transaction in doubt. Ends with 0 or "
                                          "6 as it comes out, 8 when the votes that can be read prove neither, or when "
                                          "there is nothing to resolve");
  const auto end = leaf<TxnResolveCommand>(resolve, draft);
  add_txn_id(resolve, "id", end->id, "The transaction's id")->required();
  add_duration(resolve, "--wait", end->wait, "Wait so long for the answers (default 3s)");
  CLI::Option* const heuristic =
      add_parsed<std::optional<bool>>(resolve, "--heuristic", end->heuristic, &read_end, "commit or abort",
                                      "When the protocol's own resolution does not end it: commit or abort it on the "
                                      "shards that are in doubt, whatever "
                                      "it comes to elsewhere; or say of services that keep failing that their part "
                                      "was brought to this end by hand");
  heuristic->type_name("commit|abort");
  CLI::App& retry =
      *txn.add_subcommand("retry",
                          "Send what is outstanding for a transaction again now, without waiting for a "
                          "pause to end. Ends with 7 while it is undecided, 0 or 6 when it is decided and "
                          "being carried out, 8 when it is over or not known");
  const auto again = leaf<TxnRetryCommand>(retry, draft);
  add_txn_id(retry, "id", again->id, "The transaction's id")->required();
  CLI::Option* const reason = resolve.add_option("--reason", end->reason, "Why: it is kept with the transaction");
  heuristic->needs(reason);
  for (CLI::Option* const option :
       {reason->type_name("TEXT"),
        resolve.add_option("--on", end->on, "Only on this shard or service; may be repeated")->type_name("NAME"),
        resolve.add_flag("--yes", end->yes, "Do not ask for the last digits of the id")}) {
    option->needs(heuristic);
  }
}

void add_filter(CLI::App& app, TxnFilter& filter) {
  app.add_option("--state", filter.states, "Only these states, separated by commas")
      ->delimiter(',')
      ->transform(CLI::IsMember(
          {"ACTIVE", "PREPARING", "PREPARED", "PRECOMMITTED", "COMMITTING", "COMMITTED", "ABORTING", "ABORTED"},
          CLI::ignore_case));
  app.add_option("--limit", filter.limit, "At most so many (default 50)")->check(CLI::Range(1, 500));
  add_duration(app, "--slower-than", filter.slower_than, "Only those that took longer, or run for longer");
}

void add_records(CLI::App& txn, Draft& draft) {
  CLI::App& list = *txn.add_subcommand("list", "The newest transactions, as the nodes recorded them");
  const auto page = leaf<TxnListCommand>(list, draft);
  add_filter(list, page->filter);
  list.add_option("--cursor", page->cursor, "Those older than the page before, which says it");
  CLI::App& trace = *txn.add_subcommand("trace", "Where a transaction's time went, as bars");
  const auto one = leaf<TxnTraceCommand>(trace, draft);
  add_txn_id(trace, "id", one->id, "The transaction's id")->required();
  CLI::App& watch = *txn.add_subcommand("watch", "A line for each transaction that comes or changes its state");
  const auto all = leaf<TxnWatchCommand>(watch, draft);
  add_filter(watch, all->filter);
  add_duration(watch, "--every", all->every, "Look so often (default 1s)");
  add_duration(watch, "--for", all->at_most, "End after so long (default: never)");
}

void add_forget(CLI::App& txn, Draft& draft) {
  CLI::App& forget = *txn.add_subcommand("forget",
                                         "Take what was forced on a transaction off the list, once it is dealt with. "
                                         "Ends with 8 when nothing was forced on it, or while it has not ended, for "
                                         "its outcome is still to be held against what was forced");
  const auto one = leaf<TxnForgetCommand>(forget, draft);
  add_txn_id(forget, "id", one->id, "The transaction's id")->required();
  forget.add_option("--reason", one->reason, "Why: it stands in the groups' logs")->required()->type_name("TEXT");
  forget.add_option("--on", one->on, "Only on this shard; may be repeated")->type_name("SHARD");
  forget.add_flag("--yes", one->yes, "Do not ask for the last digits of the id");
}

void read_calls(const char* option, const std::vector<std::pair<std::string, std::string>>& from, bool retriable,
                std::vector<client::ServiceCall>& to) {
  for (const auto& [service, payload] : from) {
    auto call = parse_service_call(service, payload);
    if (!call) {
      throw CLI::ValidationError(option,
                                 fmt::format("'{} {}' is not NAME@HOST:PORT and text or hex:00ff", service, payload));
    }
    call->retriable = retriable;
    to.push_back(std::move(*call));
  }
}

}  // namespace

void add_txn(CLI::App& app, Draft& draft) {
  CLI::App& txn = heading(app, "txn", "Transactions");
  CLI::App& exec = *txn.add_subcommand(
      "exec", "Run statements on shards and calls of services as one transaction: all of them happen or none");
  const auto run = leaf<TxnExecCommand>(exec, draft);
  exec.add_option("--on", run->on, "A shard and a statement for it; may be repeated")->type_name("SHARD SQL");
  exec.add_option("--key", run->keys, "A key, and a statement for the shard that it belongs to; may be repeated")
      ->type_name("KEY SQL");
  const auto calls = std::make_shared<std::vector<std::pair<std::string, std::string>>>();
  const auto steps = std::make_shared<std::vector<std::pair<std::string, std::string>>>();
  exec.add_option("--call", *calls,
                  "A service, NAME@HOST:PORT as the coordinator's nodes reach it, and what it is to do, as text or "
                  "hex:00ff; may be repeated")
      ->type_name("SERVICE PAYLOAD");
  exec.add_option("--then", *steps,
                  "A retriable step of a saga, behind all others: called once it is committed, and until it is done; "
                  "never compensated. As --call")
      ->type_name("SERVICE PAYLOAD");
  const auto call_timeout = std::make_shared<std::chrono::milliseconds>(0);
  const auto call_max = std::make_shared<std::uint32_t>(0);
  add_duration(exec, "--call-timeout", *call_timeout,
               "How long each --call may take to vote from when it is first asked; then the transaction aborts "
               "(default: as long as the transaction has)");
  exec.add_option("--max-calls", *call_max,
                  "How often each --call may be asked for its vote before the transaction aborts (default: as often as "
                  "there is time)")
      ->type_name("N");
  exec.parse_complete_callback([run, calls, steps, call_timeout, call_max] {
    if (run->on.empty() && run->keys.empty() && calls->empty() && steps->empty()) {
      throw CLI::RequiredError("--on, --key or --call");
    }
    read_calls("--call", *calls, false, run->calls);
    for (client::ServiceCall& call : run->calls) {
      call.timeout = *call_timeout;
      call.max_calls = *call_max;
    }
    read_calls("--then", *steps, true, run->calls);
  });
  add_txn_id(exec, "--id", run->id,
             "The transaction's id; sending it again never runs the work twice (default: a new one)");
  add_parsed<Protocol>(exec, "--protocol", run->protocol, &protocol_named,
                       "a protocol (auto, one-phase, two-phase, three-phase, paxos-commit)",
                       "auto, one-phase, two-phase, three-phase, paxos-commit")
      ->type_name("NAME");
  add_parsed<Mode>(exec, "--mode", run->mode, &mode_named, "a mode (atomic, tcc, saga, concurrent-saga)",
                   "What it is to its services: atomic, tcc (try, confirm, cancel), saga (one after the other, "
                   "compensated in the reverse order) or concurrent-saga")
      ->type_name("NAME");

  CLI::App& read = *txn.add_subcommand("read", "Read several shards as they were at one instant, without locks");
  const auto reads = leaf<TxnReadCommand>(read, draft);
  read.add_option("--on", reads->on, "A shard and a SELECT for it; may be repeated")
      ->required()
      ->type_name("SHARD SQL");

  add_outcome(txn, draft);
  add_explanations(txn, draft);
  add_records(txn, draft);
  add_forget(txn, draft);
}

}  // namespace assent::cli
