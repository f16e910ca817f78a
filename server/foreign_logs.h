// gRPC and protobuf write lines of their own to standard error; here they become lines of the node's log, rate-limited:
// whoever sends garbage shall not fill the disk with it.
#pragma once

namespace assent {

// Once at start, before the first server.
void route_foreign_logs();

}  // namespace assent
