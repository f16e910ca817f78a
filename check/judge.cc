#include "check/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "check/cycles.h"
#include "check/evidence.h"
#include "check/list_keys.h"
#include "check/register_keys.h"

namespace assent::check {
namespace {

constexpr std::size_t line_bytes_max = 16ULL << 20U;

using Type = KeyEvidence::Type;

// ---- arranging ----

Type type_of(const Op& op) {
  switch (op.kind) {
    case OpKind::append: return Type::list;
    case OpKind::write: return Type::number;
    case OpKind::add: return Type::counter;
    case OpKind::read: break;
  }
  if (std::holds_alternative<List>(op.value)) return Type::list;
  return std::holds_alternative<Number>(op.value) ? Type::number : Type::unused;
}

// Numbers are read from registers and from counters.
Type both(Type a, Type b) {
  if (a == b || b == Type::unused) return a;
  if (a == Type::unused) return b;
  if (a != Type::list && b != Type::list && a != Type::confused && b != Type::confused) return Type::counter;
  return Type::confused;
}

void note_write(KeyEvidence& key, TxnIndex txn, const Op& op) {
  const auto* number = std::get_if<Number>(&op.value);
  if (number == nullptr) {
    key.attributable = false;
    return;
  }
  const auto [at, fresh] = key.writers.try_emplace(*number, Writer{txn, true});
  if (!fresh) key.attributable = false;
}

void note_last_writes(Evidence& evidence) {
  for (KeyEvidence& key : evidence.keys) {
    for_each_transaction(key.accesses, [&](std::span<const Access> own) {
      const Op* last = nullptr;
      for (const Access& access : own) {
        const Op& op = evidence.op(access);
        const auto* number = std::get_if<Number>(&op.value);
        if (op.kind == OpKind::read || number == nullptr) continue;
        key.writers[*number].last = false;
        last = &op;
      }
      if (last != nullptr) key.writers[std::get<Number>(last->value)].last = true;
    });
  }
}

// A transaction of unknown end happened if somebody saw anything of it.
void note_happened(Evidence& evidence) {
  const auto seen = [&](KeyId key, Number value) {
    const Writer* writer = evidence.writer(key, value);
    if (writer != nullptr && !evidence.failed(writer->txn)) evidence.happened[writer->txn] = 1;
  };
  for (TxnIndex i = 0; i < evidence.history.transactions.size(); ++i) {
    if (!evidence.ok(i)) continue;
    evidence.happened[i] = 1;
    for (const Op& op : evidence.txn(i).ops) {
      if (op.kind != OpKind::read) continue;
      if (const auto* number = std::get_if<Number>(&op.value)) seen(op.key, *number);
      if (const auto* list = std::get_if<List>(&op.value)) {
        for (const Number element : *list) seen(op.key, element);
      }
    }
  }
}

Evidence arrange(const History& history) {
  Evidence evidence{history, std::vector<KeyEvidence>(history.keys.size()),
                    std::vector<char>(history.transactions.size(), 0)};
  for (TxnIndex i = 0; i < history.transactions.size(); ++i) {
    const Transaction& txn = history.transactions[i];
    for (std::uint32_t op = 0; op < txn.ops.size(); ++op) {
      KeyEvidence& key = evidence.keys[txn.ops[op].key];
      key.accesses.push_back({i, op});
      key.type = both(key.type, type_of(txn.ops[op]));
      if (txn.ops[op].kind == OpKind::append || txn.ops[op].kind == OpKind::write) note_write(key, i, txn.ops[op]);
    }
  }
  note_last_writes(evidence);
  note_happened(evidence);
  return evidence;
}

// ---- real time ----

// Whoever has ended leads to a virtual node, from which whoever begins later is reached; each such node leads to the
// next one.
void add_real_time(const Evidence& evidence, Graph& graph) {
  struct Event {
    std::uint64_t at;
    TxnIndex txn;
    bool begins;
  };
  std::vector<Event> events;
  for (TxnIndex i = 0; i < evidence.history.transactions.size(); ++i) {
    if (evidence.happened[i] == 0) continue;
    events.push_back({evidence.txn(i).invoked, i, true});
    if (evidence.txn(i).ended != Transaction::never) events.push_back({evidence.txn(i).ended, i, false});
  }
  std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) { return a.at < b.at; });
  std::optional<Node> barrier;
  bool used = true;  // somebody began after the newest barrier
  for (const Event& event : events) {
    if (event.begins) {
      if (barrier) graph.add({*barrier, event.txn, EdgeKind::pass, 0, 0});
      used = true;
      continue;
    }
    if (used) {
      const Node fresh = graph.add_virtual();
      if (barrier) graph.add({*barrier, fresh, EdgeKind::pass, 0, 0});
      barrier = fresh;
      used = false;
    }
    graph.add({event.txn, *barrier, EdgeKind::real_time, 0, 0});
  }
}

// ---- cycles in words ----

std::string because(const Evidence& evidence, const Step& step) {
  const Edge& edge = step.first;
  const std::string from = fmt::format("T{}", edge.from);
  const std::string to = fmt::format("T{}", step.to);
  const std::string& key = evidence.history.keys[edge.key];
  switch (edge.kind) {
    case EdgeKind::ww: return fmt::format("what {} wrote to {} follows the {} of {}", to, key, edge.value, from);
    case EdgeKind::wr: return fmt::format("{} read in {} the {} of {}", to, key, edge.value, from);
    case EdgeKind::rw: return fmt::format("{} read {} without the {} of {}", from, key, step.unseen, to);
    default: return fmt::format("{} had ended before {} began", from, to);
  }
}

std::string story_of(const Evidence& evidence, const Cycle& cycle) {
  std::string out = fmt::format(
      "{} transactions, each of which must come before the next, and the last before the first.\n", cycle.size());
  for (const Step& step : cycle) out += "  " + describe(evidence.history, step.first.from) + "\n";
  for (const Step& step : cycle) {
    out += fmt::format("  T{} before T{}, because {}{}\n", step.first.from, step.to, because(evidence, step),
                       step.through_real_time ? ", which is later by real time" : "");
  }
  return out;
}

void judge_cycles(const Evidence& evidence, const Graph& graph, Verdict& verdict) {
  const Cycles cycles = find_cycles(graph);
  for (const Cycle& cycle : cycles.found) verdict.found(name_of(cycle), story_of(evidence, cycle));
  if (cycles.components > cycles.found.size()) verdict.anomalies_found += cycles.components - cycles.found.size();
  if (cycles.gave_up) verdict.gaps.emplace_back("there are more cycles of dependencies than could be searched");
}

// ---- keys that are judged alone ----

void judge_alone(const Evidence& evidence, KeyId key, std::uint64_t& states_left, const JudgeOptions& options,
                 Verdict& verdict) {
  const SearchOptions search{std::min(options.states_per_key_max, states_left), false};
  const SearchResult result = search_order(evidence.history, std::array{key}, search);
  states_left -= std::min(states_left, result.states);
  if (result.found == SearchResult::Found::none) {
    verdict.found(
        "not linearizable",
        fmt::format(
            "no order of what was done to {} explains what was read of it. The best attempt ended here:\n  {}\n",
            evidence.name(key), describe(evidence.history, result.stuck)));
  } else if (result.found == SearchResult::Found::gave_up) {
    verdict.gaps.push_back(
        fmt::format("the search for an order of {} gave up after {} states", evidence.name(key), result.states));
  }
}

void judge_key(const Evidence& evidence, KeyId key, Graph& graph, std::uint64_t& states_left,
               const JudgeOptions& options, Verdict& verdict) {
  const KeyEvidence& found = evidence.keys[key];
  switch (found.type) {
    case Type::list:
      if (found.attributable) return judge_list_key(evidence, key, graph, verdict);
      verdict.gaps.push_back(fmt::format(
          "a value is appended to {} twice, so that nobody can say which of them was read", evidence.name(key)));
      return;
    case Type::number:
      if (found.attributable && !found.writers.empty()) return judge_register_key(evidence, key, graph, verdict);
      return judge_alone(evidence, key, states_left, options, verdict);
    case Type::counter: return judge_alone(evidence, key, states_left, options, verdict);
    case Type::confused:
      verdict.gaps.push_back(fmt::format("{} is used as a list and as a number", evidence.name(key)));
      return;
    case Type::unused: return;
  }
}

}  // namespace

Verdict judge(const History& history, const JudgeOptions& options) {
  const Evidence evidence = arrange(history);
  Verdict verdict;
  verdict.keys = history.keys.size();
  verdict.transactions = static_cast<std::size_t>(std::count(evidence.happened.begin(), evidence.happened.end(), 1));
  Graph graph(history.transactions.size());
  std::uint64_t states_left = options.states_max;
  for (KeyId key = 0; key < history.keys.size(); ++key) judge_key(evidence, key, graph, states_left, options, verdict);
  add_real_time(evidence, graph);
  verdict.edges = graph.edges().size();
  judge_cycles(evidence, graph, verdict);
  return verdict;
}

Result<History> read_history(std::istream& in, const HistoryLimits& limits) {
  HistoryBuilder builder(limits);
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (line.size() > line_bytes_max) return fail(ErrorCode::malformed, fmt::format("line {}: too long", number));
    const Result<Event> event = parse_line(line);
    const Result<void> added = event ? builder.add(*event) : fail(event.error());
    if (!added) return fail(added.error().code, fmt::format("line {}: {}", number, added.error().message));
  }
  if (in.bad()) return fail(ErrorCode::io, "the history cannot be read to its end");
  return builder.take();
}

std::string to_text(const Verdict& verdict) {
  std::string out;
  for (const Anomaly& anomaly : verdict.anomalies) out += fmt::format("{}: {}", anomaly.name, anomaly.story);
  if (verdict.anomalies_found > verdict.anomalies.size()) {
    out += fmt::format("... and {} more\n", verdict.anomalies_found - verdict.anomalies.size());
  }
  constexpr std::size_t gaps_max = 5;
  for (std::size_t i = 0; i < std::min(gaps_max, verdict.gaps.size()); ++i)
    out += fmt::format("not judged: {}\n", verdict.gaps[i]);
  if (verdict.gaps.size() > gaps_max)
    out += fmt::format("not judged: ... and {} more\n", verdict.gaps.size() - gaps_max);
  const std::string size =
      fmt::format("{} transactions, {} keys, {} dependencies", verdict.transactions, verdict.keys, verdict.edges);
  switch (verdict.judgement()) {
    case Judgement::sound: return out + fmt::format("strictly serializable, as far as the rules can tell: {}\n", size);
    case Judgement::wrong:
      return out + fmt::format("NOT strictly serializable: {} anomalies in {}\n", verdict.anomalies_found, size);
    case Judgement::unknown: return out + fmt::format("unknown: no anomaly in what could be judged: {}\n", size);
  }
  return out;
}

}  // namespace assent::check
