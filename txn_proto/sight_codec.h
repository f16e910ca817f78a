// Between Sight (txn_proto/sight.h) and the public API's message. Total: any message gives a value; a stage that this
// build does not know reads as in doubt.
#pragma once

#include "assent/v1/assent.pb.h"
#include "txn_proto/names.h"
#include "txn_proto/sight.h"

namespace assent {

[[nodiscard]] v1::Sight to_api(const Sight& sight, const GroupDirectory& groups);
// Group names become numbers by group_id(), known or not.
[[nodiscard]] Sight from_api(const v1::Sight& message);

}  // namespace assent
