#include "node/coordinator_app.h"

#include <utility>

namespace assent {

Result<CoordinatorBinding::Applied> CoordinatorBinding::apply(const EntryContext& context, const Command& command) {
  Applied applied = decisions_.apply(context, command);
  applied_ = context.index;
  return applied;
}

Result<void> CoordinatorBinding::restore(const SnapshotMark& mark, ByteView data) {
  if (auto done = decisions_.restore(data); !done) return done;
  applied_ = mark.last.index;
  return {};
}

ApplicationStatus CoordinatorBinding::status() const {
  ApplicationStatus status;
  status.records = decisions_.records();
  return status;
}

std::unique_ptr<Application> make_coordinator_application(GroupId self, CoordinatorAppOptions options) {
  options.conductor.self = self;
  auto binding = std::make_unique<CoordinatorBinding>(options.decisions);
  Conductor conductor(binding->machine(), options.conductor);
  return std::make_unique<CoordinatorApp>(self, std::move(binding), std::move(conductor));
}

}  // namespace assent
