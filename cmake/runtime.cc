// Settings of the process that libraries leave to the program; linked into assentd and assentctl.
#include <absl/synchronization/mutex.h>

namespace {

[[maybe_unused]] const bool deadlock_search_is_off = [] {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return true;
}();

}  // namespace
