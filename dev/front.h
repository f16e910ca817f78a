// The http port of a development cluster: the dashboard, which stays there when nodes are killed, what it asks of nodes
// handed on to one that runs, and what is done to the cluster by its buttons.
//
//   GET  /api/v1/dev                      nodes, faults, the bank
//   POST /api/v1/dev/kill|restart|isolate|slow   {"node": "n1"}; with the token that was printed at the start
//   POST /api/v1/dev/heal|bank            {}; bank: stops it, or lets it go on
//
// Everything else under /api/v1 is answered by a node.
#pragma once

#include <memory>
#include <string>

#include "dev/bank.h"
#include "dev/nodes.h"
#include "server/admin_tokens.h"
#include "server/http_port.h"

namespace assent::dev {

class Front {
 public:
  // All of it outlives this.
  Front(Nodes& nodes, Bank& bank, std::string token, AdminTokens tokens);
  [[nodiscard]] Result<void> start(const Endpoint& listen);
  void stop() { http_.stop(); }

 private:
  void add_routes();
  void hand_on(const char* pattern, std::vector<std::string> parameters);
  void hand_on_action(const char* pattern);
  [[nodiscard]] HttpAnswer ask(const std::string& path) const;
  [[nodiscard]] HttpAnswer act(const std::string& path, const HttpRequest& request) const;
  [[nodiscard]] HttpStream stream(const HttpRequest& request) const;
  [[nodiscard]] HttpAnswer state() const;

  Nodes& nodes_;
  Bank& bank_;
  const std::string token_;
  const AdminTokens tokens_;
  HttpPort http_;
};

// What a button or a key does; the sentence is for a person.
[[nodiscard]] Result<std::string> act_on(Nodes& nodes, Bank& bank, const std::string& action, const std::string& node);

}  // namespace assent::dev
