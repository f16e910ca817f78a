// What the agent reads of the barrier's registers, from the rows of either kind of database. Internal to agent/. Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "agent/database.h"
#include "base/result.h"
#include "service/tables.h"

namespace assent::agent {

// Of "branch, state, epoch, number".
template <class Rows>
[[nodiscard]] Result<std::vector<KnownRegister>> registers_from(const Rows& rows) {
  std::vector<KnownRegister> out;
  for (int i = 0; i < rows.count(); ++i) {
    service::RegisterRow row;
    row.state = rows.text(i, 1);
    row.epoch = rows.number_or_null(i, 2);
    row.number = rows.number_or_null(i, 3);
    const auto read = service::from_row(std::move(row));
    if (!read) return fail(read.error());
    out.push_back({rows.text(i, 0), read->state, read->attempt});
  }
  return out;
}

// Of "txn_id, branch, epoch, number, gid", where a marker is seen and the register says prepared.
template <class Rows>
[[nodiscard]] Result<std::vector<Unrecorded>> unrecorded_from(const Rows& rows) {
  std::vector<Unrecorded> out;
  for (int i = 0; i < rows.count(); ++i) {
    auto one = service::in_doubt_from(rows.text(i, 0), rows.text(i, 1), rows.number(i, 2), rows.number(i, 3), "", 0);
    if (!one) return fail(one.error());
    const auto gid = gid_from(rows.text(i, 4));
    if (gid && gid->attempt == one->attempt) out.push_back({std::move(one->key), one->attempt});
  }
  return out;
}

}  // namespace assent::agent
