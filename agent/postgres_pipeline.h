// Statements on a PostgreSQL connection that are sent one behind the other and answered together, and statements that
// the server has prepared. Internal to agent/. One connection, one thread at a time.
//
//   Pipeline pipeline(session);
//   pipeline.add("BEGIN");  pipeline.add("UPDATE ...", parameters);
//   pipeline.flush();                    // the server begins to answer
//   const Rows begun = pipeline.next();  const Rows updated = pipeline.next();
//
// After a statement that failed the server skips the others, and next() gives PGRES_PIPELINE_ABORTED for each. The
// destructor reads what was not read; whether the connection is in a transaction then is for its owner to look at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "service/connection_pool.h"
#include "service/postgres_connection.h"

namespace assent::agent {

// A connection, and which statements the server has prepared in it.
struct PostgresSession {
  struct Kept {
    std::string name;
    std::uint64_t used = 0;
  };
  service::postgres::Handle connection;
  std::map<std::string, Kept> kept;  // by their text
  std::uint64_t uses = 0;
};
using PostgresPool = service::ConnectionPool<std::unique_ptr<PostgresSession>>;

// A connection of the pool for one use; given back when it is fit for another.
class PostgresLease {
 public:
  explicit PostgresLease(PostgresPool& pool) : pool_(pool), session_(pool.take()) {}
  PostgresLease(const PostgresLease&) = delete;
  PostgresLease& operator=(const PostgresLease&) = delete;
  ~PostgresLease();

  [[nodiscard]] std::optional<Error> trouble() const;
  [[nodiscard]] PGconn* db() const { return (*session_)->connection.get(); }
  [[nodiscard]] PostgresSession& session() const { return **session_; }
  [[nodiscard]] bool lost() const { return PQstatus(db()) != CONNECTION_OK; }
  // Another one instead, after it was lost.
  [[nodiscard]] Result<void> renew();

 private:
  PostgresPool& pool_;
  Result<std::unique_ptr<PostgresSession>> session_;
};

class Pipeline {
 public:
  explicit Pipeline(PostgresSession& session);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  void add(const std::string& text, const service::postgres::Parameters& parameters = {});
  // The server prepares it the first time, and is told its name from then on; the least used of many go.
  void add_kept(const std::string& text, const service::postgres::Parameters& parameters = {});
  void flush();
  // The answer to the next statement that was added, in their order; after a flush(). No result: the connection is
  // lost.
  [[nodiscard]] service::postgres::Rows next();
  // Whether the last one that next() told of was known to the server from before.
  [[nodiscard]] bool was_kept() const { return was_kept_; }

 private:
  enum class What : std::uint8_t { run, run_kept, parse };
  struct Sent {
    What what;
    std::string text;  // of parse
    std::string name;  // of parse
  };

  void make_room();
  [[nodiscard]] PGresult* answer();

  PostgresSession& session_;
  PGconn* const db_;
  std::deque<Sent> sent_;
  std::map<std::string, std::string> parsing_;  // names of statements that are new to the server, by their text
  bool broken_ = false;                         // something could not be sent
  bool was_kept_ = false;
};

}  // namespace assent::agent
