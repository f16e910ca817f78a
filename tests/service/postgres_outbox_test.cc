// The outbox in PostgreSQL.
#include "service/postgres_outbox.h"

#include "tests/service/outbox_contract.h"
#include "tests/service/postgres_kind.h"

namespace assent::service::testing {
namespace {

struct PostgresOutboxKind {
  using Place = PostgresKind;
  using Outbox = PostgresOutbox;
  static std::unique_ptr<OutboxStore> open(Place& place) {
    return std::move(PostgresOutbox::open(PostgresKind::conninfo(place.name())).value());
  }
};
INSTANTIATE_TYPED_TEST_SUITE_P(Postgres, OutboxContract, PostgresOutboxKind);

}  // namespace
}  // namespace assent::service::testing
