// GroupLevels as the file LEVELS of a data directory. From any thread, one at a time: the loops of a node share it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "node/group_levels.h"

namespace assent {

class LevelMemory final : public GroupLevels {
 public:
  // Of a node whose data directory is locked by this process. A file that cannot be read is corruption: it is not known
  // any more what the data may hold. io.
  [[nodiscard]] static Result<LevelMemory> open(const std::string& data_dir);

  [[nodiscard]] std::uint32_t level(GroupId group) const override;
  [[nodiscard]] Result<void> raise(GroupId group, std::uint32_t level) override;

 private:
  explicit LevelMemory(std::string path) : path_(std::move(path)) {}

  std::string path_;
  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
  std::map<GroupId, std::uint32_t> levels_;  // guarded by mutex_
};

}  // namespace assent
