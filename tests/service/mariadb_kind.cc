#include "tests/service/mariadb_kind.h"

#include <chrono>
#include <stdexcept>

#include "tests/local.h"

namespace assent::service::testing {

DatabaseServer& MariadbKind::server() {
  static DatabaseServer only(
      {.user = "mysql",
       .prepare = "PATH=$PATH:/usr/sbin; mariadb-install-db --no-defaults --datadir=$dir --skip-test-db "
                  "--auth-root-authentication-method=normal --innodb-log-file-size=8M",
       .serve = "mariadbd --no-defaults --datadir=$dir --port=$port --socket=$PWD/socket --pid-file=$PWD/server.pid "
                "--bind-address=127.0.0.1 --skip-name-resolve --innodb-log-file-size=8M --innodb-buffer-pool-size=32M "
                "--innodb-flush-log-at-trx-commit=1 --max-connections=400",
       .stop = "KILL"});
  return only;
}

mariadb::Address MariadbKind::address(const std::string& database) {
  return {.host = "127.0.0.1", .port = server().port(), .user = "root", .database = database};
}

MYSQL* MariadbKind::connect(const std::string& database) {
  MYSQL* made = nullptr;
  std::string said;
  const bool up = assent::testing::eventually(std::chrono::seconds(60), [&] {
    MYSQL* connection = mysql_init(nullptr);
    mysql_options(connection, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    made = mysql_real_connect(connection, "127.0.0.1", "root", "", database.c_str(), server().port(), nullptr, 0);
    if (made != nullptr) return true;
    said = mysql_error(connection);
    mysql_close(connection);
    return false;
  });
  if (!up) throw std::runtime_error(said + server().log());
  return made;
}

MariadbKind::MariadbKind() {
  static int count = 0;
  name_ = fmt::format("test{}", ++count);
  MYSQL* admin = connect("");
  execute(*admin, "CREATE DATABASE " + name_ + " CHARACTER SET utf8mb4");
  mysql_close(admin);
  look_ = connect(name_);
}

MariadbKind::~MariadbKind() { mysql_close(look_); }

void MariadbKind::look_again() {
  mysql_close(look_);
  look_ = connect(name_);
}

void MariadbKind::execute(MYSQL& connection, const std::string& sql) {
  const auto done = mariadb::run_plain(&connection, sql);
  if (!done) throw std::runtime_error(sql + ": " + done.error().said);
}

bool MariadbKind::try_execute(MYSQL& connection, const std::string& sql) {
  return mariadb::run_plain(&connection, sql).has_value();
}

std::int64_t MariadbKind::number(MYSQL& connection, const std::string& sql) {
  const auto done = mariadb::run_plain(&connection, sql);
  if (!done) throw std::runtime_error(sql + ": " + done.error().said);
  return done->rows.empty() ? -1 : done->number(0, 0);
}

}  // namespace assent::service::testing
