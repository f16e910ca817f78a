#include "base/result.h"

namespace assent {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::not_leader: return "not_leader";
    case ErrorCode::conflict: return "conflict";
    case ErrorCode::refused: return "refused";
    case ErrorCode::unknown_outcome: return "unknown_outcome";
    case ErrorCode::compacted: return "compacted";
    case ErrorCode::busy: return "busy";
    case ErrorCode::unsupported: return "unsupported";
    case ErrorCode::malformed: return "malformed";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::io: return "io";
    case ErrorCode::corruption: return "corruption";
    case ErrorCode::cancelled: return "cancelled";
    case ErrorCode::too_stale: return "too_stale";
    case ErrorCode::too_old: return "too_old";
  }
  return "unknown";
}

}  // namespace assent
