#include "node/coordinator_app.h"

#include <utility>

namespace assent {

Result<void> CoordinatorBinding::load() {
  const auto applied = decisions_.load();
  if (!applied) return fail(applied.error());
  applied_ = *applied;
  return {};
}

Result<CoordinatorBinding::Applied> CoordinatorBinding::apply(const EntryContext& context, const Command& command) {
  Applied applied = decisions_.apply(context, command);
  if (auto well = healthy(); !well) return fail(well.error());
  applied_ = context.index;
  return applied;
}

Result<Bytes> CoordinatorBinding::snapshot() {
  if (auto saved = decisions_.save(applied_); !saved) return fail(saved.error());
  return decisions_.snapshot();
}

Result<std::optional<SnapshotMade>> CoordinatorBinding::snapshot_step(std::size_t bytes) {
  auto data = copy_.step(decisions_, bytes);
  if (!data) return fail(std::move(data.error()));
  if (*data == nullptr) return std::optional<SnapshotMade>();
  if (auto saved = decisions_.save(applied_); !saved) return fail(saved.error());
  return std::optional(SnapshotMade{applied_, std::move(*data)});
}

Result<std::uint64_t> CoordinatorBinding::digest() {
  const std::uint64_t digest = decisions_.digest();
  if (auto well = healthy(); !well) return fail(well.error());
  return digest;
}

Result<void> CoordinatorBinding::healthy() const {
  return decisions_.failure() ? Result<void>(fail(*decisions_.failure())) : Result<void>();
}

Result<void> CoordinatorBinding::restore(const SnapshotMark& mark, ByteView data) {
  copy_.drop();
  if (auto done = decisions_.restore(data, mark.last.index); !done) return done;
  applied_ = mark.last.index;
  return {};
}

ApplicationStatus CoordinatorBinding::status() const {
  ApplicationStatus status;
  status.records = decisions_.records();
  return status;
}

namespace {

std::unique_ptr<Application> with_conductor(GroupId self, CoordinatorAppOptions options,
                                            std::unique_ptr<CoordinatorBinding> binding) {
  options.conductor.self = self;
  Conductor conductor(binding->machine(), options.conductor);
  return std::make_unique<CoordinatorApp>(self, std::move(binding), std::move(conductor));
}

}  // namespace

std::unique_ptr<Application> make_coordinator_application(GroupId self, CoordinatorAppOptions options) {
  auto binding = std::make_unique<CoordinatorBinding>(options, nullptr);
  return with_conductor(self, std::move(options), std::move(binding));
}

Result<std::unique_ptr<Application>> make_coordinator_application(GroupId self, CoordinatorAppOptions options,
                                                                  std::unique_ptr<OutcomeArchive> archive) {
  auto binding = std::make_unique<CoordinatorBinding>(options, std::move(archive));
  if (auto loaded = binding->load(); !loaded) return fail(loaded.error());
  return with_conductor(self, std::move(options), std::move(binding));
}

}  // namespace assent
