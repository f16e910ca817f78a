#include "tests/integration/proxy.h"

namespace assent::testing {

Proxy::Proxy(const std::string& target)
    : Forwarder(static_cast<std::uint16_t>(std::stoi(target.substr(target.rfind(':') + 1)))) {
  begin();
}

bool Proxy::client_said(Link& link, std::string_view bytes) {
  if (!send_all(link.server, bytes)) return false;
  if (cut_in_ < 0) return true;
  if ((cut_in_ -= static_cast<std::int64_t>(bytes.size())) >= 0) return true;
  cut_in_ = -1;
  ++cuts_;
  return false;
}

}  // namespace assent::testing
