// Histories for tests, in short: "+0 append x 1, r x [1] | -0 | +1 r x [] | ?1"
//   +P ops   process P begins a transaction; reads name what it will hear if it ends well
//   -P, !P, ?P   it ends with ok, fail, info
// Operations: r KEY [1 2] (a list), r KEY 7, r KEY nil; w KEY 7; append KEY 7; add KEY 7. After an info, "P" goes on
// under a fresh number.
#pragma once

#include <string_view>

#include "check/history.h"

namespace assent::check {

[[nodiscard]] std::vector<Event> events_of(std::string_view script);
[[nodiscard]] History history_of(std::string_view script);
[[nodiscard]] History history_of(const std::vector<Event>& events);

}  // namespace assent::check
