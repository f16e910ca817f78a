#include "server/level_memory.h"

#include <fmt/format.h>

#include <sstream>
#include <utility>

#include "server/durable_file.h"

namespace assent {

Result<LevelMemory> LevelMemory::open(const std::string& data_dir) {
  LevelMemory memory(data_dir + "/LEVELS");
  const auto lines = read_lines(memory.path_);
  if (!lines) return fail(lines.error());
  for (const std::string& line : *lines) {
    std::istringstream words(line);
    std::uint64_t group = 0;
    std::uint32_t level = 0;
    std::string more;
    if (!(words >> group >> level) || words >> more) {
      return fail(ErrorCode::corruption,
                  fmt::format("{} is damaged: \"{:.80}\" is not a group's number and a protocol level; remove the file "
                              "if this directory was never used by a newer program than this one",
                              memory.path_, line));
    }
    memory.levels_[GroupId(group)] = level;
  }
  return memory;
}

std::uint32_t LevelMemory::level(GroupId group) const {
  const std::lock_guard lock(*mutex_);
  const auto found = levels_.find(group);
  return found == levels_.end() ? 0 : found->second;
}

Result<void> LevelMemory::raise(GroupId group, std::uint32_t level) {
  const std::lock_guard lock(*mutex_);
  const auto found = levels_.find(group);
  if (level <= (found == levels_.end() ? 0 : found->second)) return {};
  std::map<GroupId, std::uint32_t> next = levels_;
  next[group] = level;
  std::string text;
  for (const auto& [id, noted] : next) text += fmt::format("{} {}\n", id.value, noted);
  if (auto done = replace_file(path_, text); !done) return done;
  levels_ = std::move(next);
  return {};
}

}  // namespace assent
