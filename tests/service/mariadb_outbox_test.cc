// The outbox in MariaDB.
#include "service/mariadb_outbox.h"

#include "tests/service/mariadb_kind.h"
#include "tests/service/outbox_contract.h"

namespace assent::service::testing {
namespace {

struct MariadbOutboxKind {
  using Place = MariadbKind;
  using Outbox = MariadbOutbox;
  static std::unique_ptr<OutboxStore> open(Place& place) {
    return std::move(MariadbOutbox::open(MariadbKind::address(place.name())).value());
  }
};
INSTANTIATE_TYPED_TEST_SUITE_P(Mariadb, OutboxContract, MariadbOutboxKind);

}  // namespace
}  // namespace assent::service::testing
