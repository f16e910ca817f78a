// MariaDB for the tests: one server for a test program, and a database of its own for each Kind (database_kinds.h).
#pragma once

#include <fmt/format.h>
#include <mysql.h>

#include <cstdint>
#include <memory>
#include <string>

#include "service/mariadb_barrier.h"
#include "tests/service/database_server.h"

namespace assent::service::testing {

class MariadbKind {
 public:
  using Connection = MYSQL;
  static constexpr int histories = 6;

  MariadbKind();
  ~MariadbKind();
  MariadbKind(const MariadbKind&) = delete;
  MariadbKind& operator=(const MariadbKind&) = delete;

  [[nodiscard]] static DatabaseServer& server();
  [[nodiscard]] static mariadb::Address address(const std::string& database);
  // Waits for a server that is starting.
  [[nodiscard]] static MYSQL* connect(const std::string& database);

  [[nodiscard]] Result<std::unique_ptr<MariadbBarrier>> open() {
    return MariadbBarrier::open({.address = address(name_)});
  }
  [[nodiscard]] MYSQL& look() { return *look_; }
  // After the server was killed.
  void look_again();
  [[nodiscard]] const std::string& name() const { return name_; }

  static void execute(MYSQL& connection, const std::string& sql);
  static bool try_execute(MYSQL& connection, const std::string& sql);
  static std::int64_t number(MYSQL& connection, const std::string& sql);

 private:
  std::string name_;
  MYSQL* look_ = nullptr;
};

}  // namespace assent::service::testing
