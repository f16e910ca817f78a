// Random SQL over two schemas (even and odd shards), compared with plain SQLite: every client has rows of its own, and
// for each shard a plain database in memory that runs what was committed, in the client's order. A commit returns what
// plain SQLite returns; a refusal by a constraint is one there, too; at the end the rows are equal.
//
// A transaction whose end its client never heard (it crashed, or the outcome expired) may have happened or not: then
// the client goes on with rows of a new owner, and at the end the old ones are as before or as after it, on all shards
// alike.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/workload.h"
#include "sim/workloads/plain_sqlite.h"

namespace assent::sim {

class SqlWorkload final : public Workload {
 public:
  explicit SqlWorkload(const Scene& scene);

  [[nodiscard]] std::vector<Work> opening(GroupId shard) override;
  [[nodiscard]] Deed next(unsigned client, Rng& rng) override;
  [[nodiscard]] std::optional<Deed> last(std::size_t step) override;
  void audit() override;

 private:
  struct Owner {
    unsigned number = 0;
    std::vector<std::unique_ptr<PlainSqlite>> models;  // by place of the shard
    std::optional<std::vector<Branch>> under_way;      // not known to be over
    std::vector<bool> as_before;                       // at the end, by shard
    std::vector<bool> as_after;
  };

  [[nodiscard]] std::size_t place_of(GroupId shard) const;
  [[nodiscard]] std::vector<std::string> schema(std::size_t place) const;
  Owner& new_owner();
  [[nodiscard]] std::string statement(std::size_t place, unsigned owner, Rng& rng) const;
  [[nodiscard]] std::vector<std::string> dump(std::size_t place, unsigned owner) const;
  void ended(Owner& owner, const TxnId& txn, const Ended& ended);
  void committed(Owner& owner, const TxnId& txn, const Ended& ended);
  void compare_end(std::size_t place, const WorkResult& result);

  Scene scene_;
  std::vector<std::unique_ptr<Owner>> owners_;
  std::vector<Owner*> of_client_;
};

}  // namespace assent::sim
