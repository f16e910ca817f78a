// The dashboard's built files, as they stand in dashboard/dist: a table made at build time, without Node.
//
// What it is not: the http server. server/ answers with what it finds here. Any thread may ask: the table is constant.
// Invariants: there is an index.html; paths begin with a slash and are unique; bytes are those of dist.
#pragma once

#include <span>
#include <string_view>

namespace assent {

struct DashboardAsset {
  std::string_view path;          // "/index.html", "/assets/index-1a2b3c4d.js"
  std::string_view content_type;  // with the charset where there is one
  std::string_view etag;          // in its quotes; changes with the bytes
  std::string_view bytes;
  bool immutable = false;  // its name changes with its bytes: it may be kept for ever
};

[[nodiscard]] std::span<const DashboardAsset> dashboard_assets();

// "/" is the index. nullptr: there is no such file; the path is compared, never opened.
[[nodiscard]] const DashboardAsset* find_dashboard_asset(std::string_view path);

}  // namespace assent
