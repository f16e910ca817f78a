// Owned and borrowed byte strings. std::string carries bytes here because protobuf, gRPC and SQLite all take it as it
// is.
#pragma once

#include <string>
#include <string_view>

namespace assent {

using Bytes = std::string;
using ByteView = std::string_view;

}  // namespace assent
