#include "node/frame_demux.h"

#include <type_traits>
#include <utility>

#include "node/loop_placement.h"

namespace assent {
namespace {

// nullopt: for all.
std::optional<std::size_t> loop_for(const FrameItem& item, std::size_t loops) {
  return std::visit(
      [loops](const auto& one) -> std::optional<std::size_t> {
        using Item = std::decay_t<decltype(one)>;
        if constexpr (std::is_same_v<Item, ConsensusItem> || std::is_same_v<Item, BelongItem> ||
                      std::is_same_v<Item, LeftItem>) {
          return loop_of(one.group, loops);
        }
        if constexpr (std::is_same_v<Item, MessageItem>) return loop_of(one.to, loops);
        if constexpr (std::is_same_v<Item, HintItem>) return std::nullopt;
        return 0;
      },
      item);
}

void append_to(Bytes& frame, const FrameHeader& header, const FrameItem& item) {
  if (frame.empty()) append_header(frame, header);
  std::visit([&frame](const auto& one) { append_item(frame, one); }, item);
}

}  // namespace

// The one loop that all items are for: the common case, in which nothing is copied.
std::optional<std::size_t> FrameDemux::loop_of_all() const {
  std::optional<std::size_t> all;
  for (const FrameItem& item : items_) {
    const auto loop = loop_for(item, loops_);
    if (!loop || (all && *all != *loop)) return std::nullopt;
    all = loop;
  }
  return all;
}

void FrameDemux::distribute(const FrameHeader& header, std::vector<Bytes>& frames) const {
  for (const FrameItem& item : items_) {
    if (const auto loop = loop_for(item, loops_)) {
      append_to(frames[*loop], header, item);
    } else {
      for (Bytes& frame : frames) append_to(frame, header, item);
    }
  }
}

std::vector<FrameDemux::Part> FrameDemux::split(NodeId from, Bytes frame, std::optional<std::size_t> sender) {
  std::vector<Part> parts;
  const auto header = decode_frame(frame, items_);
  if (!header) {
    parts.push_back({0, std::move(frame)});
    return parts;
  }
  std::vector<Bytes> frames(loops_);
  const bool life = items_.empty();
  if (const auto only = loop_of_all()) {
    frames[*only] = std::move(frame);
  } else {
    distribute(*header, frames);
  }
  std::vector<Given>& given = given_.try_emplace(from, loops_).first->second;
  for (std::size_t loop = 0; loop < loops_; ++loop) {
    if (sender == loop) continue;
    Given& last = given[loop];
    const bool news = life || now_ - last.tick >= header_ticks_ ||
                      last.sender_incarnation != header->sender_incarnation ||
                      last.target_incarnation != header->target_incarnation;
    if (frames[loop].empty()) {
      if (!news) continue;
      append_header(frames[loop], *header);
    }
    last = {now_, header->sender_incarnation, header->target_incarnation};
    parts.push_back({loop, std::move(frames[loop])});
  }
  return parts;
}

}  // namespace assent
