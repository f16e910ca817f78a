#include "cli/command.h"

#include "cli/command_detail.h"
#include "cli/exit_code.h"
#include "cli/values.h"
#include "client/options.h"

namespace assent::cli {

namespace {

std::optional<BenchWorkload> read_workload(std::string_view text) {
  if (text == "bank") return BenchWorkload::bank;
  if (text == "append") return BenchWorkload::append;
  if (text == "register") return BenchWorkload::registers;
  if (text == "hot") return BenchWorkload::hot;
  if (text == "keys") return BenchWorkload::keys;
  return std::nullopt;
}

std::optional<OutputFormat> read_output(std::string_view text) {
  if (text == "table") return OutputFormat::table;
  if (text == "json") return OutputFormat::json;
  return std::nullopt;
}

std::optional<std::string> read_endpoints(std::string_view text) {
  return client::parse_endpoints(text) ? std::optional(std::string(text)) : std::nullopt;
}

void add_global(CLI::App& app, Draft& draft) {
  add_parsed<std::string>(app, "--endpoints", draft.global.endpoints, &read_endpoints,
                          "a list of host:port with commas",
                          "Client addresses of nodes; one is enough (default 127.0.0.1:7420)")
      ->envname("ASSENT_ENDPOINTS")
      ->type_name("HOST:PORT,...");
  add_duration(app, "--timeout", draft.global.timeout, "How long a call may last (default 5s)");
  add_parsed<OutputFormat>(app, "-o,--output", draft.global.output, &read_output, "an output format (table, json)",
                           "table, or json: always one JSON document")
      ->type_name("FORMAT");
  app.add_flag("--no-headers", draft.global.no_headers, "Tables without their first line");
}

void add_cluster(CLI::App& app, Draft& draft) {
  CLI::App& cluster = heading(app, "cluster", "Nodes and groups");
  CLI::App& status = *cluster.add_subcommand("status", "Every group and every node, as the nodes see themselves");
  const auto specific = leaf<ClusterStatusCommand>(status, draft);
  status.add_flag("--digests", specific->digests, "Compute and show the digest of every replica's state");
  CLI::App& health = *cluster.add_subcommand(
      "health",
      "Ends with 0 when every group has a leader and all members answer, 5 when not all do, 3 without a leader");
  leaf<ClusterHealthCommand>(health, draft);
  leaf<ClusterMapCommand>(
      *cluster.add_subcommand("map", "Which nodes and groups there are, and the epoch of the map that says so"), draft);
  CLI::App& add = *cluster.add_subcommand("add", "Take a new node in; then start it: assentd start --join HOST:PORT");
  const auto added = leaf<ClusterAddCommand>(add, draft);
  add.add_option("node", added->node, "Its name")->required();
  add.add_option("--peer", added->peer, "Where the other nodes reach it")->required()->type_name("HOST:PORT");
  add.add_option("--client", added->client, "Where clients reach it")->required()->type_name("HOST:PORT");
  add_duration(add, "--wait", added->wait, "How long to wait until every node knows (default 30s)");
  CLI::App& remove = *cluster.add_subcommand(
      "remove", "Move a node's replicas to others, and take it out of the cluster; given again it goes on");
  const auto removed = leaf<ClusterRemoveCommand>(remove, draft);
  remove.add_option("node", removed->node, "Its name")->required();
  add_duration(remove, "--wait", removed->wait, "How long each replica may take to move (default 10m)");
}

void add_shard(CLI::App& app, Draft& draft) {
  CLI::App& shard = heading(app, "shard", "Shards of a running cluster");
  CLI::App& create = *shard.add_subcommand("create", "Make a new shard, and wait until it serves");
  const auto made = leaf<ShardCreateCommand>(create, draft);
  create.add_option("name", made->name, "Its name")->required();
  create.add_option("--replicas", made->replicas, "How many: an odd number (default 3)")->check(CLI::Range(1, 99));
  create.add_option("--on", made->on, "The nodes (default: of all that answer, by rendezvous hashing)")
      ->delimiter(',')
      ->type_name("NODE,...");
  create.add_flag("--in-ring", made->in_ring,
                  "Keys are routed to it from now on; those that are elsewhere do not move");
  add_duration(create, "--wait", made->wait, "How long to wait until it serves (default 60s)");
  for (const bool in : {true, false}) {
    CLI::App& ring = *shard.add_subcommand(
        in ? "join-ring" : "leave-ring", in ? "Route keys to a shard from now on; those that are elsewhere do not move"
                                            : "Route no keys to a shard from now on; those that it has stay there");
    const auto put = leaf<ShardRingCommand>(ring, draft);
    put->in_ring = in;
    ring.add_option("shard", put->shard, "The shard")->required();
    add_duration(ring, "--wait", put->wait, "How long to wait until every node knows (default 30s)");
  }
  CLI::App& route = *app.add_subcommand("route", "Which shard a key belongs to when nobody names one");
  route.add_option("key", leaf<RouteCommand>(route, draft)->key, "The key")->required();
}

void add_staleness(CLI::App& app, std::chrono::milliseconds& target) {
  add_duration(app, "--max-staleness", target,
               "A stale read: of any replica that can prove that all that was told to be committed longer ago shows in "
               "it. Says how old it is at most (default: a linearizable read)");
}

void add_sql(CLI::App& app, Draft& draft) {
  CLI::App& sql =
      *app.add_subcommand("sql", "Run one SQL statement on one shard: a SELECT reads, all else is a transaction");
  const auto specific = leaf<SqlCommand>(sql, draft);
  sql.add_option("--shard", specific->shard, "The shard")->required();
  sql.add_option("statement", specific->statement, "One SQL statement")->required();
  sql.add_option_function<std::vector<std::string>>(
         "--param",
         [specific](const std::vector<std::string>& texts) {
           for (const std::string& text : texts) {
             const std::optional<SqlValue> value = parse_parameter(text);
             if (!value) throw CLI::ValidationError("--param", fmt::format("'{}' is not what its prefix says", text));
             specific->parameters.push_back(*value);
           }
         },
         "For ?1, ?2, ...: 5, 5.5, null, text; or text:V int:V real:V hex:V")
      ->type_name("V")
      ->allow_extra_args(false);
  add_staleness(sql, specific->staleness_max);
}

// One key-value verb; fill adds its arguments and gives what makes the operation of them.
template <class Op>
std::shared_ptr<Op> kv_verb(CLI::App& kv, Draft& draft, const std::string& name, const std::string& help,
                            CLI::App*& verb) {
  verb = kv.add_subcommand(name, help);
  verb->fallthrough();
  auto op = std::make_shared<Op>();
  auto shard = std::make_shared<std::string>();
  verb->add_option("--shard", *shard, "The shard (default: the one that the key belongs to)");
  verb->add_option("key", op->key, "The key")->required();
  const auto staleness = std::make_shared<std::chrono::milliseconds>(0);
  if constexpr (std::is_same_v<Op, KvGet>) add_staleness(*verb, *staleness);
  verb->callback([&draft, op, shard, staleness] {
    draft.chosen = [op, shard, staleness] { return Command(KvCommand{*shard, *op, *staleness}); };
  });
  return op;
}

void add_kv(CLI::App& app, Draft& draft) {
  CLI::App& kv = heading(app, "kv", "Keys and values on one shard");
  CLI::App* verb = nullptr;
  kv_verb<KvGet>(kv, draft, "get", "Print the value; ends with 4 when there is none", verb);
  const auto put = kv_verb<KvPut>(kv, draft, "put", "Set the value", verb);
  verb->add_option("value", put->value, "The value")->required();
  kv_verb<KvErase>(kv, draft, "erase", "Remove the key", verb);
  const auto add = kv_verb<KvAdd>(kv, draft, "add", "Add to the integer that the key holds (absent counts as 0)", verb);
  verb->add_option("delta", add->delta, "What to add; may be negative")->required();
  verb->add_option("--floor", add->floor, "Abort when the sum is below this");
  verb->add_flag("--escrow", add->escrow, "Let others add to the key at the same time; the sum is not told");
  verb->add_option("--ceiling", add->ceiling, "Abort when the sum is above this");
  const auto expect =
      kv_verb<KvExpect>(kv, draft, "expect", "Abort unless the key holds the value, or, without one, is absent", verb);
  verb->add_option("value", expect->value, "The value; none: the key must not exist");
}

template <class MemberCommand>
struct MemberLeaf {
  CLI::App* app;
  std::shared_ptr<MemberCommand> command;
};

template <class MemberCommand>
MemberLeaf<MemberCommand> add_member_command(CLI::App& group, Draft& draft, const char* name, const char* help) {
  CLI::App& app = *group.add_subcommand(name, help);
  const auto command = leaf<MemberCommand>(app, draft);
  app.add_option("group", command->group, "The group")->required();
  app.add_option("node", command->node, "The node")->required();
  add_duration(app, "--wait", command->wait, "How long it may take to catch up (default 10m)");
  return {&app, command};
}

void add_group(CLI::App& app, Draft& draft) {
  CLI::App& group = heading(app, "group", "Groups: their members, leaders and locks");
  CLI::App& transfer = *group.add_subcommand("transfer-leader", "Ask a group's leader to hand over to another node");
  const auto specific = leaf<TransferLeaderCommand>(transfer, draft);
  transfer.add_option("group", specific->group, "The group")->required();
  transfer.add_option("--to", specific->to, "The node")->required();
  CLI::App& members = *group.add_subcommand("members", "Who belongs to a group, and how far each one's log is");
  members.add_option("group", leaf<GroupMembersCommand>(members, draft)->group, "The group")->required();
  const auto add =
      add_member_command<AddReplicaCommand>(group, draft, "add-replica", "Let a node keep a replica of the group");
  add.app->add_flag("--learner", add.command->learner, "It is sent everything and never votes, until it is promoted");
  add_member_command<PromoteReplicaCommand>(group, draft, "promote", "Let a learner vote, once it has caught up");
  add_member_command<RemoveReplicaCommand>(group, draft, "remove-replica", "Take a node's replica out of the group");
  const auto replace = add_member_command<ReplaceReplicaCommand>(
      group, draft, "replace", "Put a node that lost its disk, or another node, in the place of a replica");
  replace.app->add_option("--by", replace.command->by, "The other node (default: the same one, with its new disk)");
  CLI::App& locks = *group.add_subcommand("locks",
                                          "Who holds what others wait for, and who waits for whom, in all groups. Ends "
                                          "with 5 when a group could not be asked");
  leaf<GroupLocksCommand>(locks, draft);
}

// One that may span several shards.
std::optional<Protocol> read_spanning_protocol(std::string_view text) {
  const std::optional<Protocol> protocol = protocol_named(text);
  return protocol == Protocol::one_phase ? std::nullopt : protocol;
}

void add_load(CLI::App& app, BenchRunCommand& bench) {
  app.add_option("--clients", bench.clients, "Concurrent clients")->check(CLI::Range(1, 10'000))->capture_default_str();
  app.add_option("--accounts", bench.accounts_per_shard, "Accounts on each shard")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  app.add_option("--balance", bench.balance, "What a new account begins with")
      ->check(CLI::Range(0, 1'000'000'000))
      ->capture_default_str();
  app.add_option("--cross-shard", bench.cross_shard, "Share of transfers between two shards")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  add_parsed<Protocol>(app, "--protocol", bench.protocol, &read_spanning_protocol,
                       "a protocol for several shards (auto, two-phase, three-phase, paxos-commit)",
                       "Of what spans several shards: auto, two-phase, three-phase, paxos-commit")
      ->type_name("NAME");
  app.add_option("--seed", bench.seed, "Of the choice of accounts and amounts")->capture_default_str();
  app.add_option("--history", bench.history, "Write what every client did and heard, one JSON object a line")
      ->type_name("FILE");
}

void add_hooks(CLI::App& app, std::string& kill, std::string& restart, bool required) {
  app.add_option("--kill-hook", kill, "Shell command that kills a node, and ends when it is dead; its name is added")
      ->required(required)
      ->type_name("CMD");
  app.add_option("--restart-hook", restart, "Shell command that starts it again; its name is added")
      ->required(required)
      ->type_name("CMD");
}

void add_bench(CLI::App& app, Draft& draft) {
  CLI::App& bench = heading(app, "bench", "Load and its measures");
  CLI::App& run = *bench.add_subcommand("run", "Transfer money under load, measure, and check the books");
  const auto specific = leaf<BenchRunCommand>(run, draft);
  add_parsed<BenchWorkload>(
      run, "--workload", specific->workload, &read_workload, "a workload; there are: bank, append, register, hot, keys",
      "bank; or append (lists) or register (numbers): transactions of one to eight reads and "
      "writes, whose history is judged for strict serializability; or hot: all clients move money between "
      "one account and their own; or keys: the same with --accounts of them, on the first shard")
      ->type_name("NAME");
  add_load(run, *specific);
  run.add_flag("!--no-escrow", specific->escrow, "hot, keys: each transfer locks the accounts until it is finished");
  run.add_flag("--sql", specific->sql,
               "hot, keys: the accounts are rows of a table, whose balance is declared ESCROW, instead of keys");
  run.add_option("--participants", specific->participants, "hot, keys: shards of a transfer, from 2 on")
      ->check(CLI::Range(2, 64))
      ->capture_default_str();
  run.add_option("--value-bytes", specific->value_bytes,
                 "hot, keys: a value that each transfer writes on each of its shards besides")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  add_duration(run, "--duration", specific->duration, "How long to measure (default 20s)");
  add_duration(run, "--warmup", specific->warmup, "Load before measuring (default none)");
  CLI::App& check = *bench.add_subcommand("check", "Check the books of the bank that is there");
  const auto checked = leaf<BenchCheckCommand>(check, draft);
  check.add_option("--balance", checked->balance, "What every account began with")->capture_default_str();
  CLI::App& failover = *bench.add_subcommand(
      "failover", "Kill a group's leader again and again, and measure how long until a new one has served a write");
  const auto killed = leaf<BenchFailoverCommand>(failover, draft);
  failover.add_option("--group", killed->group, "Whose leader is killed (default: the first shard)")->type_name("NAME");
  failover.add_option("--trials", killed->trials, "How often")->check(CLI::Range(1, 100'000))->capture_default_str();
  add_duration(failover, "--election-timeout", killed->election_timeout,
               "The nodes' raft.election_timeout, the unit of the report (default 1s)");
  add_hooks(failover, killed->kill_hook, killed->restart_hook, true);
}

void add_check(CLI::App& app, Draft& draft) {
  CLI::App& check = heading(app, "check", "Judges what was recorded; asks no cluster");
  CLI::App& history = *check.add_subcommand("history",
                                            "Is a history of clients strictly serializable? Ends with 0 when it is as "
                                            "far as the rules can tell, 1 when it is "
                                            "not, 7 when it could not be judged");
  const auto specific = leaf<CheckHistoryCommand>(history, draft);
  history.add_option("file", specific->path, "One JSON object a line, as --history writes it; - for standard input")
      ->required();
}

void add_demo(CLI::App& app, Draft& draft) {
  CLI::App& demo = heading(app, "demo", "Demonstrations");
  CLI::App& bank =
      *demo.add_subcommand("bank", "Transfer money while the coordinator's leader is killed and comes back");
  const auto specific = leaf<DemoBankCommand>(bank, draft);
  add_load(bank, specific->bench);
  bank.add_option_function<std::uint32_t>(
          "--seconds",
          [specific](const std::uint32_t& seconds) {
            if (seconds == 0) throw CLI::ValidationError("--seconds", "must be above 0");
            specific->bench.duration = std::chrono::seconds(seconds);
          },
          "Of load")
      ->type_name("N");
  add_hooks(bank, specific->kill_hook, specific->restart_hook, false);
}

void add_conformance(CLI::App& app, Draft& draft) {
  CLI::App& proof = *app.add_subcommand("conformance",
                                        "Does a service keep what it must to take part in transactions? Drives it as a "
                                        "coordinator would; --timeout is its time for a definite answer. Ends with 0 "
                                        "when it passes every check, else 1");
  const auto specific = leaf<ConformanceCommand>(proof, draft);
  add_parsed<std::string>(
      proof, "--target", specific->target, &parse_service_target,
      "one host:port, grpcs://host:port, http://host:port/path or https://host:port/path",
      "Where its assent.v1.Participant service is: host:port, or grpcs://host:port with TLS; or, for "
      "HTTP call-back, http://host:port/path or https://host:port/path")
      ->type_name("TARGET")
      ->required();
  proof.add_option("--ca", specific->ca_file, "With TLS: file in PEM of those who may have signed its certificate")
      ->check(CLI::ExistingFile)
      ->type_name("FILE");
  proof.add_option("--branch", specific->branch, "What the names of its branches begin with (default conformance)");
  proof.add_option("--name", specific->participant, "The participant's name, told in each call");
  add_parsed<std::string>(proof, "--payload", specific->payload, &parse_payload, "text, or hex:00ff",
                          "A payload that it says yes to, any number of times: text, or hex:00ff")
      ->type_name("V");
  add_parsed<std::optional<std::string>>(
      proof, "--refused", specific->refused,
      +[](std::string_view text) -> std::optional<std::optional<std::string>> {
        const auto payload = parse_payload(text);
        return payload ? std::optional(payload) : std::nullopt;
      },
      "text, or hex:00ff", "A payload that it says no to")
      ->type_name("V");
  proof
      .add_option("--restart-hook", specific->restart_hook,
                  "Shell command that kills it and starts it again, and ends when that is done; the target is added")
      ->type_name("CMD");
}

}  // namespace

std::variant<Invocation, Farewell> parse(int argc, const char* const* argv) {
  Draft draft;
  CLI::App app("Talks to an Assent cluster", "assentctl");
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 ok, 1 error, 2 usage, 3 unreachable or no leader, 4 not found, 5 unhealthy, 6 transaction "
      "aborted, "
      "7 outcome unknown, 8 refused for safety, 124 timed out");
  add_global(app, draft);
  add_cluster(app, draft);
  add_shard(app, draft);
  add_sql(app, draft);
  add_txn(app, draft);
  add_kv(app, draft);
  add_group(app, draft);
  add_bench(app, draft);
  add_check(app, draft);
  add_demo(app, draft);
  add_conformance(app, draft);
  leaf<VersionCommand>(*app.add_subcommand("version", "Print the version"), draft);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    // The help of the subcommand that was asked about.
    const CLI::App* asked = &app;
    while (!asked->get_subcommands().empty()) asked = asked->get_subcommands().front();
    return Farewell{0, asked->help()};
  } catch (const CLI::Error& error) {
    // What CLI11 says of an unknown command is that a command is missing.
    const std::vector<std::string> rest = app.remaining(true);
    const bool unknown = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && !rest.empty();
    const std::string what = unknown ? fmt::format("there is no command '{}'", rest.front()) : error.what();
    return Farewell{static_cast<int>(ExitCode::usage), fmt::format("assentctl: {}\nSee assentctl --help\n", what)};
  }
  return Invocation{draft.global, draft.chosen()};
}

}  // namespace assent::cli
