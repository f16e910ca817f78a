#include "check/history.h"

#include <fmt/format.h>

#include <array>
#include <optional>

#include "check/json.h"

namespace assent::check {
namespace {

constexpr std::array<std::pair<EventType, std::string_view>, 4> event_names{
    {{EventType::invoke, "invoke"}, {EventType::ok, "ok"}, {EventType::fail, "fail"}, {EventType::info, "info"}}};
constexpr std::array<std::pair<OpKind, std::string_view>, 4> op_names{
    {{OpKind::read, "r"}, {OpKind::write, "w"}, {OpKind::append, "append"}, {OpKind::add, "add"}}};

template <class Names, class T>
std::string_view name_of(const Names& names, T wanted) {
  for (const auto& [value, name] : names) {
    if (value == wanted) return name;
  }
  return "?";
}

// What bears the name; nullptr when nothing does.
template <class Names>
auto value_of(const Names& names, std::string_view wanted) -> decltype(&names[0].first) {
  for (const auto& [value, name] : names) {
    if (name == wanted) return &value;
  }
  return nullptr;
}

std::string json_of(const Value& value) {
  if (const auto* number = std::get_if<Number>(&value)) return std::to_string(*number);
  if (const auto* list = std::get_if<List>(&value)) return fmt::format("[{}]", fmt::join(*list, ","));
  return "null";
}

std::optional<Value> value_from(const Json& json) {
  if (json.null()) return Value{};
  if (const auto* number = json.as<std::int64_t>()) return Value{*number};
  const auto* array = json.as<Json::Array>();
  if (array == nullptr) return std::nullopt;
  List list;
  for (const Json& element : *array) {
    const auto* number = element.as<std::int64_t>();
    if (number == nullptr) return std::nullopt;
    list.push_back(*number);
  }
  return Value{std::move(list)};
}

// Keys are strings or numbers.
std::optional<std::string> key_from(const Json& json) {
  if (const auto* text = json.as<std::string>()) return *text;
  if (const auto* number = json.as<std::int64_t>()) return std::to_string(*number);
  return std::nullopt;
}

bool fits(OpKind kind, const Value& value) {
  switch (kind) {
    case OpKind::read: return true;
    case OpKind::write: return !std::holds_alternative<List>(value);
    case OpKind::append:
    case OpKind::add: return std::holds_alternative<Number>(value);
  }
  return false;
}

std::optional<Micro> micro_from(const Json& json) {
  const auto* array = json.as<Json::Array>();
  if (array == nullptr || array->size() != 3) return std::nullopt;
  const auto* name = (*array)[0].as<std::string>();
  const OpKind* const kind = name == nullptr ? nullptr : value_of(op_names, *name);
  std::optional<std::string> key = key_from((*array)[1]);
  std::optional<Value> value = value_from((*array)[2]);
  if (kind == nullptr || !key || !value || !fits(*kind, *value)) return std::nullopt;
  return Micro{*kind, std::move(*key), std::move(*value)};
}

tl::unexpected<Error> no_event(std::string_view why) {
  return fail(ErrorCode::malformed, fmt::format("not an event of a history: {}", why));
}

Result<std::uint64_t> natural(const Json& json, std::string_view name) {
  const Json* member = json.member(name);
  const auto* number = member == nullptr ? nullptr : member->as<std::int64_t>();
  if (number == nullptr || *number < 0) return no_event(fmt::format("{} is not a number from 0 on", name));
  return static_cast<std::uint64_t>(*number);
}

std::size_t elements_of(const std::vector<Micro>& micros) {
  std::size_t out = micros.size();
  for (const Micro& micro : micros) {
    if (const auto* list = std::get_if<List>(&micro.value)) out += list->size();
  }
  return out;
}

}  // namespace

std::string_view to_string(EventType type) { return name_of(event_names, type); }

// ---- lines ----

std::string to_line(const Event& event) {
  std::string out = fmt::format(R"({{"type":"{}","process":{},"time":{},"f":"txn",)", to_string(event.type),
                                event.process, event.nanos);
  if (!event.id.empty()) out += fmt::format(R"("id":{},)", quote_json(event.id));
  out += R"("value":[)";
  const char* separator = "";
  for (const Micro& micro : event.value) {
    out += fmt::format(R"({}["{}",{},{}])", separator, name_of(op_names, micro.kind), quote_json(micro.key),
                       json_of(micro.value));
    separator = ",";
  }
  return out + "]}";
}

Result<Event> parse_line(std::string_view line) {
  const Result<Json> json = parse_json(line);
  if (!json) return no_event(json.error().message);
  Event out;
  const Json* type = json->member("type");
  const auto* type_name = type == nullptr ? nullptr : type->as<std::string>();
  const EventType* const found = type_name == nullptr ? nullptr : value_of(event_names, *type_name);
  if (found == nullptr) return no_event("its type is not invoke, ok, fail or info");
  out.type = *found;
  const Result<std::uint64_t> process = natural(*json, "process");
  if (!process) return fail(process.error());
  const Result<std::uint64_t> time = natural(*json, "time");
  if (!time) return fail(time.error());
  out.process = *process;
  out.nanos = *time;
  if (const Json* id = json->member("id"); id != nullptr && id->as<std::string>() != nullptr) {
    out.id = *id->as<std::string>();
  }
  const Json* value = json->member("value");
  const auto* operations = value == nullptr ? nullptr : value->as<Json::Array>();
  if (operations == nullptr) return no_event("its value is not a list of operations");
  for (const Json& operation : *operations) {
    std::optional<Micro> micro = micro_from(operation);
    if (!micro) return no_event("an operation is not one of r, w, append and add with a key and a value that fits");
    out.value.push_back(std::move(*micro));
  }
  return out;
}

// ---- building ----

KeyId HistoryBuilder::key_of(const std::string& name) {
  const auto [at, fresh] = key_ids_.try_emplace(name, static_cast<KeyId>(history_.keys.size()));
  if (fresh) history_.keys.push_back(name);
  return at->second;
}

Result<void> HistoryBuilder::add(const Event& event) {
  if (elements_ + elements_of(event.value) > limits_.elements_max) {
    return fail(ErrorCode::busy,
                fmt::format("the history holds more than {} operations and list elements; judge a shorter one",
                            limits_.elements_max));
  }
  const auto open = open_.find(event.process);
  if (event.type == EventType::invoke) {
    if (open != open_.end() || dead_.contains(event.process)) {
      return fail(ErrorCode::malformed,
                  fmt::format("process {} begins a transaction while another of it is {}", event.process,
                              open != open_.end() ? "under way" : "of unknown outcome; it needs a new number"));
    }
    return begin(event);
  }
  if (open == open_.end()) {
    return fail(ErrorCode::malformed,
                fmt::format("process {} ends a transaction that it has not begun", event.process));
  }
  if (auto ended = end(event, open->second); !ended) return ended;
  if (event.type == EventType::info) dead_[event.process] = true;
  open_.erase(open);
  return {};
}

Result<void> HistoryBuilder::begin(const Event& event) {
  if (history_.transactions.size() >= limits_.transactions_max) {
    return fail(ErrorCode::busy, fmt::format("the history has more than {} transactions; judge a shorter one",
                                             limits_.transactions_max));
  }
  Transaction txn;
  txn.process = event.process;
  txn.id = event.id;
  txn.invoked = ++events_;
  for (const Micro& micro : event.value) txn.ops.push_back(Op{micro.kind, key_of(micro.key), micro.value});
  elements_ += elements_of(event.value);
  open_[event.process] = static_cast<TxnIndex>(history_.transactions.size());
  history_.transactions.push_back(std::move(txn));
  return {};
}

Result<void> HistoryBuilder::end(const Event& event, TxnIndex index) {
  Transaction& txn = history_.transactions[index];
  if (event.type == EventType::ok) {
    bool same = event.value.size() == txn.ops.size();
    for (std::size_t i = 0; same && i < txn.ops.size(); ++i) {
      const Op& begun = txn.ops[i];
      const Micro& ended = event.value[i];
      // A value that the invocation did not know may be filled in.
      const bool value_fits = begun.kind == OpKind::read || std::holds_alternative<std::monostate>(begun.value) ||
                              begun.value == ended.value;
      same = begun.kind == ended.kind && history_.keys[begun.key] == ended.key && value_fits;
    }
    if (!same) {
      return fail(ErrorCode::malformed, fmt::format("process {} ends another transaction than it began at event {}",
                                                    event.process, txn.invoked));
    }
    for (std::size_t i = 0; i < txn.ops.size(); ++i) txn.ops[i].value = event.value[i].value;
    elements_ += elements_of(event.value);
  }
  ++events_;
  txn.end = event.type;
  if (event.type != EventType::info) txn.ended = events_;
  return {};
}

// ---- words ----

std::string describe(const Value& value) {
  if (const auto* number = std::get_if<Number>(&value)) return std::to_string(*number);
  const auto* list = std::get_if<List>(&value);
  if (list == nullptr) return "nothing";
  constexpr std::size_t shown_max = 12;
  if (list->size() <= shown_max) return fmt::format("[{}]", fmt::join(*list, " "));
  return fmt::format("[... {}, {} in all]", fmt::join(list->end() - shown_max, list->end(), " "), list->size());
}

std::string describe(const History& history, TxnIndex index) {
  const Transaction& txn = history.transactions[index];
  std::string out = fmt::format("T{} (", index);
  if (!txn.id.empty()) out += fmt::format("{}, ", txn.id);
  out += fmt::format("process {}, events {}-{}", txn.process, txn.invoked,
                     txn.ended == Transaction::never ? "?" : std::to_string(txn.ended));
  if (txn.end != EventType::ok) out += fmt::format(", {}", to_string(txn.end));
  out += "):";
  const char* separator = " ";
  for (const Op& op : txn.ops) {
    out += fmt::format("{}{} {}", separator, name_of(op_names, op.kind), history.keys[op.key]);
    if (op.kind != OpKind::read || txn.end == EventType::ok) out += " " + describe(op.value);
    separator = ", ";
  }
  return out;
}

}  // namespace assent::check
