#include "tests/agent/step_proxy.h"

namespace assent::agent::testing {

void StepProxy::arm(int stop_at, bool answered) {
  requests_ = 0;
  answered_ = answered;
  stop_at_ = stop_at;
}

bool StepProxy::client_said(Link& link, std::string_view bytes) {
  if (!link.asked && ++requests_ == stop_at_) {
    passed_ = answered_;
    frozen_ = !answered_;
    if (frozen_) return true;
  }
  link.asked = true;
  return send_all(link.server, bytes);
}

bool StepProxy::server_said(Link& link, std::string_view bytes) {
  link.asked = false;
  frozen_ = passed_;
  return frozen_ || send_all(link.client, bytes);
}

void StepProxy::turn() {
  if (!cut_.exchange(false)) return;
  close_all();
  passed_ = false;
  stop_at_ = 0;
  frozen_ = false;
}

}  // namespace assent::agent::testing
