// A small application for the node's tests: a list of texts. Its "database" outlives the application object, as a file
// outlives a process.
//
//   request Execute, branch at the own group, KvPut value:   proposed; answered when applied
//   request Execute, branch at another group:                the value is sent to that group; answered at once
//   request Query:                                           a read barrier; answered with the applied index
//   a message from another group:                            noted in received
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/byte_codec.h"
#include "base/digest.h"
#include "node/application.h"

namespace assent {

struct TestDatabase {
  std::vector<Bytes> texts;
  Index applied;
  std::uint64_t restored = 0;
};

class TestApplication final : public Application {
 public:
  TestApplication(GroupId self, TestDatabase& database) : self_(self), database_(database) {}

  Result<void> apply(const Entry& entry) override {
    if (entry.payload == "poison") return fail(ErrorCode::unsupported, "a command that this build does not know");
    if (entry.payload == "broken") return fail(ErrorCode::io, "a write failed");
    database_.texts.push_back(entry.payload);
    database_.applied = entry.index;
    if (auto waiting = proposed_.find(entry.payload); waiting != proposed_.end()) {
      answer(waiting->second);
      proposed_.erase(waiting);
    }
    return {};
  }
  void skip(Index index) override { database_.applied = index; }
  [[nodiscard]] Index applied() const override { return database_.applied; }
  Result<void> batch_applied() override { return {}; }
  [[nodiscard]] Result<void> healthy() const override {
    return unwell ? Result<void>(fail(unwell_code, "a read failed")) : Result<void>();
  }

  void leadership(const Leadership& next) override {
    leading = next.self_ready;
    if (leading) return;
    for (const auto& [text, id] : proposed_) {
      if (!mute) outbox_.replies.push_back({id, fail(ErrorCode::unknown_outcome, "resigned")});
    }
    for (const auto& [read, id] : reads_) outbox_.replies.push_back({id, fail(ErrorCode::not_leader, "resigned")});
    proposed_.clear();
    reads_.clear();
  }
  void receive(GroupId from, ByteView payload) override { received.emplace_back(from, Bytes(payload)); }
  void request(const ClientRequest& request) override {
    if (const auto* execute = std::get_if<Execute>(&request.body)) {
      const Branch& branch = execute->branches.at(0);
      const Bytes& text = std::get<KvPut>(branch.work.at(0)).value;
      if (branch.shard == self_) {
        proposed_[text] = request.id;
        outbox_.proposals.push_back(text);
      } else {
        outbox_.messages.push_back({self_, branch.shard, text});
        answer(request.id);
      }
      return;
    }
    reads_[ReadId(++last_read_)] = request.id;
    outbox_.reads.emplace_back(last_read_);
  }
  void refused(const Bytes& proposal, const Error& error) override {
    outbox_.replies.push_back({proposed_.at(proposal), fail(error)});
    proposed_.erase(proposal);
  }
  void read_ready(ReadId id) override {
    QueryAnswer result;
    result.at = database_.applied;
    outbox_.replies.push_back({reads_.at(id), ClientAnswer(result)});
    reads_.erase(id);
  }
  void read_lost(ReadId id) override {
    outbox_.replies.push_back({reads_.at(id), fail(ErrorCode::not_leader, "read lost")});
    reads_.erase(id);
  }
  Result<QueryAnswer> query_stale(const Query&, std::vector<TxnId>& in_the_way) override {
    in_the_way = prepared;
    QueryAnswer answer;
    answer.at = database_.applied;
    return answer;
  }
  [[nodiscard]] bool is_prepared(const TxnId& txn) const override {
    return std::find(prepared.begin(), prepared.end(), txn) != prepared.end();
  }
  void tick() override { ++ticks; }
  [[nodiscard]] std::uint64_t rest_ticks() const override { return wants_rest; }
  Result<void> let_go() override {
    ++let_gos;
    return {};
  }
  void rested(std::uint64_t more) override { rested_ticks += more; }
  Outbox take_outbox() override { return std::exchange(outbox_, {}); }

  Result<Bytes> snapshot() override {
    Bytes out;
    ByteWriter writer(out);
    for (const Bytes& text : database_.texts) writer.bytes(text);
    return out;
  }
  [[nodiscard]] Result<void> restorable(const SnapshotMark&, ByteView data) const override {
    ByteReader in(data);
    while (in.ok() && in.remaining() > 0) static_cast<void>(in.bytes());
    if (!in.complete()) return fail(ErrorCode::corruption, "not a snapshot");
    return {};
  }
  Result<std::optional<SnapshotMade>> snapshot_step(std::size_t) override {
    if (++steps_taken < steps_of_a_snapshot) return std::optional<SnapshotMade>();
    steps_taken = 0;
    return Application::snapshot_step(0);
  }
  void drop_snapshot() override {
    steps_taken = 0;
    ++dropped;
  }
  Result<void> restore(const SnapshotMark& mark, ByteView data) override {
    database_.texts.clear();
    ByteReader in(data);
    while (in.ok() && in.remaining() > 0) database_.texts.emplace_back(in.bytes());
    if (!in.complete()) return fail(ErrorCode::corruption, "not a snapshot");
    database_.applied = mark.last.index;
    ++database_.restored;
    return {};
  }
  Result<std::uint64_t> digest() override {
    Digest digest;
    for (const Bytes& text : database_.texts) digest.add(text);
    return digest.value();
  }
  [[nodiscard]] ApplicationStatus status() const override { return {}; }

  bool leading = false;
  bool unwell = false;
  ErrorCode unwell_code = ErrorCode::io;
  bool mute = false;  // forgets its clients when it resigns
  std::uint64_t ticks = 0;
  std::uint64_t wants_rest = 0;
  std::uint64_t steps_of_a_snapshot = 1;
  std::uint64_t steps_taken = 0;
  std::uint64_t dropped = 0;  // snapshots that were given up
  std::uint64_t rested_ticks = 0;
  std::uint64_t let_gos = 0;
  std::vector<std::pair<GroupId, Bytes>> received;
  std::vector<TxnId> prepared;  // in the way of every stale read

 private:
  void answer(RequestId id) { outbox_.replies.push_back({id, ClientAnswer(TxnAnswer{})}); }

  GroupId self_;
  TestDatabase& database_;
  Outbox outbox_;
  std::map<Bytes, RequestId> proposed_;
  std::map<ReadId, RequestId> reads_;
  std::uint64_t last_read_ = 0;
};

inline ClientRequest put_request(std::uint64_t id, GroupId at, GroupId to, Bytes text) {
  Execute execute;
  execute.branches = {Branch{to, {KvPut{"key", std::move(text)}}}};
  return ClientRequest{RequestId(id), at, std::move(execute)};
}
inline ClientRequest read_request(std::uint64_t id, GroupId at) { return ClientRequest{RequestId(id), at, Query{}}; }

}  // namespace assent
