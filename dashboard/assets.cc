#include "dashboard/assets.h"

#include <algorithm>

namespace assent {

const DashboardAsset* find_dashboard_asset(std::string_view path) {
  if (path == "/") path = "/index.html";
  const std::span<const DashboardAsset> all = dashboard_assets();
  const auto found = std::find_if(all.begin(), all.end(), [&](const DashboardAsset& one) { return one.path == path; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace assent
