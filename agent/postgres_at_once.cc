// PostgresDatabase's short way: register and work in one transaction, which is left prepared under the promise's name.
//
// Why it is safe. The register's row, which says committed, is inserted by the transaction itself, and its key keeps
// every other row of the branch out for as long as it is prepared: so nobody records a no or an abort beside it, and
// once it is committed the row is what everybody reads. Two of them for one branch are kept apart by an advisory lock
// that the prepared transaction holds as well, so that the second does not wait for the first. What ended is
// remembered by its row; the horizon (forgotten_through) is read after the row was inserted, which has waited for
// whoever was forgetting the same branch. PREPARE TRANSACTION and COMMIT PREPARED wait for the disk whatever
// synchronous_commit says.
#include <fmt/format.h>

#include <bit>
#include <utility>

#include "agent/postgres_database.h"
#include "agent/postgres_statement.h"
#include "agent/promise.h"
#include "base/digest.h"

namespace assent::agent {

namespace {

using service::Branch;
using service::Call;
using service::Vote;
using service::postgres::Parameters;
using service::postgres::Rows;
using std::chrono::milliseconds;

// A division by zero ends the transaction where a condition does not hold, without anybody waiting for its answer.
constexpr const char* set_limits =
    "SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true), "
    "1 / pg_try_advisory_xact_lock($3)::integer";
constexpr const char* insert_register =
    "INSERT INTO assent_branches VALUES($1, $2, 'committed', $3, $4, $5, '', '', '', '', $6)";
constexpr const char* check_horizon = "SELECT 1 / (forgotten_through < $1)::integer FROM assent_barrier WHERE id = 1";
constexpr int preamble = 6;  // statements before the branch's own

std::int64_t lock_of(const Branch& branch) {
  return std::bit_cast<std::int64_t>(xxh3(branch.txn.to_hex() + branch.name, 3));
}

milliseconds statement_time(const Times& times, const Branch& branch, std::chrono::steady_clock::time_point since) {
  if (branch.time_left == milliseconds(0)) return times.statement;
  const auto gone = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - since);
  return std::clamp(branch.time_left - gone, milliseconds(1), times.statement);
}

// Behind which statement the answers must be seen before it may be prepared; 0: none.
std::size_t last_counted(const Work& work) {
  for (std::size_t i = work.statements.size(); i > 0; --i) {
    if (work.statements[i - 1].rows) return i;
  }
  return 0;
}

// The server has forgotten the statement, or what it reads has changed its form.
bool forgot_statement(const Rows& rows) {
  const std::string state = service::postgres::sqlstate(rows);
  return state == "26000" || state == "0A000";
}

void add_preamble(Pipeline& pipeline, const Times& times, const Branch& branch, milliseconds statement) {
  // What an earlier branch's statements may have set in the connection is reset.
  pipeline.add_kept("RESET SESSION AUTHORIZATION");
  pipeline.add_kept("RESET ALL");
  pipeline.add_kept("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
  pipeline.add_kept(set_limits,
                    Parameters().integer(times.lock.count()).integer(statement.count()).integer(lock_of(branch)));
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  pipeline.add_kept(insert_register, Parameters()
                                         .text(branch.txn.to_hex())
                                         .text(branch.name)
                                         .integer(std::bit_cast<std::int64_t>(branch.attempt.epoch))
                                         .integer(std::bit_cast<std::int64_t>(branch.attempt.number))
                                         .text(branch.coordinator)
                                         .integer(std::chrono::duration_cast<milliseconds>(now).count()));
  pipeline.add_kept(check_horizon, Parameters().integer(static_cast<std::int64_t>(branch.txn.created().value)));
}

void add(Pipeline& pipeline, const Statement& statement) {
  const Parameters values = values_of(statement);
  // Others are hardly met twice.
  if (values.empty()) {
    pipeline.add(statement.sql);
  } else {
    pipeline.add_kept(statement.sql, values);
  }
}

}  // namespace

std::optional<Result<Vote>> PostgresDatabase::prepare_at_once(const Branch& branch, ByteView payload) {
  const auto since = std::chrono::steady_clock::now();
  const auto promised = promise_of(branch, identity_);
  const Result<Work> work = read_work(payload, Dialect::postgres);
  if (!promised || !work) return std::nullopt;
  PostgresLease lease(*pool_);
  if (lease.trouble()) return fail(*lease.trouble());
  Branch now = branch;
  now.time_left = statement_time(times_, branch, since);
  Vote no;
  for (int tries = 0; tries < 2; ++tries) {
    switch (promise(lease, promised->text(), now, *work, no)) {
      case AtOnce::prepared: return Vote::yes();
      case AtOnce::refused: return no;
      case AtOnce::in_steps: return std::nullopt;
      case AtOnce::lost:
      case AtOnce::forgot: break;
    }
    // Lost, perhaps while nobody used it. If it was prepared all the same, or is at it still, the lock is taken.
    if (auto renewed = lease.renew(); !renewed) return fail(renewed.error());
  }
  return fail(ErrorCode::io, "the connection to the database was lost while the branch was prepared");
}

PostgresDatabase::AtOnce PostgresDatabase::promise(PostgresLease& lease, const std::string& gid, const Branch& branch,
                                                   const Work& work, Vote& no) {
  const std::string prepare_text = fmt::format("PREPARE TRANSACTION '{}'", gid);
  const std::size_t counted = last_counted(work);
  Pipeline pipeline(lease.session());
  add_preamble(pipeline, times_, branch, branch.time_left);
  for (std::size_t i = 0; i < work.statements.size(); ++i) {
    add(pipeline, work.statements[i]);
    if (i + 1 == counted) pipeline.flush();
  }
  if (counted == 0) {
    pipeline.add(prepare_text);
    pipeline.flush();
  }
  for (int i = 0; i < preamble; ++i) {
    const Rows rows = pipeline.next();
    if (lease.lost()) return AtOnce::lost;
    // Its register is there, or somebody is at it, or it is too old: the steps find out.
    if (!fine(rows)) return pipeline.was_kept() && forgot_statement(rows) ? AtOnce::forgot : AtOnce::in_steps;
  }
  for (std::size_t i = 0; i < work.statements.size(); ++i) {
    if (i == counted && counted > 0) {
      pipeline.add(prepare_text);
      pipeline.flush();
    }
    const Rows rows = pipeline.next();
    if (lease.lost()) return AtOnce::lost;
    if (pipeline.was_kept() && forgot_statement(rows)) return AtOnce::forgot;
    if (auto refused = judge_statement(lease.db(), work.statements[i], rows, fmt::format("statement {}", i + 1))) {
      no = std::move(*refused);
      return AtOnce::refused;
    }
  }
  if (counted == work.statements.size()) {
    pipeline.add(prepare_text);
    pipeline.flush();
  }
  const Rows rows = pipeline.next();
  if (lease.lost()) return AtOnce::lost;
  // A transaction that has failed is rolled back instead, and that is called a success.
  if (fine(rows) && rows.command() == "PREPARE TRANSACTION") return AtOnce::prepared;
  no = no_of(lease.db(), rows, "PREPARE TRANSACTION");
  return AtOnce::refused;
}

Result<bool> PostgresDatabase::end_at_once(const Branch& branch, Call call) {
  const auto promised = promise_of(branch, identity_);
  if (!promised) return false;
  auto done = end_prepared(promised->text(), call);
  if (!done) return done;
  if (!*done) {
    // Its coordinator may be called otherwise now than at its prepare.
    const auto others =
        ask("SELECT gid FROM pg_prepared_xacts WHERE database = current_database() AND "
            "starts_with(gid, $1)",
            Parameters().text(promises_of(branch.txn, identity_)));
    if (!others) return fail(others.error());
    for (int i = 0; i < others->count() && !*done; ++i) {
      const auto other = promise_from(others->text(i, 0));
      if (!other || other->branch != branch.name || other->attempt != branch.attempt) continue;
      done = end_prepared(others->text(i, 0), call);
      if (!done) return done;
    }
  }
  // After a rollback the steps find an empty register, and record the abort.
  return *done && call == Call::commit;
}

}  // namespace assent::agent
