#include "txn_proto/sight.h"

namespace assent {

std::string_view to_string(Stage stage) {
  switch (stage) {
    case Stage::waiting: return "waiting";
    case Stage::settling: return "settling";
    case Stage::logging: return "logging";
    case Stage::in_doubt: return "in-doubt";
    case Stage::resolving: return "resolving";
    case Stage::collecting: return "collecting";
    case Stage::deciding: return "deciding";
    case Stage::asking: return "asking";
    case Stage::finishing: return "finishing";
    case Stage::forced: return "forced";
  }
  return "unknown";
}

}  // namespace assent
