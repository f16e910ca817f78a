#include "participant/stale_query.h"

#include <utility>

#include "base/planted.h"

namespace assent {

Result<QueryAnswer> query_stale(const Shard& shard, ResourceManager& resources, const Work& work,
                                std::vector<TxnId>& in_the_way) {
  in_the_way.clear();
  if (work.empty()) return fail(ErrorCode::malformed, "the query asks nothing");
  auto evaluated = resources.query(work);
  if (!evaluated) {
    const Refusal& refusal = evaluated.error();
    return fail(refusal.reason == AbortReason::invalid ? ErrorCode::malformed : ErrorCode::refused, refusal.message);
  }
  if (!planted(Bug::stale_read_ignores_prepared)) in_the_way = shard.locks().conflicts(evaluated->effects.locks, {});
  return QueryAnswer{.result = std::move(evaluated->result), .at = shard.applied()};
}

}  // namespace assent
