#include "txn_proto/types.h"

namespace assent {

std::string_view to_string(AbortReason reason) {
  switch (reason) {
    case AbortReason::none: return "none";
    case AbortReason::conflict: return "conflict";
    case AbortReason::constraint: return "constraint";
    case AbortReason::invalid: return "invalid";
    case AbortReason::timeout: return "timeout";
    case AbortReason::sealed: return "sealed";
    case AbortReason::too_old: return "too_old";
    case AbortReason::superseded: return "superseded";
    case AbortReason::reused_id: return "reused_id";
    case AbortReason::too_large: return "too_large";
    case AbortReason::presumed: return "presumed";
  }
  return "unknown";
}

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::none: return "none";
    case Outcome::committed: return "committed";
    case Outcome::aborted: return "aborted";
  }
  return "unknown";
}

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::automatic: return "auto";
    case Protocol::one_phase: return "one-phase";
    case Protocol::two_phase: return "two-phase";
  }
  return "unknown";
}

std::string_view to_string(TxnState state) {
  switch (state) {
    case TxnState::unknown: return "unknown";
    case TxnState::running: return "running";
    case TxnState::prepared: return "prepared";
    case TxnState::committed: return "committed";
    case TxnState::aborted: return "aborted";
    case TxnState::expired: return "expired";
  }
  return "unknown";
}

}  // namespace assent
