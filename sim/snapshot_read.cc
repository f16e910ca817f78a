#include "sim/snapshot_read.h"

#include <utility>

namespace assent::sim {

void SnapshotRead::start(Client& client, std::vector<Branch> branches, unsigned rounds, Done done) {
  const std::shared_ptr<SnapshotRead> self(new SnapshotRead(client, std::move(branches), rounds, std::move(done)));
  self->read();
}

void SnapshotRead::read() {
  if (answers_.size() == branches_.size()) return validate(0);
  const Branch& branch = branches_[answers_.size()];
  client_.query(branch.shard, Query{branch.work}, [self = shared_from_this()](std::optional<QueryAnswer> answer) {
    if (!answer) return self->done_(std::nullopt);
    self->answers_.push_back(std::move(*answer));
    self->read();
  });
}

void SnapshotRead::validate(std::size_t branch) {
  if (branch == branches_.size()) {
    std::vector<BranchResult> results;
    for (std::size_t i = 0; i < branches_.size(); ++i) {
      results.push_back(BranchResult{branches_[i].shard, std::move(answers_[i].result)});
    }
    return done_(std::move(results));
  }
  Query query{branches_[branch].work};
  query.unchanged_since = answers_[branch].at;
  client_.query(branches_[branch].shard, std::move(query),
                [self = shared_from_this(), branch](const std::optional<QueryAnswer>& answer) {
                  if (!answer) return self->done_(std::nullopt);
                  if (answer->changed) return self->disturbed();
                  self->validate(branch + 1);
                });
}

void SnapshotRead::disturbed() {
  if (--rounds_ == 0) return done_(std::nullopt);
  answers_.clear();
  read();
}

}  // namespace assent::sim
