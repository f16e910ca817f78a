#include "sql_adapter/process_settings.h"

#include <sqlite3.h>

#include "base/check.h"

namespace assent::sql {

void settle_process() {
  const int books = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  const int pages = sqlite3_config(SQLITE_CONFIG_PAGECACHE, nullptr, 0, 0);
  ASSENT_CHECK(books == SQLITE_OK && pages == SQLITE_OK, "SQLite is settled before it is used");
}

}  // namespace assent::sql
