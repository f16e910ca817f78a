#include "sim/history.h"

#include <fmt/format.h>

#include <utility>

#include "base/check.h"

namespace assent::sim {

Result<void> History::open(const std::string& path) {
  file_.open(path, std::ios::trunc);
  if (!file_)
    return fail(ErrorCode::io, fmt::format("the history file {} cannot be written; name another place", path));
  writes_ = true;
  return {};
}

void History::event(Micros now, check::EventType type, unsigned process, const TxnId& txn,
                    std::vector<check::Micro> value) {
  if (!writes_ && !keeps_) return;
  const check::Event event{type, process, now * 1000, txn.none() ? std::string() : txn.to_hex(), std::move(value)};
  if (writes_) file_ << check::to_line(event) << '\n';
  if (!keeps_) return;
  const Result<void> added = kept_.add(event);
  ASSENT_CHECK(added, "what the simulated clients do is a history");
}

}  // namespace assent::sim
