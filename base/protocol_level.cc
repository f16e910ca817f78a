#include "base/protocol_level.h"

namespace assent {

std::uint32_t protocol_level() { return 1; }

std::string_view level_command() { return {}; }

}  // namespace assent
