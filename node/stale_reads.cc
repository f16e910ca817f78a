#include "node/stale_reads.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace assent {

void StaleReads::serve(ReplicatedLog& log, Application& application, std::uint64_t now_ticks,
                       std::vector<ClientReply>& replies) {
  if (waiting_.empty()) return;
  const std::optional<ReadPoint> point = log.read_point(application.applied());
  bool grows_old = false;
  std::erase_if(waiting_, [&](Waiting& read) {
    const std::uint64_t most = *read.query.max_staleness_micros;
    grows_old = grows_old || !point || point->age_micros > most / 2;
    const bool young = point && point->age_micros <= most;
    if (young && !blocked(read, application) && answer(read, *point, application, replies)) return true;
    if (now_ticks < read.deadline) return false;
    replies.push_back({read.id, fail(too_stale(read, point))});
    return true;
  });
  if (grows_old) log.request_read_point();
}

void StaleReads::give_up(std::vector<ClientReply>& replies) {
  for (const Waiting& read : waiting_) {
    replies.push_back({read.id, fail(ErrorCode::not_leader, "this node belongs to the group no more; ask another")});
  }
  waiting_.clear();
}

// By those that were in the way when it was evaluated; others are found when it is evaluated again.
bool StaleReads::blocked(Waiting& read, const Application& application) {
  std::erase_if(read.in_the_way, [&](const TxnId& txn) { return !application.is_prepared(txn); });
  return !read.in_the_way.empty();
}

bool StaleReads::answer(Waiting& read, const ReadPoint& point, Application& application,
                        std::vector<ClientReply>& replies) {
  auto answer = application.query_stale(read.query, read.in_the_way);
  if (!application.healthy()) return false;  // the group says so, and the node ends
  if (!read.in_the_way.empty()) return false;
  if (!answer) {
    replies.push_back({read.id, fail(answer.error())});
    return true;
  }
  answer->age_micros_max = point.age_micros;
  replies.push_back({read.id, ClientAnswer(std::move(*answer))});
  return true;
}

Error StaleReads::too_stale(const Waiting& read, const std::optional<ReadPoint>& point) {
  const std::uint64_t most = *read.query.max_staleness_micros;
  std::string why;
  if (!point) {
    why = "this replica cannot prove how old what it holds is: no leader has answered it";
  } else if (point->age_micros > most) {
    why = fmt::format("what this replica holds may be {} ms old, more than the {} ms that the read allows",
                      point->age_micros / 1'000, most / 1'000);
  } else if (read.in_the_way.empty()) {
    why = "this replica's data cannot be read";
  } else {
    why = fmt::format("{} is in doubt and holds what the read wants", read.in_the_way.front());
  }
  return Error{ErrorCode::too_stale, why + "; ask another replica, or read without a bound", {}};
}

}  // namespace assent
