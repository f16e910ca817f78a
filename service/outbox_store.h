// The transactional outbox: messages that stand in a service's own database, put there by the local transaction that
// they belong to, and are sent because it committed.
//
//   BEGIN;  ... the service's work ...;  SqliteOutbox::put(connection, outbox_message({...}));  COMMIT;
//
// A message is calls of services, made as one transaction of the cluster by an OutboxRelay (outbox.h). So it is sent if
// and only if the local transaction committed, takes effect at each of the services once, and at all of them or at
// none. Nothing is asked back of the service that sent it: its own table says what it sent.
//
// What a store is to the relay. Safe from one thread at a time; several processes may relay from one database.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace assent::service {

inline constexpr const char* outbox_table = "assent_outbox";

struct OutboxRow {
  std::int64_t sequence = 0;  // in the order of the local transactions' writes, not of their commits
  std::string txn_id;         // 32 hex digits of the transaction that sends it; empty: none was begun
  Bytes message;

  bool operator==(const OutboxRow&) const = default;
};

class OutboxStore {
 public:
  virtual ~OutboxStore() = default;

  // At most so many, by their sequence, from the one after on.
  [[nodiscard]] virtual Result<std::vector<OutboxRow>> rows_after(std::int64_t sequence, std::size_t most) = 0;
  // Before a transaction is begun under that id, durably. False when the row has another id than the old one by now, or
  // is gone: another process relays as well.
  [[nodiscard]] virtual Result<bool> assign(const OutboxRow& row, const std::string& txn_id) = 0;
  // It is sent. A row that is gone is none's trouble.
  [[nodiscard]] virtual Result<void> remove(const OutboxRow& row) = 0;
};

}  // namespace assent::service
