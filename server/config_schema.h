// The table of configuration keys, and raw values before they are judged. Private to config*.cc.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "server/config.h"

namespace assent::config {

struct Origin {
  std::string where;  // for problems: "n1.yaml:12", "environment ASSENT_X", "flag --x"
  std::string label;  // for --print-config: "n1.yaml:12", "env ASSENT_X", "flag", "default"
};

struct RawPair {
  std::string name;
  std::string value;
  Origin origin;
};
struct RawGroup {
  GroupSetting group;
  Origin origin;
};
// A value as it was written: one word, a table of names, or the list of groups.
struct RawValue {
  std::variant<std::string, std::vector<RawPair>, std::vector<RawGroup>> value;
  Origin origin;
};
using RawValues = std::map<std::string, RawValue, std::less<>>;  // by key

// Where a parsed value goes, and its range.
struct DurationField {
  std::chrono::milliseconds ServerConfig::*member;
  std::chrono::milliseconds least;
  std::chrono::milliseconds most;
};
struct SizeField {
  std::uint64_t ServerConfig::*member;
  std::uint64_t least;
  std::uint64_t most;
};
struct CountField {
  std::uint64_t ServerConfig::*member;
  std::uint64_t least;
  std::uint64_t most;
};
struct ShareField {  // 0 to 1, kept as millionths
  std::uint64_t ServerConfig::*member;
};
struct TextField {  // anything on one line, also nothing
  std::string ServerConfig::*member;
};
struct SwitchField {
  bool ServerConfig::*member;
};
struct EndpointField {
  Endpoint ServerConfig::*member;
};
struct OptionalEndpointField {
  std::optional<Endpoint> ServerConfig::*member;
};
struct NameField {
  std::string ServerConfig::*member;
};
struct PathField {
  std::string ServerConfig::*member;
};
struct ChoiceField {
  std::string ServerConfig::*member;
  std::vector<std::string_view> choices;
};
struct EndpointsField {
  std::map<std::string, Endpoint> ServerConfig::*member;
};
struct GroupsField {};
using Field = std::variant<DurationField, SizeField, CountField, ShareField, TextField, SwitchField, EndpointField,
                           OptionalEndpointField, NameField, PathField, ChoiceField, EndpointsField, GroupsField>;

struct Key {
  std::string_view name;
  std::string_view default_text;  // empty: derived, see fill_derived()
  Field field;
  std::string_view help;
};

[[nodiscard]] std::span<const Key> keys();
[[nodiscard]] const Key* find_key(std::string_view name);
[[nodiscard]] std::string flag_of(std::string_view key);
[[nodiscard]] std::string environment_of(std::string_view key);
// The key nearest to a mistyped one, when one is near enough to be meant.
[[nodiscard]] std::optional<std::string> nearest_key(std::string_view mistyped);

// "n1=10.0.0.1:7421,n2=..." and "c0:coordinator:n1,n2,n3;s1:shard:n1,n2,n3": how tables are written in a flag or
// variable.
[[nodiscard]] Result<std::vector<RawPair>> split_pairs(std::string_view text, const Origin& origin);
[[nodiscard]] Result<std::vector<RawGroup>> split_groups(std::string_view text, const Origin& origin);

// The file's values by key. Problems are appended; what can be read is read on.
void read_yaml(const std::string& text, const std::string& file_name, RawValues& values,
               std::vector<ConfigProblem>& problems);

// Puts one raw value into the config. Problems are appended.
void assign(const Key& key, const RawValue& raw, ServerConfig& config, std::vector<ConfigProblem>& problems);
// The value as it could be written.
[[nodiscard]] std::string value_text(const Key& key, const ServerConfig& config);

}  // namespace assent::config
