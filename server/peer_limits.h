// Maxima of what travels between nodes; see node/limits.h for what the loop makes of them.
#pragma once

#include <cstddef>

namespace assent {

// A frame is closed at 4 MiB, with the last item whole; an item may be a log entry of the largest size in an append.
inline constexpr std::size_t peer_message_bytes_max = 32ULL << 20U;
inline constexpr std::size_t peer_snapshot_bytes_max = 1ULL << 30U;
inline constexpr std::size_t peer_streams_max = 64;  // on one connection

// Without probing for bandwidth the window is fixed: large enough for two frames on their way.
inline constexpr int peer_lookahead_bytes = 8 << 20;

// A peer that does not answer a ping is given up after the sum of both.
inline constexpr int peer_keepalive_millis = 1000;
inline constexpr int peer_keepalive_timeout_millis = 2000;

}  // namespace assent
