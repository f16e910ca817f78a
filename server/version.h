// The version that assentd tells.
#pragma once

#include <string_view>

namespace assent {
inline constexpr std::string_view version = ASSENT_VERSION;
}
