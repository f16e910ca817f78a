#include "cli/exit_code.h"

namespace assent::cli {

ExitCode exit_code_of(client::ErrorCode code) {
  switch (code) {
    case client::ErrorCode::unreachable:
    case client::ErrorCode::no_leader: return ExitCode::unreachable;
    case client::ErrorCode::not_found: return ExitCode::not_found;
    case client::ErrorCode::timed_out: return ExitCode::timed_out;
    case client::ErrorCode::invalid:
    case client::ErrorCode::busy:
    case client::ErrorCode::refused:
    case client::ErrorCode::cancelled:
    case client::ErrorCode::internal: return ExitCode::error;
  }
  return ExitCode::error;
}

ExitCode exit_code_of(const client::TxnOutcome& outcome) {
  switch (outcome.state) {
    case TxnState::committed: return ExitCode::ok;
    case TxnState::aborted: return ExitCode::aborted;
    case TxnState::expired: return ExitCode::not_found;
    case TxnState::unknown:
      // Sent, and never heard of again: unknown. Asked for, and known nowhere: not found.
      return outcome.sends > 0 ? ExitCode::unknown : ExitCode::not_found;
    case TxnState::running:
    case TxnState::prepared: return ExitCode::unknown;
  }
  return ExitCode::unknown;
}

}  // namespace assent::cli
