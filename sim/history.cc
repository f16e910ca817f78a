#include "sim/history.h"

#include <fmt/format.h>

namespace assent::sim {

Result<void> History::open(const std::string& path) {
  file_.open(path, std::ios::trunc);
  if (!file_)
    return fail(ErrorCode::io, fmt::format("the history file {} cannot be written; name another place", path));
  on_ = true;
  return {};
}

void History::line(Micros now, std::string_view type, unsigned process, const TxnId& txn, std::string_view value) {
  if (!on_) return;
  file_ << fmt::format(R"({{"type":"{}","process":{},"time":{},"f":"txn","id":"{}","value":[{}]}})", type, process,
                       now * 1000, txn.to_hex(), value)
        << '\n';
}

}  // namespace assent::sim
