#include "server/peer_memory.h"

#include <fmt/format.h>

#include <sstream>
#include <utility>

#include "server/durable_file.h"
#include "server/log.h"

namespace assent {

Result<PeerMemory> PeerMemory::open(const std::string& data_dir) {
  PeerMemory memory(data_dir + "/PEERS");
  const auto lines = read_lines(memory.path_);
  if (!lines) return fail(lines.error());
  for (const std::string& line : *lines) {
    std::istringstream words(line);
    std::string node;
    Known known;
    std::string more;
    if (!(words >> node >> known.life >> known.disk) || words >> more) {
      return fail(
          ErrorCode::corruption,
          fmt::format("{} is damaged: \"{:.80}\" is not a node, its last start and its disk; remove the file if "
                      "no other node has lost its disk",
                      memory.path_, line));
    }
    memory.known_[node] = known;
  }
  return memory;
}

std::optional<std::string> PeerMemory::meet(const std::string& node, const PeerPast& past) {
  const auto found = known_.find(node);
  if (found != known_.end()) {
    const Known& known = found->second;
    if (past.disk < known.disk || (past.disk == known.disk && past.life != known.life && past.previous < known.life)) {
      return fmt::format(
          "node {0} comes with {1}: it has forgotten what it voted for and acknowledged, and is not believed. Put its "
          "data directory back; or, if that is lost, start {0} with an empty one and --rejoin, and give 'assentctl "
          "group replace GROUP {0}' for each of its groups",
          node, past.previous == 0 ? "an empty data directory" : "an old copy of its data directory");
    }
    if (known.life == past.life && known.disk == past.disk) return std::nullopt;
  }
  known_[node] = {past.life, past.disk};
  if (auto saved = save(); !saved) {
    LogEvent(LogLevel::warn, "peer", "a peer's start could not be noted").field("error", saved.error().message).write();
  }
  return std::nullopt;
}

Result<void> PeerMemory::save() const {
  std::string text;
  for (const auto& [node, known] : known_) text += fmt::format("{} {} {}\n", node, known.life, known.disk);
  return replace_file(path_, text);
}

}  // namespace assent
