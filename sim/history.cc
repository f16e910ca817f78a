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

void History::line(Micros now, std::string_view type, unsigned process, const TxnId& txn, const std::string& value) {
  file_ << fmt::format(R"({{"type":"{}","process":{},"time":{},"f":"txn","id":"{}","value":[{}]}})", type, process,
                       now * 1000, txn.to_hex(), value)
        << '\n';
}

void History::transfer(Micros now, std::string_view type, unsigned process, const Transfer& transfer) {
  if (!on_) return;
  line(now, type, process, transfer.txn,
       fmt::format(R"(["add","acct/{}",{}],["add","acct/{}",{}])", transfer.from, -transfer.amount, transfer.to,
                   transfer.amount));
}

void History::read(Micros now, std::string_view type, unsigned process, const TxnId& txn, unsigned accounts,
                   const Books& books) {
  if (!on_) return;
  std::string value;
  for (AccountId account = 0; account < accounts; ++account) {
    const auto found = books.find(account);
    value += fmt::format(R"({}["r","acct/{}",{}])", account == 0 ? "" : ",", account,
                         found == books.end() ? "null" : std::to_string(found->second.balance));
  }
  line(now, type, process, txn, value);
}

}  // namespace assent::sim
