// Reads and writes of single items in transactions of one to eight operations over several shards, some items hot and
// most cold: `append` (lists that are only appended to) and `register` (numbers that are overwritten). Every value is
// used once, so that a read tells which transaction it saw. The workload knows no rules: its history is judged for
// strict serializability (check/judge.h).
//
// In SQL an append is one statement. Keys have no append: there the new list is put under the condition that the list
// is still as it was last seen (KvExpect); an append that lost its race aborts, and the list is read before the next
// one.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sim/workload.h"

namespace assent::sim {

enum class ItemKind : std::uint8_t { list, number };

class ItemsWorkload final : public Workload {
 public:
  ItemsWorkload(const Scene& scene, ItemKind kind);

  [[nodiscard]] std::vector<Work> opening(GroupId shard) override;
  [[nodiscard]] Deed next(unsigned client, Rng& rng) override;
  [[nodiscard]] std::optional<Deed> last(std::size_t step) override;
  void audit() override {}
  [[nodiscard]] bool judged_by_history() const override { return true; }

 private:
  using Item = std::uint64_t;  // item i lives on shard i % shards
  struct Step {
    Item item = 0;
    bool write = false;
    std::int64_t value = 0;
  };
  // One attempt: what it does, ascending by shard, and what each shard's work looks like.
  struct Draft {
    std::vector<Step> steps;
    std::map<Item, std::string> put;  // lists in keys: what each is after the attempt
  };

  [[nodiscard]] bool sql() const { return scene_.swarm.backend == Backend::sql; }
  [[nodiscard]] GroupId shard_of(Item item) const { return scene_.shards[item % scene_.shards.size()]; }
  [[nodiscard]] std::string name_of(Item item) const;
  [[nodiscard]] Item draw_item(Rng& rng);
  [[nodiscard]] Transaction transaction(std::vector<Step> steps);
  [[nodiscard]] Question question(GroupId shard, const std::vector<Item>& items, bool must_be_answered);
  [[nodiscard]] std::vector<Branch> begin(Draft& draft);
  void add_operations(Work& work, const Step& step, Draft& draft) const;
  void ended(const Draft& draft, const Ended& ended);
  [[nodiscard]] std::vector<check::Micro> micros(const std::vector<Step>& steps,
                                                 const std::map<GroupId, const WorkResult*>& results);
  [[nodiscard]] check::Value read(Item item, const OperationResult& result);

  Scene scene_;
  ItemKind kind_;
  std::int64_t last_value_ = 0;
  std::size_t hot_;
  std::vector<Item> active_;  // the hot ones first; a list that has become long makes way for a fresh one
  std::map<Item, unsigned> writes_;
  Item fresh_ = 0;
  std::map<Item, std::string> seen_;  // lists in keys, as last seen
  std::set<Item> stale_;              // that are not so any more
};

}  // namespace assent::sim
