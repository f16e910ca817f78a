// MemoryStore: a shard's data in std::map, with key-value operations only. For unit tests, exploration and simulation;
// a process that ends forgets it. Copyable and comparable. Called from the loop's thread.
//
// Its change format: for each key written, the value that its author saw and the value it leaves (absent is a value
// too). Each key is a row of one table "kv": a write locks the row exclusively, a read shares it, and
// who only adds to it with escrow shares it with others who do.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "participant/store.h"

namespace assent {

class MemoryStore final : public Store, public ResourceManager {
 public:
  [[nodiscard]] Result<void> check(ByteView change) const override;
  [[nodiscard]] Result<void> install(ByteView change) override;
  [[nodiscard]] Result<std::int64_t> counter(std::string_view key) const override;
  [[nodiscard]] Result<void> add(std::string_view key, std::int64_t delta) override;
  [[nodiscard]] Result<void> put_record(const TxnId& txn, ByteView record) override;
  [[nodiscard]] Result<void> erase_record(const TxnId& txn) override;
  [[nodiscard]] Result<std::map<TxnId, Bytes>> records() const override;
  [[nodiscard]] Result<void> put_machine_record(ByteView record) override;
  [[nodiscard]] Result<Bytes> machine_record() const override;
  [[nodiscard]] Index applied() const override { return applied_; }
  void set_applied(Index index) override { applied_ = index; }
  [[nodiscard]] Result<void> checkpoint() override { return {}; }
  [[nodiscard]] Result<Bytes> snapshot() override;
  [[nodiscard]] Result<void> restore(ByteView snapshot) override;
  [[nodiscard]] Result<std::unique_ptr<Store>> image(ByteView snapshot) const override;
  [[nodiscard]] Result<std::uint64_t> digest() override;

  [[nodiscard]] tl::expected<Evaluation, Refusal> evaluate(const Work& work) override;
  [[nodiscard]] tl::expected<Evaluation, Refusal> query(const Work& work) override;
  [[nodiscard]] std::string lock_name(ByteView key) const override;

  // For tests and checkers.
  [[nodiscard]] std::optional<Bytes> get(const std::string& key) const;
  [[nodiscard]] const std::map<std::string, Bytes>& rows() const { return rows_; }
  [[nodiscard]] std::uint64_t records_put() const { return records_put_; }

  bool operator==(const MemoryStore& other) const {
    return rows_ == other.rows_ && records_ == other.records_ && machine_record_ == other.machine_record_ &&
           applied_ == other.applied_;
  }

 private:
  std::map<std::string, Bytes> rows_;
  std::map<TxnId, Bytes> records_;
  Bytes machine_record_;
  Index applied_;
  std::uint64_t records_put_ = 0;
};

}  // namespace assent
