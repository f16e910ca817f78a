#include "sim/interaction.h"

#include <utility>

namespace assent::sim {
namespace {

// Where what it must answer again is to stand; nullptr: it reads nothing.
std::optional<std::uint64_t>* expected_of(Operation& operation) {
  if (auto* get = std::get_if<KvGet>(&operation)) return &get->expected;
  auto* statement = std::get_if<SqlStatement>(&operation);
  return statement != nullptr && statement->text.starts_with("SELECT") ? &statement->expected : nullptr;
}

}  // namespace

Interaction::Interaction(Client& client, std::vector<Branch> branches, Done done)
    : client_(client), wanted_{std::move(branches), {}}, done_(std::move(done)) {
  for (const Branch& branch : wanted_.branches) {
    wanted_.seen.push_back(BranchResult{branch.shard, WorkResult(branch.work.size())});
  }
}

void Interaction::start(Client& client, std::vector<Branch> branches, Done done) {
  const std::shared_ptr<Interaction> self(new Interaction(client, std::move(branches), std::move(done)));
  self->go_on();
}

// To the next read.
void Interaction::go_on() {
  while (branch_ < wanted_.branches.size()) {
    Work& work = wanted_.branches[branch_].work;
    Work rehearsed;
    for (; operation_ < work.size(); ++operation_) {
      if (expected_of(work[operation_]) != nullptr) break;
    }
    if (operation_ == work.size()) {
      ++branch_;
      operation_ = 0;
      continue;
    }
    for (std::size_t i = 0; i < operation_; ++i) {
      if (expected_of(work[i]) == nullptr) rehearsed.push_back(work[i]);
    }
    rehearsed.push_back(work[operation_]);
    Query query{std::move(rehearsed)};
    query.rehearse = true;
    return client_.query(wanted_.branches[branch_].shard, std::move(query),
                         [self = shared_from_this()](std::optional<QueryAnswer> answer) { self->answered(answer); });
  }
  done_(std::move(wanted_));
}

void Interaction::answered(std::optional<QueryAnswer> answer) {
  if (!answer || answer->result.empty() || answer->digests.size() != answer->result.size()) return done_(std::nullopt);
  *expected_of(wanted_.branches[branch_].work[operation_]) = answer->digests.back();
  wanted_.seen[branch_].result[operation_] = std::move(answer->result.back());
  ++operation_;
  go_on();
}

}  // namespace assent::sim
