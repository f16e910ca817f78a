// What SQLite is told once for the whole process, by programs with many databases.
#pragma once

namespace assent::sql {

// Before any database is opened, and before a second thread exists. No room for pages is set aside before there are any
// (it is some 85 KiB for each connection), and no books are kept of its memory, which every thread would wait for.
void settle_process();

}  // namespace assent::sql
