#include <fmt/format.h>

#include <algorithm>

#include "sim/explore/describe.h"
#include "sim/explore/model.h"

namespace assent::explore {

std::vector<GroupId> Model::groups() const {
  std::vector<GroupId> ids = {coordinator_group};
  for (std::uint64_t shard = 1; shard <= shards; ++shard) ids.emplace_back(shard);
  return ids;
}

namespace {

// Empty when it is all of them.
std::string places_of(unsigned bits) {
  std::string words;
  for (unsigned place = 0; place < 4 && bits != 0xF; ++place) {
    if ((bits >> place & 1U) != 0) words += place == 0 ? " c" : fmt::format(" s{}", place);
  }
  return words;
}

std::string ballots_of(const Bounds& bounds) {
  if (bounds.openers == 0) return "; nobody opens ballots above the coordinator's first";
  const std::string by = places_of(bounds.openers);
  return by.empty() ? "" : fmt::format("; {} round of ballots, opened by{}", bounds.rounds, by);
}

std::string timers_of(const Bounds& bounds) {
  if (bounds.timers == 0) return "; time does not pass";
  const std::string at = places_of(bounds.timers);
  return at.empty() ? "" : "; time passes at" + at + " alone";
}

}  // namespace

std::string describe(const Bounds& bounds) {
  return fmt::format("elections: {} of the coordinator, {} of each shard, {} in all{}{}{}{}",
                     bounds.coordinator_elections, bounds.shard_elections, bounds.elections, ballots_of(bounds),
                     timers_of(bounds),
                     bounds.refusals > 0 ? fmt::format("; refused entries: {}", bounds.refusals) : "",
                     bounds.ageing ? "; once, all clocks jump beyond every horizon" : "");
}

std::uint64_t Model::millis(bool aged) const {
  const std::uint64_t beyond = options.shard.window.retention_millis + options.decisions.history.keep_millis + 1'000;
  return start_millis + (aged ? beyond : 0);
}

TxnId model_txn(std::uint64_t number) { return TxnId::make(ClusterMillis(start_millis), 0, number << 12U); }

namespace {

// Whatever waits is overdue after one tick; a message that is repeated says nothing new to a network that keeps all.
SideOptions impatient() {
  SideOptions options;
  options.conductor.timeout_ticks = 1;
  options.conductor.resend_ticks = 1;
  options.conductor.resend_ticks_max = 1;
  options.conductor.abort_sends_max = 1;
  options.conductor.end_ticks = 1;
  options.conductor.two_phase_only = true;
  options.conductor.note_ticks = 1;
  options.conductor.ballot_ticks = 1;
  options.conductor.resolve_ticks = 1;
  options.conductor.tidy_ticks = 1;
  options.caretaker.prepare_timeout_ticks = 1;
  options.caretaker.settle_ticks = 1;
  options.caretaker.resend_ticks = 1;
  options.caretaker.resend_ticks_max = 1;
  options.caretaker.inquire_after_sends = 1;
  options.caretaker.resolve_ticks = 1;
  options.caretaker.confirm_ticks = 1;
  options.caretaker.tidy_ticks = 1;
  return options;
}

KvAdd one_more(std::string key) { return KvAdd{std::move(key), 1, std::nullopt, std::nullopt}; }

// Adds one to a row of each shard.
Execute across(std::uint64_t number, unsigned shards) {
  Execute execute;
  execute.txn = model_txn(number);
  execute.protocol = Protocol::two_phase;
  for (std::uint64_t shard = 1; shard <= shards; ++shard) {
    execute.branches.push_back(Branch{GroupId(shard), {one_more("n")}});
  }
  return execute;
}

Ask execute_ask(const Execute& execute, GroupId group, unsigned times) {
  return Ask{fmt::format("execute t{}", execute.txn == model_txn(1) ? 1 : 2), group, execute, times};
}

Ask seal_ask(const Execute& execute, GroupId group) {
  return Ask{fmt::format("the outcome of t{}, sealing it", execute.txn == model_txn(1) ? 1 : 2), group,
             GetOutcome{execute.txn, true, 0}, 1};
}

Model two_phase(unsigned shards, unsigned executes) {
  Model model;
  model.options = impatient();
  model.shards = shards;
  model.txns = {across(1, shards)};
  model.asks = {execute_ask(model.txns[0], coordinator_group, executes), seal_ask(model.txns[0], coordinator_group)};
  return model;
}

Model named(Model model, std::string name, std::string about) {
  model.name = std::move(name);
  model.about = std::move(about);
  return model;
}

// Where votes or ballots decide anybody may be asked what came of it, so every shard is known.
Model under(Protocol protocol, Model model) {
  model.options.conductor.two_phase_only = false;
  for (std::uint64_t shard = 1; shard <= model.shards; ++shard) {
    model.options.conductor.shards.emplace_back(shard);
  }
  for (Execute& txn : model.txns) txn.protocol = protocol;
  for (Ask& ask : model.asks) {
    if (auto* execute = std::get_if<Execute>(&ask.body)) execute->protocol = protocol;
  }
  return model;
}

Model paxos_commit(Model model) { return under(Protocol::paxos_commit, std::move(model)); }
Model three_phase(Model model) { return under(Protocol::three_phase, std::move(model)); }

Model steady(Model model) {
  model.bounds.elections = 0;
  return model;
}

constexpr unsigned nobody = 0;
constexpr unsigned c_alone = 1;
constexpr unsigned s1_alone = 2;
constexpr unsigned shards_alone = 6;
Model opened_by(unsigned openers, Model model) {
  model.bounds.openers = openers;
  model.aborts = openers != nobody;  // no shard refuses the first, and only a ballot ends what was voted for
  return model;
}

// Time passes at these groups alone.
Model timed(unsigned timers, Model model) {
  model.bounds.timers = timers;
  return model;
}

// Nobody asks for the outcome.
Model unasked(Model model) {
  model.asks.resize(1);
  return model;
}

// Not in the test run.
Model long_one(Model model) {
  model.quick = false;
  return model;
}

Model two_phase_refused() {
  Model model = two_phase(2, 1);
  model.bounds = {.coordinator_elections = 0, .shard_elections = 1, .elections = 1, .refusals = 1, .ageing = false};
  return model;
}

Model two_phase_twice_replaced() {
  Model model = two_phase(2, 2);
  model.bounds = {.coordinator_elections = 2, .shard_elections = 0, .elections = 2, .refusals = 0, .ageing = false};
  model.quick = false;
  return model;
}

// Beyond the horizon ids are refused, registers and outcomes are forgotten.
Model two_phase_ageing() {
  Model model = two_phase(2, 1);
  model.options.decisions.history = {.keep_millis = 0, .records_max = 0};
  model.bounds = {.coordinator_elections = 0, .shard_elections = 1, .elections = 0, .refusals = 0, .ageing = true};
  return model;
}

// Two that meet on both shards. The time of the first is up one tick before that of the second.
Model two_by_two(unsigned elections) {
  Model model = two_phase(2, 1);
  model.txns.push_back(across(2, 2));
  model.txns[1].timeout_ticks = 2;
  model.asks = {execute_ask(model.txns[0], coordinator_group, 1), execute_ask(model.txns[1], coordinator_group, 1)};
  model.bounds.elections = elections;
  model.serial = true;
  model.quick = elections == 0;
  return model;
}

// Both add to the same counter, which has room for one of them.
Model escrow() {
  Model model = two_by_two(0);
  model.room = false;
  for (std::size_t i = 0; i < 2; ++i) {
    for (Branch& branch : model.txns[i].branches) branch.work = {KvAdd{"n", 1, std::nullopt, 1, true}};
    std::get<Execute>(model.asks[i].body).branches = model.txns[i].branches;
  }
  return model;
}

// Each reads at one shard what the other writes there, and writes at the other what the other reads. Locks are taken at
// prepare: a reader that let go of them once it has voted would let both commit, and neither order explains that.
Model skew() {
  Model model = two_by_two(0);
  model.txns[0].branches = {Branch{GroupId(1), {KvGet{"x"}}}, Branch{GroupId(2), {one_more("y")}}};
  model.txns[1].branches = {Branch{GroupId(1), {one_more("x")}}, Branch{GroupId(2), {KvGet{"y"}}}};
  for (std::size_t i = 0; i < 2; ++i) {
    std::get<Execute>(model.asks[i].body).branches = model.txns[i].branches;
  }
  return model;
}

// Each reads what the other writes: run side by side on the same rows, neither order explains both.
Model one_phase() {
  Model model;
  model.options = impatient();
  model.shards = 1;
  model.txns.resize(2);
  model.txns[0].branches = {Branch{GroupId(1), {KvGet{"x"}, one_more("y")}}};
  model.txns[1].branches = {Branch{GroupId(1), {KvGet{"y"}, one_more("x")}}};
  for (std::uint64_t i = 0; i < 2; ++i) {
    model.txns[i].txn = model_txn(i + 1);
    model.asks.push_back(execute_ask(model.txns[i], GroupId(1), 2));
    model.asks.push_back(seal_ask(model.txns[i], GroupId(1)));
  }
  model.bounds = {.coordinator_elections = 0, .shard_elections = 2, .elections = 2, .refusals = 1, .ageing = false};
  model.serial = true;
  return model;
}

std::vector<Model> make_models() {
  Model three = two_phase(3, 1);
  three.bounds.elections = 1;
  Model once_replaced = two_phase(2, 2);
  once_replaced.bounds.elections = 1;
  const Model paxos = paxos_commit(once_replaced);
  Model paxos_once = paxos;
  paxos_once.asks[0].times = 1;
  Model paxos_three = paxos_commit(three);
  Model paxos_three_steady = paxos_three;
  paxos_three_steady.bounds.elections = 0;
  return {
      named(std::move(once_replaced), "two-phase", "one transaction on two shards, executed twice and sealed"),
      named(two_phase_refused(), "two-phase-refused", "the same, executed once; logs refuse entries"),
      named(two_phase_ageing(), "two-phase-ageing",
            "the same, executed once; ids grow too old, outcomes are forgotten"),
      named(two_phase_twice_replaced(), "two-phase-epochs", "as two-phase, with three leaders of the coordinator"),
      named(std::move(three), "two-phase-3", "one transaction on three shards, executed once and sealed"),
      named(two_by_two(0), "two-by-two", "two transactions that meet on two shards"),
      named(escrow(), "escrow", "two transactions that add to one counter, which has room for one"),
      named(skew(), "skew", "two transactions, each only reads at one shard what the other writes there"),
      named(two_by_two(1), "two-by-two-replaced", "the same with an election; larger than was ever waited for"),
      named(std::move(paxos_once), "paxos-commit", "one transaction on two shards, executed once and sealed"),
      named(long_one(paxos), "paxos-commit-again", "the same, executed twice"),
      named(paxos_commit(two_phase_refused()), "paxos-commit-refused", "executed once and sealed; logs refuse entries"),
      named(long_one(paxos_commit(two_phase_ageing())), "paxos-commit-ageing",
            "executed once and sealed; ids grow too old, outcomes are forgotten"),
      named(std::move(paxos_three_steady), "paxos-commit-3",
            "one transaction on three shards, executed once and sealed"),
      named(long_one(paxos_three), "paxos-commit-3-replaced", "the same with an election"),
      named(timed(shards_alone, paxos_commit(two_by_two(0))), "paxos-by-two",
            "two transactions that meet on two shards; time passes at the shards"),
      named(long_one(timed(c_alone, paxos_commit(two_by_two(0)))), "paxos-by-two-c",
            "the same; time passes at the coordinator"),
      named(long_one(paxos_commit(two_by_two(0))), "paxos-by-two-timed", "the same; time passes everywhere"),
      named(opened_by(s1_alone, three_phase(unasked(steady(two_phase(2, 1))))), "three-phase",
            "one transaction on two shards, executed once; one shard opens ballots"),
      named(opened_by(c_alone, three_phase(unasked(steady(two_phase(2, 1))))), "three-phase-timed-out",
            "the same; the coordinator opens ballots"),
      named(long_one(three_phase(unasked(steady(two_phase(2, 1))))), "three-phase-duel", "the same; everybody does"),
      named(long_one(three_phase(steady(two_phase(2, 1)))), "three-phase-sealed", "the same, and sealed"),
      named(long_one(opened_by(s1_alone, three_phase(unasked(two_phase(2, 1))))), "three-phase-replaced",
            "executed once, one shard opens ballots, with elections"),
      named(opened_by(nobody, three_phase(unasked(steady(two_phase(3, 1))))), "three-phase-3",
            "one transaction on three shards, executed once; nobody opens ballots"),
      named(long_one(opened_by(s1_alone, three_phase(unasked(steady(two_phase(3, 1)))))), "three-phase-3-ended",
            "the same; one shard does"),
      named(timed(c_alone, opened_by(nobody, three_phase(two_by_two(0)))), "three-by-two",
            "two transactions that meet on two shards; nobody opens ballots"),
      named(long_one(opened_by(nobody, three_phase(two_by_two(0)))), "three-by-two-timed",
            "the same; time passes everywhere"),
      named(long_one(opened_by(s1_alone, three_phase(two_by_two(0)))), "three-by-two-ended",
            "the same; one shard opens ballots"),
      named(one_phase(), "one-phase", "two transactions on one shard, each reads what the other writes"),
  };
}

}  // namespace

std::span<const Model> models() {
  static const std::vector<Model> all = make_models();
  return all;
}

const Model* find_model(const std::string& name) {
  const auto all = models();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Model& model) { return model.name == name; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace assent::explore
