// The stale reads that wait at one replica of a group, until it can prove that what it holds is young enough and no
// prepared transaction hides anything of it (participant/stale_query.h), or their time is up.
//
// Not a core: the log proves how old its prefix is, the application reads; this brings the two together. A replica that
// is read often asks its leader for a younger point when the last one has half the age that is allowed, and answers
// meanwhile: so most of such reads wait for nobody. Called by Group alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "consensus/log_contract.h"
#include "node/application.h"
#include "txn_proto/types.h"

namespace assent {

class StaleReads {
 public:
  // query.max_staleness_micros is set. deadline: the tick at which it is refused.
  void add(RequestId id, const Query& query, std::uint64_t deadline) { waiting_.push_back({id, query, deadline, {}}); }
  [[nodiscard]] bool empty() const { return waiting_.empty(); }
  // The replica goes: nobody is answered by it.
  void give_up(std::vector<ClientReply>& replies);

  // Answers those that can be answered now, or never. The log knows the time. After an application that is not healthy
  // nothing is answered.
  void serve(ReplicatedLog& log, Application& application, std::uint64_t now_ticks, std::vector<ClientReply>& replies);

 private:
  struct Waiting {
    RequestId id;
    Query query;
    std::uint64_t deadline = 0;
    std::vector<TxnId> in_the_way;  // when it was last evaluated
  };

  [[nodiscard]] static bool blocked(Waiting& read, const Application& application);
  [[nodiscard]] static bool answer(Waiting& read, const ReadPoint& point, Application& application,
                                   std::vector<ClientReply>& replies);
  [[nodiscard]] static Error too_stale(const Waiting& read, const std::optional<ReadPoint>& point);

  std::vector<Waiting> waiting_;  // as they came
};

}  // namespace assent
