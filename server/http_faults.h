// Faults on demand, for development: POST /api/v1/dev/faults cuts this node off from others, slows its disk, and stops
// it from recording transactions. Only where dev.faults is on, and only with a token.
#pragma once

#include <vector>

#include "observe/recorder.h"
#include "server/admin_tokens.h"
#include "server/cluster_view.h"
#include "server/grpc_transport.h"
#include "server/http_port.h"
#include "server/inbox.h"
#include "server/posix_disk.h"

namespace assent {

// All of it outlives the port. Transport and recorder belong to the loop's thread.
struct FaultTargets {
  const SharedView& cluster;
  Inbox& inbox;
  GrpcTransport& transport;
  std::vector<PosixDisk*> disks;  // one for each loop
  Recorder& recorder;
  const AdminTokens& tokens;
};

// The body {"cut": ["n2"], "syncDelayMillis": 50, "recording": false} says all of it: what is left out is healed.
void add_fault_route(HttpPort& port, const FaultTargets& targets);

}  // namespace assent
