// The dashboard's files.
#include <fmt/format.h>

#include "base/digest.h"
#include "dashboard/assets.h"
#include "server/http_routes.h"

namespace assent {

namespace {

HttpAnswer answer_of(const DashboardAsset& asset) {
  return {.status = 200,
          .type = std::string(asset.content_type),
          .body = std::string(asset.bytes),
          .cache = asset.immutable ? "public, max-age=31536000, immutable" : "no-cache",
          .tag = fmt::format("{:016x}", xxh3(asset.bytes))};
}

}  // namespace

void add_dashboard_routes(HttpPort& port) {
  for (const DashboardAsset& asset : dashboard_assets()) {
    port.route(asset.path, {}, [&asset](const HttpRequest&) { return answer_of(asset); });
  }
  if (const DashboardAsset* index = find_dashboard_asset("/")) {
    port.route("/", {}, [index](const HttpRequest&) { return answer_of(*index); });
  }
}

}  // namespace assent
