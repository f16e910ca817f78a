// One transaction as bars in a terminal: a row for each phase and call, the commit point and the client's answer as
// lines across them. Pure.
#pragma once

#include <string>
#include <vector>

#include "assent/v1/observe.pb.h"

namespace assent::cli {

// Lines without ends of line. columns: how many the bars take up.
[[nodiscard]] std::vector<std::string> waterfall(const v1::TxnTrace& trace, std::size_t columns = 48);

// 512 as "0.5ms", 2'300'000 as "2.3s".
[[nodiscard]] std::string duration_of(std::uint64_t micros);

}  // namespace assent::cli
