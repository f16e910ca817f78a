// Makes Raft cores behind the consensus seam. The host knows only what log_contract.h says.
#pragma once

#include "base/result.h"
#include "consensus/log_contract.h"
#include "consensus/raft/raft_options.h"

namespace assent {

// Refuses what check_durable_log() refuses.
[[nodiscard]] LogFactory make_raft_factory(RaftOptions options);

// Whether a core may be rebuilt from this: corruption otherwise. A core that is built from anything else all the same
// stays silent for ever: it cannot know what it promised, so it neither votes, nor acknowledges, nor leads.
[[nodiscard]] Result<void> check_durable_log(const DurableLog& durable);

}  // namespace assent
