#include "txn_proto/names.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/digest.h"

namespace assent {

namespace {

constexpr std::size_t plain_bytes_max = 7;
constexpr std::uint64_t hashed_bit = 1ULL << 63U;

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_name_part(char c) { return is_name_start(c) || c == '-' || c == '_' || c == '.'; }

}  // namespace

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 63 && is_name_start(text.front()) &&
         std::all_of(text.begin(), text.end(), is_name_part);
}

std::uint64_t number_of_name(std::string_view name) {
  if (name.size() > plain_bytes_max) return xxh3(name) | hashed_bit;
  std::uint64_t number = 0;
  for (const char c : name) number = (number << 8U) | static_cast<unsigned char>(c);
  return number;
}

std::optional<std::string> name_of_number(std::uint64_t number) {
  std::string name;
  for (std::uint64_t rest = number; rest != 0; rest >>= 8U) name.insert(name.begin(), static_cast<char>(rest & 0xFFU));
  if (name == map_group_name) return name;
  if (name.size() > plain_bytes_max || !is_name(name)) return std::nullopt;
  return name;
}

Result<void> GroupDirectory::add(std::string name, GroupKind kind) {
  const GroupId id = group_id(name);
  if (find(name) != nullptr) return fail(ErrorCode::refused, fmt::format("group {} is there twice", name));
  if (const Group* other = find(id); other != nullptr) {
    return fail(ErrorCode::refused,
                fmt::format("groups {} and {} have the same number by chance; rename one of them", other->name, name));
  }
  const auto place = std::lower_bound(groups_.begin(), groups_.end(), name,
                                      [](const Group& group, const std::string& n) { return group.name < n; });
  groups_.insert(place, Group{.name = std::move(name), .id = id, .kind = kind});
  return {};
}

const GroupDirectory::Group* GroupDirectory::find(std::string_view name) const {
  const auto found =
      std::find_if(groups_.begin(), groups_.end(), [&](const Group& group) { return group.name == name; });
  return found == groups_.end() ? nullptr : &*found;
}

const GroupDirectory::Group* GroupDirectory::find(GroupId id) const {
  const auto found = std::find_if(groups_.begin(), groups_.end(), [&](const Group& group) { return group.id == id; });
  return found == groups_.end() ? nullptr : &*found;
}

std::string GroupDirectory::name(GroupId id) const {
  if (id.none()) return {};
  if (const Group* group = find(id); group != nullptr) return group->name;
  if (id == group_id(map_group_name)) return std::string(map_group_name);
  return fmt::format("group {}", id);
}

std::vector<std::string> GroupDirectory::names(GroupKind kind) const {
  std::vector<std::string> names;
  for (const Group& group : groups_) {
    if (group.kind == kind) names.push_back(group.name);
  }
  return names;
}

std::string GroupDirectory::list(GroupKind kind) const { return fmt::format("{}", fmt::join(names(kind), ", ")); }

GroupId GroupDirectory::coordinator_of(const TxnId& txn) const {
  std::vector<GroupId> coordinators;
  for (const Group& group : groups_) {
    if (group.kind == GroupKind::coordinator) coordinators.push_back(group.id);
  }
  return assent::coordinator_of(txn, coordinators);
}

GroupId coordinator_of(const TxnId& txn, std::span<const GroupId> coordinators) {
  GroupId best;
  std::uint64_t best_weight = 0;
  for (const GroupId group : coordinators) {
    const std::uint64_t weight = Digest().add(group).add(txn).value();
    if (best.none() || weight > best_weight || (weight == best_weight && group > best)) {
      best = group;
      best_weight = weight;
    }
  }
  return best;
}

}  // namespace assent
