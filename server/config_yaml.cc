#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "server/config_schema.h"

namespace assent::config {

namespace {

// Walks the tree of a file and keeps what it finds, with the line of each thing. yaml-cpp throws: caught in
// read_yaml().
class YamlReader {
 public:
  YamlReader(std::string file_name, RawValues& values, std::vector<ConfigProblem>& problems)
      : file_name_(std::move(file_name)), values_(values), problems_(problems) {}

  void read_section(const YAML::Node& node, const std::string& prefix) {
    if (node.IsNull()) return;
    if (!node.IsMap()) {
      return problem(node, prefix.empty() ? "the file is not a table of keys; write for example  node: { name: n1 }"
                                          : fmt::format("{} is a section; write its keys beneath it", prefix));
    }
    std::set<std::string> seen;
    for (const auto& item : node) {
      if (!item.first.IsScalar()) {
        problem(item.first, "a key is not a word");
        continue;
      }
      const std::string& name = item.first.Scalar();
      const std::string path = prefix.empty() ? name : fmt::format("{}.{}", prefix, name);
      if (!seen.insert(name).second) {
        problem(item.first, fmt::format("{:.120} is there twice; remove one", path));
        continue;
      }
      read_item(item.first, item.second, path);
    }
  }

 private:
  [[nodiscard]] Origin origin(const YAML::Node& node) const {
    const std::string where = fmt::format("{}:{}", file_name_, node.Mark().line + 1);
    return {.where = where, .label = where};
  }
  void problem(const YAML::Node& node, std::string what) {
    problems_.push_back({.where = origin(node).where, .what = std::move(what)});
  }

  static bool is_section(const std::string& path) {
    const std::string prefix = path + ".";
    return std::any_of(keys().begin(), keys().end(), [&](const Key& key) { return key.name.starts_with(prefix); });
  }

  void read_item(const YAML::Node& name, const YAML::Node& node, const std::string& path) {
    if (is_section(path)) return read_section(node, path);
    const Key* key = find_key(path);
    if (key == nullptr) {
      const auto near = nearest_key(path);
      return problem(name, fmt::format("{:.120}: unknown key; {}", path,
                                       near ? fmt::format("did you mean {}?", *near)
                                            : "assentd start --print-config lists the keys"));
    }
    if (std::holds_alternative<EndpointsField>(key->field)) return read_pairs(name, node, path);
    if (std::holds_alternative<GroupsField>(key->field)) return read_groups(name, node, path);
    if (node.IsNull()) return problem(name, fmt::format("{} has no value; give one or remove the line", path));
    if (!node.IsScalar()) return problem(node, fmt::format("{} takes one value, not a list or table", path));
    values_[path] = RawValue{.value = node.Scalar(), .origin = origin(name)};
  }

  void read_pairs(const YAML::Node& name, const YAML::Node& node, const std::string& path) {
    if (!node.IsMap()) {
      return problem(name, fmt::format("{} takes a table of names and addresses: {{ n1: \"10.0.0.1:7421\" }}", path));
    }
    std::vector<RawPair> pairs;
    for (const auto& item : node) {
      if (!item.first.IsScalar() || !item.second.IsScalar()) {
        problem(item.first, fmt::format("{} takes names and addresses: n1: \"10.0.0.1:7421\"", path));
        continue;
      }
      pairs.push_back({.name = item.first.Scalar(), .value = item.second.Scalar(), .origin = origin(item.first)});
    }
    values_[path] = RawValue{.value = std::move(pairs), .origin = origin(name)};
  }

  void read_groups(const YAML::Node& name, const YAML::Node& node, const std::string& path) {
    if (!node.IsSequence()) {
      return problem(name,
                     fmt::format("{} takes a list: - {{ id: c0, role: coordinator, members: [n1, n2, n3] }}", path));
    }
    std::vector<RawGroup> groups;
    for (const auto& item : node) {
      const std::size_t before = problems_.size();
      RawGroup group = read_group(item, path);
      if (problems_.size() == before) groups.push_back(std::move(group));
    }
    values_[path] = RawValue{.value = std::move(groups), .origin = origin(name)};
  }

  RawGroup read_group(const YAML::Node& node, const std::string& path) {
    RawGroup raw{.group = {}, .origin = origin(node)};
    if (!node.IsMap()) {
      problem(node, fmt::format("{}: a group is a table: {{ id: s1, role: shard, members: [n1, n2, n3] }}", path));
      return raw;
    }
    std::set<std::string> seen;
    for (const auto& item : node) {
      const std::string name = item.first.IsScalar() ? item.first.Scalar() : std::string();
      if (!seen.insert(name).second) {
        problem(item.first, fmt::format("{}: {:.60} is there twice in one group", path, name));
      } else if (name == "id" && item.second.IsScalar()) {
        raw.group.name = item.second.Scalar();
      } else if (name == "role" && item.second.IsScalar()) {
        raw.group.role = item.second.Scalar();
      } else if (name == "members" && item.second.IsSequence()) {
        read_members(item.second, path, raw.group.members);
      } else if (name == "id" || name == "role" || name == "members") {
        problem(item.first,
                fmt::format("{}: {} has the wrong shape; write {{ id: s1, role: shard, members: [n1, n2, n3] }}", path,
                            name));
      } else {
        problem(item.first,
                fmt::format("{}: unknown key \"{:.60}\" of a group; there are id, role and members", path, name));
      }
    }
    for (const char* needed : {"id", "role", "members"}) {
      if (!seen.contains(needed)) problem(node, fmt::format("{}: a group has no {}", path, needed));
    }
    return raw;
  }

  void read_members(const YAML::Node& node, const std::string& path, std::vector<std::string>& members) {
    for (const auto& member : node) {
      if (member.IsScalar()) {
        members.push_back(member.Scalar());
      } else {
        problem(member, fmt::format("{}: a member is the name of a node", path));
      }
    }
  }

  std::string file_name_;
  RawValues& values_;
  std::vector<ConfigProblem>& problems_;
};

}  // namespace

void read_yaml(const std::string& text, const std::string& file_name, RawValues& values,
               std::vector<ConfigProblem>& problems) {
  try {
    YamlReader(file_name, values, problems).read_section(YAML::Load(text), "");
  } catch (const YAML::Exception& error) {
    const int line = error.mark.is_null() ? 1 : error.mark.line + 1;
    problems.push_back(
        {.where = fmt::format("{}:{}", file_name, line),
         .what = fmt::format("this is not YAML: {}; mend the line (tabs, quotes and brackets are the usual cause)",
                             error.msg)});
  }
}

}  // namespace assent::config
