#include "node/loop_placement.h"

#include <fmt/format.h>

#include "base/byte_codec.h"
#include "base/digest.h"
#include "txn_proto/names.h"

namespace assent {

std::size_t loop_of(GroupId group, std::size_t loops) {
  static const GroupId map = group_id(map_group_name);
  if (loops <= 1 || group == map) return 0;
  Bytes id;
  ByteWriter(id).id(group);
  return static_cast<std::size_t>(xxh3(id) % loops);
}

std::string loop_folder(std::size_t loop) { return loop == 0 ? std::string() : fmt::format("loops/{}", loop); }

}  // namespace assent
