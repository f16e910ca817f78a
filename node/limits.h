// Every queue, batch, window and message of a node has its maximum here. Full means: drop (peers), refuse busy (clients).
#pragma once

#include <cstddef>
#include <cstdint>

namespace assent {

struct Limits {
  std::size_t command_bytes_max = 4ULL << 20U;         // one log entry
  std::size_t frame_bytes_max = 4ULL << 20U;           // one frame to a peer, before it is closed and the next begun
  std::size_t peer_queue_bytes_max = 64ULL << 20U;     // waiting for one peer; beyond it messages are dropped
  std::size_t client_requests_max = 10'000;            // unanswered at one node
  std::size_t flush_steps_max = 16;                    // rounds of take_output in one flush
};

// Of one transaction, judged before anything is sent (reason too_large).
struct TxnLimits {
  std::size_t branches_max = 64;
  std::size_t operations_max = 1'000;             // in one transaction
  std::size_t statement_bytes_max = 256ULL << 10U;  // one statement with its parameters, or one key and value
  std::size_t transaction_bytes_max = 2ULL << 20U;  // all work of one transaction
  std::size_t result_bytes_max = 1ULL << 20U;       // rows that one branch may return
};

}  // namespace assent
