// The pieces of the API's messages, for api_codec.cc alone: where in a message a reader stands, what is wrong with a
// field, and the readers of fields that several messages have.
//
// Total: any message gives a value or an Error whose text begins with the field at fault. No I/O; safe from any thread.
#pragma once

#include <string>
#include <string_view>

#include "txn_proto/api_codec.h"
#include "txn_proto/value_codec.h"

namespace assent::api_pieces {

struct ApiFamily {
  using Value = api::Value;
  using Operation = api::Operation;
  using OperationResult = api::OperationResult;
  static constexpr bool text_is_utf8 = true;
};
using Codec = ValueCodec<ApiFamily>;

// Where in a message a reader stands; made into text only when something is wrong.
struct Place {
  const Place* parent = nullptr;
  std::string_view field;
  int item = -1;

  [[nodiscard]] std::string text() const;
};

[[nodiscard]] tl::unexpected<Error> bad(const Place& place, std::string_view what,
                                        ErrorCode code = ErrorCode::malformed);

[[nodiscard]] Result<SqlValue> read(const api::Value& value, const Place& place);
[[nodiscard]] Result<Operation> read(const api::Operation& operation, const Place& place);
[[nodiscard]] Result<OperationResult> read(const api::OperationResult& result, const Place& place);
[[nodiscard]] Result<Protocol> read(api::Protocol protocol, const Place& place);
[[nodiscard]] Result<Mode> read(api::Mode mode, const Place& place);
[[nodiscard]] Result<TxnState> read(api::TxnState state, const Place& place);
[[nodiscard]] Result<TxnId> read_txn(const std::string& text, const Place& place);
// In ticks of the loop.
[[nodiscard]] Result<std::uint64_t> read_millis(std::uint32_t millis, const Place& place);
[[nodiscard]] Result<GroupId> read_shard(const std::string& name, const GroupDirectory& groups, const Place& place);

template <class Repeated>
[[nodiscard]] Result<Work> read_work(const Repeated& operations, const Place* parent) {
  if (operations.empty()) return bad(Place{parent, "operations"}, "is empty; name at least one operation");
  Work work;
  work.reserve(static_cast<std::size_t>(operations.size()));
  for (int i = 0; i < operations.size(); ++i) {
    Result<Operation> operation = read(operations.Get(i), Place{parent, "operations", i});
    if (!operation) return fail(std::move(operation.error()));
    work.push_back(std::move(*operation));
  }
  return work;
}

template <class Repeated>
[[nodiscard]] Result<WorkResult> read_results(const Repeated& results, const Place* parent) {
  WorkResult out;
  out.reserve(static_cast<std::size_t>(results.size()));
  for (int i = 0; i < results.size(); ++i) {
    Result<OperationResult> result = read(results.Get(i), Place{parent, "results", i});
    if (!result) return fail(std::move(result.error()));
    out.push_back(std::move(*result));
  }
  return out;
}

template <class Repeated>
void write_results(const WorkResult& results, Repeated& out) {
  for (const OperationResult& result : results) Codec::encode(result, *out.Add());
}

template <class Repeated>
void write_work(const Work& work, Repeated& out) {
  for (const Operation& operation : work) Codec::encode(operation, *out.Add());
}

}  // namespace assent::api_pieces
