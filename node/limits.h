// Every queue, batch, window and message of a node has its maximum here. Full means: drop (peers), refuse busy
// (clients).
#pragma once

#include <cstddef>
#include <cstdint>

#include "txn_proto/limits.h"  // TxnLimits

namespace assent {

struct Limits {
  std::size_t command_bytes_max = 4ULL << 20U;      // one log entry
  std::size_t frame_bytes_max = 4ULL << 20U;        // one frame to a peer, before it is closed and the next begun
  std::size_t peer_queue_bytes_max = 64ULL << 20U;  // waiting for one peer; while it is so much, messages are dropped
  std::size_t client_requests_max = 10'000;         // unanswered at one node
  std::uint64_t stale_read_ticks_max = 100;         // a replica that cannot prove its age for so long refuses the read
  std::size_t flush_steps_max = 16;                 // rounds of take_output in one flush
  std::uint64_t peer_stalled_ticks_max = 200;       // a peer that takes no frame for so long loses its queue
  // While groups may sleep: each other node is sent a frame at least this often, and one that sends none for so long
  // is taken for gone. 0: groups do not sleep.
  std::uint64_t sign_of_life_ticks = 0;
  std::uint64_t peer_silent_ticks_max = 0;
  std::uint64_t let_go_ticks = 100;                  // of rest, until a group's database is closed
  std::size_t let_go_per_tick_max = 8;               // groups that do so: each may have something to write
  std::size_t snapshot_step_bytes = 0;               // of a snapshot, made in one turn of the loop; 0: all at once
  std::uint64_t snapshot_log_bytes = 256ULL << 20U;  // applied by a group since its last snapshot: the next is due
  std::uint64_t wal_bytes_max = 512ULL << 20U;       // of closed segments: whoever keeps the oldest takes a snapshot
};

}  // namespace assent
