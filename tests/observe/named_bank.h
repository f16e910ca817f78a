// The bank of recording_bank.h as the dashboard's API tells of it: what its nodes recorded of one transaction, with the
// numbers that the directory gives to the groups' names; the bank numbers them by hand.
#pragma once

#include <string>
#include <vector>

#include "observe/record_codec.h"
#include "tests/observe/recording_bank.h"

namespace assent {

class NamedBank : public RecordingBank {
 protected:
  NamedBank() {
    EXPECT_TRUE(names_.add("c0", GroupKind::coordinator));
    EXPECT_TRUE(names_.add("s1", GroupKind::shard));
    EXPECT_TRUE(names_.add("s2", GroupKind::shard));
  }
  // Of all nodes that know it, as if it were now.
  std::vector<v1::TxnRecord> records_of(const TxnId& txn) {
    std::vector<v1::TxnRecord> records;
    for (const NodeId node : nodes()) {
      const TxnRecord* found = recorders_.at(node)->find(txn);
      if (found == nullptr) continue;
      TxnRecord record = *found;
      record.coordinator = as_named(record.coordinator);
      record.refused_by = as_named(record.refused_by);
      for (GroupId& one : record.participants) one = as_named(one);
      for (TxnStep& step : record.steps) {
        step.at = as_named(step.at);
        step.peer = as_named(step.peer);
      }
      records.push_back(record_to_api(record, {names_, "n" + std::to_string(node.value)}, clock_.micros));
    }
    return records;
  }

  GroupDirectory names_;

 private:
  static GroupId as_named(GroupId id) {
    if (id == c0) return group_id("c0");
    if (id == s1) return group_id("s1");
    return id == s2 ? group_id("s2") : id;
  }
};

}  // namespace assent
