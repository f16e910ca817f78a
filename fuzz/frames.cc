// Frames between nodes: whatever is read is written as the same bytes again.
#include "fuzz/fuzz.h"
#include "fuzz/samples.h"
#include "node/frame.h"
#include "txn_proto/wire_codec.h"

namespace assent::fuzz {

void run_frames(ByteView bytes) {
  std::vector<FrameItem> items;
  const auto header = decode_frame(bytes, items);
  if (!header) return require(items.empty(), "nothing of a malformed frame is used");
  Bytes again;
  append_header(again, *header);
  for (const FrameItem& item : items) {
    std::visit(
        [&](const auto& one) {
          const std::size_t before = again.size();
          append_item(again, one);
          require(again.size() - before == encoded_size(one), "an item is as long as it says");
        },
        item);
  }
  require(again == bytes, "a frame is written as it was read");
}

std::vector<Bytes> frames_seeds() {
  Bytes frame;
  append_header(frame, FrameHeader{NodeId(2), NodeId(1), 7, 1});
  append_item(frame, ConsensusItem{GroupId(1), "core"});
  const Bytes message = encode(sample_messages().front());
  append_item(frame, MessageItem{GroupId(1), GroupId(9), Epoch(3), message});
  append_item(frame, HintItem{GroupId(1), Epoch(3), NodeId(2)});
  return {frame};
}

}  // namespace assent::fuzz
