// Which life of each peer this node met last, kept in its data directory: whoever comes with an older past has lost its
// disk, or has an old copy of it, and with that it has forgotten what it voted for and acknowledged. It is not spoken
// to, until it says that it is somebody else (assentd start --rejoin).
//
// A node's life is its start; it knows the number of the one before from its own disk. What cannot be told: a copy made
// since the node's last start. Used from the thread that waits on the node's completion queue.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"

namespace assent {

struct PeerPast {
  std::uint64_t life = 0;      // the number of this start
  std::uint64_t previous = 0;  // of the start before, on the same disk; 0: there was none
  std::uint64_t disk = 0;      // NodeConfig::disk
};

class PeerMemory {
 public:
  // Of a node whose data directory is locked by this process. A file that cannot be read is corruption: it is not
  // known any more who lost what. io.
  [[nodiscard]] static Result<PeerMemory> open(const std::string& data_dir);

  // Why the node is not believed, as a sentence for the log; or it is remembered, durably.
  [[nodiscard]] std::optional<std::string> meet(const std::string& node, const PeerPast& past);

 private:
  struct Known {
    std::uint64_t life = 0;
    std::uint64_t disk = 0;
  };

  explicit PeerMemory(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] Result<void> save() const;

  std::string path_;
  std::map<std::string, Known> known_;
};

}  // namespace assent
