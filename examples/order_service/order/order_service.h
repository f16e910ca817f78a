// The order service: keeps orders in a SQLite database of its own, and takes part in the transactions that place them.
//
// An order is written as pending when the transaction prepares, placed when it commits, and gone when it aborts. The
// payload of a branch is a JSON object: {"order":"o-17","customer":"alice","product":"tea","quantity":2,"amount":600}.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <string>

#include "service/participant.h"

namespace shop {

// What the books of this service say.
struct OrderBooks {
  std::int64_t pending = 0;
  std::int64_t placed = 0;
  std::int64_t quantity = 0;  // of what is placed
  std::int64_t amount = 0;
};

class OrderService final : public assent::service::Participant<sqlite3> {
 public:
  // Makes the table when it is not there.
  [[nodiscard]] static assent::Result<void> make_table(sqlite3& database);
  [[nodiscard]] static assent::Result<OrderBooks> books(sqlite3& database);

  assent::service::Vote prepare(const assent::service::Branch& branch, sqlite3& database,
                                assent::ByteView payload) override;
  assent::Result<void> commit(const assent::service::Branch& branch, sqlite3& database,
                              assent::ByteView payload) override;
  assent::Result<void> abort(const assent::service::Branch& branch, sqlite3& database,
                             assent::ByteView payload) override;
};

}  // namespace shop
