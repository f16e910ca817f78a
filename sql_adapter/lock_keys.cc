#include "sql_adapter/lock_keys.h"

#include <fmt/format.h>

#include <algorithm>

#include "participant/lock_table.h"
#include "sql_adapter/change_format.h"
#include "sql_adapter/counters.h"

namespace assent::sql {
namespace {

Bytes keyed(char kind, std::string_view name, std::string_view key) {
  Bytes out;
  out.reserve(name.size() + key.size() + 2);
  out.push_back(kind);
  out.append(name);
  out.push_back('\0');
  out.append(key);
  return out;
}

}  // namespace

Bytes root_lock() { return "*"; }

Bytes table_lock(std::string_view table) { return Bytes("t").append(table); }

Bytes row_lock(std::string_view table, std::string_view key) { return keyed('r', table, key); }

Bytes unique_lock(std::string_view index, std::string_view key) { return keyed('u', index, key); }

std::string show_lock(ByteView lock) {
  if (lock.empty()) return {};
  const char kind = lock.front();
  const std::size_t end = std::min(lock.find('\0'), lock.size());
  const ByteView name = lock.substr(1, end - 1);
  if (kind == '*') return "the schema";
  if (kind == 't') return fmt::format("table {}", name);
  const auto values = end < lock.size() ? decode_values(lock.substr(end + 1)) : std::nullopt;
  if (!values) return std::string(lock);
  if (kind == 'r' && name == kv_table && values->size() == 1) return std::string(values->front().bytes);
  return fmt::format("{}{}({})", kind == 'u' ? "unique " : "", name, show(*values));
}

std::vector<LockRequest> LockSet::take() {
  std::sort(requests_.begin(), requests_.end());
  std::vector<LockRequest> out;
  out.reserve(requests_.size());
  for (LockRequest& request : requests_) {
    if (!out.empty() && out.back().key == request.key) {
      out.back().mode = cover(out.back().mode, request.mode);
    } else {
      out.push_back(std::move(request));
    }
  }
  requests_.clear();
  return out;
}

}  // namespace assent::sql
