// In place of base/protocol_level.cc: a program whose level is one above this build's, and which writes a command that
// this build does not know. For the test of rolling upgrades alone; it is never installed.
#include "base/protocol_level.h"

namespace assent {

std::uint32_t protocol_level() { return 2; }

// Field 1000 of the commands' messages (wire.proto), which has no meaning, with the value 2; and no version of a map's
// command begins so.
std::string_view level_command() { return "\xC0\x3E\x02"; }

}  // namespace assent
