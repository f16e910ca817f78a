// All groups of a model side by side, and the rules that need more than one of them (PROTOCOL.md, docs/SIMULATION.md):
// A1 agreement, A3 validity, A6 honest answers, I1 serial results. The explorer and the crash matrix both play on it.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/explore/groups.h"

namespace assent::explore {

using GroupNumbers = std::array<std::uint32_t, groups_max>;

class Scene {
 public:
  explicit Scene(const Model& model);

  [[nodiscard]] const Model& model() const { return *model_; }
  [[nodiscard]] Language& language() { return language_; }
  [[nodiscard]] const Language& language() const { return language_; }
  [[nodiscard]] std::size_t size() const { return groups_.size(); }
  [[nodiscard]] Groups& group(std::size_t place) { return *groups_[place]; }
  [[nodiscard]] GroupNumbers initial();
  [[nodiscard]] std::size_t place_of(GroupId id) const;
  [[nodiscard]] const GroupFacts& facts(const GroupNumbers& groups, std::size_t place) const {
    return groups_[place]->facts(groups[place]);
  }
  // That any log ever held.
  [[nodiscard]] Outcomes outcomes(const GroupNumbers& groups) const;
  [[nodiscard]] bool quiescent(const GroupNumbers& groups) const;

  // What is wrong after an event of the group at place, in one sentence; empty: nothing. told: ever, now included.
  [[nodiscard]] std::string find_broken(const GroupNumbers& before, const GroupNumbers& after, std::size_t place,
                                        const Transition& transition, Outcomes told, bool aged);

  // One line for what is done, then what it does.
  void narrate(const GroupNumbers& groups, const Event& event, std::vector<std::string>& lines);

 private:
  [[nodiscard]] std::string find_contradiction(const GroupNumbers& groups, Outcomes told) const;
  [[nodiscard]] std::string find_invalid(const GroupNumbers& before, const GroupNumbers& after) const;
  [[nodiscard]] std::string find_unvoted(const GroupNumbers& before, const GroupNumbers& after,
                                         std::size_t place) const;
  [[nodiscard]] bool all_yes(const GroupNumbers& groups, std::size_t txn) const;
  [[nodiscard]] Protocol protocol(std::size_t txn) const { return effective_protocol(model_->txns[txn]); }
  // What decides it where no record of the coordinator does: every register's yes, or a majority that accepted it.
  [[nodiscard]] bool decided(const GroupNumbers& groups, std::size_t txn, bool commit) const;
  [[nodiscard]] bool majority_accepted(const GroupNumbers& groups, std::size_t txn, bool commit) const;
  [[nodiscard]] std::string find_dishonest(const GroupNumbers& groups, Outcomes told_now, bool aged) const;
  [[nodiscard]] std::string find_unserial(const GroupNumbers& groups);
  [[nodiscard]] bool serial(Outcomes committed, const GroupNumbers& groups) const;
  [[nodiscard]] std::string name(std::size_t txn) const { return language_.names.of(model_->txns[txn].txn); }
  [[nodiscard]] std::string headline(const Event& event) const;

  const Model* model_;
  Language language_;
  std::vector<GroupId> ids_;
  std::vector<std::unique_ptr<Groups>> groups_;
  std::unordered_map<std::uint64_t, bool> serial_;  // by what committed and what it saw
};

}  // namespace assent::explore
