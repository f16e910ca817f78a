#include "service/postgres_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace assent::service::postgres {

namespace {

ErrorCode code_of(std::string_view state) {
  if (state == "40001" || state == "40P01") return ErrorCode::conflict;  // serialization, deadlock
  if (state == "55P03" || state == "53300") return ErrorCode::busy;      // lock timeout, too many connections
  if (state == "42704") return ErrorCode::not_found;                     // no such object, as a prepared transaction
  if (state == "42501") return ErrorCode::refused;                       // the user has no right
  if (state.starts_with("XX")) return ErrorCode::corruption;
  return ErrorCode::io;
}

void ignore_notice(void*, const char*) {}

}  // namespace

std::string first_line(const char* text) {
  const std::string_view all = text == nullptr ? "" : text;
  return std::string(all.substr(0, all.find('\n')));
}

std::string Rows::text(int row, int column) const {
  return {PQgetvalue(result_.get(), row, column), static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
}

std::int64_t Rows::number(int row, int column) const {
  const std::string digits = text(row, column);
  std::int64_t out = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), out);
  return out;
}

std::optional<std::int64_t> Rows::number_or_null(int row, int column) const {
  return null(row, column) ? std::nullopt : std::optional(number(row, column));
}

Bytes Rows::bytes(int row, int column) const {
  std::size_t size = 0;
  unsigned char* const raw =
      PQunescapeBytea(reinterpret_cast<const unsigned char*>(PQgetvalue(result_.get(), row, column)), &size);
  if (raw == nullptr) return {};
  Bytes out(reinterpret_cast<const char*>(raw), size);
  PQfreemem(raw);
  return out;
}

Parameters::Raw Parameters::raw() const {
  Raw out;
  for (const auto& value : values_) {
    out.values.push_back(value ? value->data() : nullptr);
    out.lengths.push_back(value ? static_cast<int>(value->size()) : 0);
  }
  return out;
}

Rows Parameters::run(PGconn* connection, const char* text) const {
  const Raw all = raw();
  return Rows(PQexecParams(connection, text, static_cast<int>(values_.size()), nullptr, all.values.data(),
                           all.lengths.data(), formats_.data(), 0));
}

bool Parameters::send(PGconn* connection, const char* text) const {
  const Raw all = raw();
  return PQsendQueryParams(connection, text, static_cast<int>(values_.size()), nullptr, all.values.data(),
                           all.lengths.data(), formats_.data(), 0) == 1;
}

bool Parameters::send_prepared(PGconn* connection, const char* name) const {
  const Raw all = raw();
  return PQsendQueryPrepared(connection, name, static_cast<int>(values_.size()), all.values.data(), all.lengths.data(),
                             formats_.data(), 0) == 1;
}

Parameters& Parameters::add(std::optional<std::string> value, int format) {
  values_.push_back(std::move(value));
  formats_.push_back(format);
  return *this;
}

std::string sqlstate(const Rows& rows) {
  const char* const state = PQresultErrorField(rows.raw(), PG_DIAG_SQLSTATE);
  return state == nullptr ? "" : state;
}

Result<Rows> judged(PGconn* connection, Rows rows, std::string_view doing) {
  const ExecStatusType status = PQresultStatus(rows.raw());
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return rows;
  const std::string state = sqlstate(rows);
  const std::string said =
      first_line(rows.raw() == nullptr ? PQerrorMessage(connection) : PQresultErrorMessage(rows.raw()));
  return fail(state.empty() ? ErrorCode::io : code_of(state),
              fmt::format("PostgreSQL, {}: {}", doing.substr(0, 60), said.empty() ? "the connection is lost" : said));
}

Result<Rows> execute(PGconn* connection, const char* text, const Parameters& parameters) {
  return judged(connection, parameters.run(connection, text), text);
}

Result<void> execute(PGconn* connection, const char* text) {
  auto rows = judged(connection, Rows(PQexec(connection, text)), text);
  if (!rows) return fail(rows.error());
  return {};
}

Result<std::vector<std::string>> single_column(PGconn* connection, const char* text, const Parameters& parameters) {
  auto rows = execute(connection, text, parameters);
  if (!rows) return fail(rows.error());
  std::vector<std::string> out;
  for (int i = 0; i < rows->count(); ++i) out.push_back(rows->text(i, 0));
  return out;
}

Result<void> configure(PGconn& connection, std::chrono::milliseconds patience) {
  if (PQsetClientEncoding(&connection, "UTF8") != 0) return fail(ErrorCode::unsupported, "PostgreSQL: no UTF-8 client");
  const std::string waits = fmt::format("SET lock_timeout = {}", patience.count());
  if (auto set = execute(&connection, waits.c_str()); !set) return set;
  const auto sync = single_column(&connection, "SHOW synchronous_commit", {});
  if (!sync) return fail(sync.error());
  // Off: a yes that was answered could be lost with the power. The other words all wait for the disk.
  if (!sync->empty() && sync->front() == "off") return execute(&connection, "SET synchronous_commit = on");
  return {};
}

Result<Handle> connect(const ConnectOptions& options) {
  const std::string seconds =
      std::to_string(std::max<std::int64_t>(2, std::chrono::ceil<std::chrono::seconds>(options.patience).count()));
  const std::array<const char*, 4> keys{"dbname", "connect_timeout", "fallback_application_name", nullptr};
  const std::array<const char*, 4> values{options.conninfo.c_str(), seconds.c_str(), options.name, nullptr};
  Handle out(PQconnectdbParams(keys.data(), values.data(), 1));
  if (PQstatus(out.get()) != CONNECTION_OK) {
    return fail(ErrorCode::io, fmt::format("PostgreSQL cannot be reached: {}", first_line(PQerrorMessage(out.get()))));
  }
  PQsetNoticeProcessor(out.get(), ignore_notice, nullptr);
  if (auto fine = configure(*out, options.patience); !fine) return fail(fine.error());
  return out;
}

}  // namespace assent::service::postgres
