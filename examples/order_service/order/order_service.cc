#include "examples/order_service/order/order_service.h"

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <variant>

namespace shop {
namespace {

using assent::ByteView;
using assent::ErrorCode;
using assent::Result;
using assent::service::Branch;
using assent::service::Vote;
using Json = nlohmann::json;

struct Order {
  std::string id;
  std::string customer;
  std::string product;
  std::int64_t quantity = 0;
  std::int64_t amount = 0;
};

Result<Order> read_order(ByteView payload) {
  const Json json = Json::parse(payload, nullptr, false);
  const auto is_text = [&](const char* name) { return json.contains(name) && json[name].is_string(); };
  const auto is_count = [&](const char* name) {
    return json.contains(name) && json[name].is_number_integer() && json[name].get<std::int64_t>() > 0;
  };
  if (!json.is_object() || !is_text("order") || !is_text("customer") || !is_text("product") || !is_count("quantity") ||
      !is_count("amount")) {
    return assent::fail(ErrorCode::malformed,
                        "an order needs order, customer and product as text, quantity and amount above zero");
  }
  return Order{json["order"], json["customer"], json["product"], json["quantity"], json["amount"]};
}

using Value = std::variant<std::int64_t, std::string>;

// Runs one statement; gives the rows that it changed.
Result<int> run(sqlite3& database, const char* text, std::initializer_list<Value> values) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(&database, text, -1, &statement, nullptr);
  int place = 0;
  for (const Value& value : values) {
    ++place;
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      sqlite3_bind_int64(statement, place, *number);
    } else {
      const std::string& words = std::get<std::string>(value);
      sqlite3_bind_text(statement, place, words.data(), static_cast<int>(words.size()), SQLITE_TRANSIENT);
    }
  }
  if (code == SQLITE_OK) code = sqlite3_step(statement);
  sqlite3_finalize(statement);
  if (code != SQLITE_DONE) return assent::fail(ErrorCode::refused, sqlite3_errmsg(&database));
  return sqlite3_changes(&database);
}

// One row must change: the prepare of this order wrote it, and nobody else touches it.
Result<void> change_one(sqlite3& database, const char* text, ByteView payload) {
  const Result<Order> order = read_order(payload);
  if (!order) return assent::fail(order.error());
  const Result<int> changed = run(database, text, {order->id});
  if (!changed) return assent::fail(changed.error());
  if (*changed != 1) return assent::fail(ErrorCode::refused, "order " + order->id + " is not pending");
  return {};
}

}  // namespace

Result<void> OrderService::make_table(sqlite3& database) {
  const auto made = run(database,
                        "CREATE TABLE IF NOT EXISTS orders(id TEXT PRIMARY KEY, customer TEXT NOT NULL, product TEXT "
                        "NOT NULL, quantity INTEGER NOT NULL, amount INTEGER NOT NULL, state TEXT NOT NULL)",
                        {});
  if (!made) return assent::fail(made.error());
  return {};
}

Result<OrderBooks> OrderService::books(sqlite3& database) {
  sqlite3_stmt* statement = nullptr;
  OrderBooks books;
  const int code =
      sqlite3_prepare_v2(&database,
                         "SELECT count(*) FILTER (WHERE state = 'pending'), count(*) FILTER (WHERE state = "
                         "'placed'), coalesce(sum(quantity) FILTER (WHERE state = 'placed'), 0), "
                         "coalesce(sum(amount) FILTER (WHERE state = 'placed'), 0) FROM orders",
                         -1, &statement, nullptr);
  const bool read = code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW;
  if (read) {
    books = {sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1), sqlite3_column_int64(statement, 2),
             sqlite3_column_int64(statement, 3)};
  }
  sqlite3_finalize(statement);
  if (!read) return assent::fail(ErrorCode::refused, sqlite3_errmsg(&database));
  return books;
}

Vote OrderService::prepare(const Branch&, sqlite3& database, ByteView payload) {
  const Result<Order> order = read_order(payload);
  if (!order) return Vote::no("BAD_ORDER", order.error().message);
  const auto written = run(database, "INSERT OR IGNORE INTO orders VALUES(?1, ?2, ?3, ?4, ?5, 'pending')",
                           {order->id, order->customer, order->product, order->quantity, order->amount});
  if (!written) return Vote::no("NOT_WRITTEN", written.error().message);
  if (*written == 0) return Vote::no("ORDER_EXISTS", "order " + order->id + " was placed before");
  return Vote::yes();
}

Result<void> OrderService::commit(const Branch&, sqlite3& database, ByteView payload) {
  return change_one(database, "UPDATE orders SET state = 'placed' WHERE id = ?1 AND state = 'pending'", payload);
}

Result<void> OrderService::abort(const Branch&, sqlite3& database, ByteView payload) {
  return change_one(database, "DELETE FROM orders WHERE id = ?1 AND state = 'pending'", payload);
}

}  // namespace shop
