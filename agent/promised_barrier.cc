#include "agent/promised_barrier.h"

#include <algorithm>
#include <utility>

#include "agent/prepared_branch.h"
#include "agent/promise.h"
#include "service/postgres_connection.h"

namespace assent::agent {

using service::BranchKey;
using service::InDoubt;
using service::Register;
using service::postgres::execute;
using service::postgres::Parameters;

class PromisedBarrier::Local final : public service::LocalTransactionOn<PGconn> {
 public:
  Local(std::unique_ptr<service::LocalTransactionOn<PGconn>> plain, const std::string& identity)
      : plain_(std::move(plain)), identity_(identity) {}

  PGconn& connection() override { return plain_->connection(); }
  Result<void> begin(service::Access access) override { return plain_->begin(access); }

  // First what is prepared, then the rows: what is committed in between is seen as a row, and what was not there at
  // first was not there.
  Result<std::optional<Register>> load(const BranchKey& key) override {
    auto promised = find(key);
    if (!promised) return fail(promised.error());
    auto row = plain_->load(key);
    const bool promise_only = row && !*row && *promised;
    promised_ = promise_only;
    return promise_only ? std::move(promised) : std::move(row);
  }
  Result<bool> insert(const BranchKey& key, const Register& row) override { return plain_->insert(key, row); }
  // There is no row to be written while it is prepared: it ends at once, or is looked at again.
  Result<void> update(const BranchKey& key, const Register& row) override {
    if (promised_) return fail(ErrorCode::conflict, "the branch was prepared just now");
    return plain_->update(key, row);
  }
  Result<ClusterMillis> forgotten_through() override { return plain_->forgotten_through(); }
  Result<void> begin_work() override { return plain_->begin_work(); }
  Result<void> keep_work() override { return plain_->keep_work(); }
  Result<void> undo_work() override { return plain_->undo_work(); }
  Result<void> commit() override { return plain_->commit(); }
  void rollback() override { plain_->rollback(); }

  Result<std::vector<InDoubt>> in_doubt(ClusterMillis before, std::size_t at_most) override {
    auto all = plain_->in_doubt(before, at_most);
    if (!all) return all;
    const auto rows = execute(
        &connection(),
        "SELECT gid, since FROM (SELECT gid, (extract(epoch FROM prepared) * 1000)::bigint AS since FROM "
        "pg_prepared_xacts WHERE database = current_database() AND starts_with(gid, 'assentyes_')) one WHERE "
        "since <= $1 ORDER BY since LIMIT $2",
        Parameters().integer(static_cast<std::int64_t>(before.value)).integer(static_cast<std::int64_t>(at_most)));
    if (!rows) return fail(rows.error());
    for (int i = 0; i < rows->count(); ++i) {
      const auto promise = promise_from(rows->text(i, 0));
      if (!promise || promise->database != database_of(identity_)) continue;
      const ClusterMillis since(static_cast<std::uint64_t>(std::max<std::int64_t>(0, rows->number(i, 1))));
      all->push_back({{promise->txn, promise->branch}, promise->attempt, promise->coordinator, since});
    }
    std::stable_sort(all->begin(), all->end(),
                     [](const InDoubt& a, const InDoubt& b) { return a.since.value < b.since.value; });
    if (all->size() > at_most) all->resize(at_most);
    return all;
  }
  Result<std::size_t> forget_rows(const service::Horizon& horizon, std::size_t at_most) override {
    return plain_->forget_rows(horizon, at_most);
  }

 private:
  Result<std::optional<Register>> find(const BranchKey& key) {
    const auto rows = execute(&connection(),
                              "SELECT gid, (extract(epoch FROM prepared) * 1000)::bigint FROM pg_prepared_xacts WHERE "
                              "database = current_database() AND starts_with(gid, $1)",
                              Parameters().text(promises_of(key.txn, identity_)));
    if (!rows) return fail(rows.error());
    for (int i = 0; i < rows->count(); ++i) {
      const auto promise = promise_from(rows->text(i, 0));
      if (!promise || promise->branch != key.name) continue;
      Register out;
      out.state = service::BranchState::prepared;
      out.attempt = promise->attempt;
      out.coordinator = promise->coordinator;
      out.changed_at = ClusterMillis(static_cast<std::uint64_t>(std::max<std::int64_t>(0, rows->number(i, 1))));
      return std::optional(std::move(out));
    }
    return std::optional<Register>();
  }

  const std::unique_ptr<service::LocalTransactionOn<PGconn>> plain_;
  const std::string& identity_;
  bool promised_ = false;
};

Result<std::unique_ptr<service::LocalTransactionOn<PGconn>>> PromisedBarrier::take() {
  auto plain = barrier_->take();
  if (!plain) return fail(plain.error());
  return std::make_unique<Local>(std::move(*plain), identity_);
}

}  // namespace assent::agent
