#include "node/lane.h"

namespace assent {

Result<std::unique_ptr<Lane>> InlineLane::open(const NodeConfig& config, Disk& disk, Clock& clock,
                                               const LogFactory& logs, const ApplicationFactory& applications) {
  std::unique_ptr<InlineLane> lane(new InlineLane);
  auto loop = Loop::open(config, disk, lane->transport_, clock, logs, applications);
  if (!loop) return fail(loop.error());
  lane->loop_ = std::move(*loop);
  return std::unique_ptr<Lane>(std::move(lane));
}

void InlineLane::handle(Event event) {
  if (const auto* ready = std::get_if<TransportReady>(&event)) transport_.on_its_way(ready->to);
  loop_->handle(std::move(event));
}

LaneOutput InlineLane::take() {
  LaneOutput out;
  transport_.take(out);
  out.replies = loop_->take_replies();
  out.calls = loop_->take_calls();
  return out;
}

}  // namespace assent
