// A network for the nodes of a test: each node in a network namespace of its own, joined by a cable (veth) to the
// namespace that this process moves into, which forwards between them like a router and drops what goes from one node
// to another when it is told to, in each direction by itself. What goes between this process and the nodes always
// arrives: clients see every node.
//
// Made with iproute2, as root or where the kernel lets everybody make user namespaces. Nothing of it has a name outside
// or outlives this process and the nodes, however they end. Not thread-safe.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace assent::testing {

// What cannot pass: from the first to the second, and by itself not the other way.
using Cuts = std::set<std::pair<std::string, std::string>>;
using Nodes = std::vector<std::string>;
// Between each of some and each of others, in both directions.
[[nodiscard]] Cuts apart(const Nodes& some, const Nodes& others);
// From each of some to each of others.
[[nodiscard]] Cuts one_way(const Nodes& some, const Nodes& others);
// All but these links, each good for both directions.
[[nodiscard]] Cuts all_but(const Nodes& nodes, const std::vector<std::pair<std::string, std::string>>& links);

class Network {
 public:
  // Moves this process into a network namespace of its own, at the first call, which must come before any thread is
  // made. Why the machine refuses that, when it does.
  [[nodiscard]] static const std::optional<std::string>& refusal();

  // At most 250 nodes. refusal() was asked and there is none.
  explicit Network(const Nodes& nodes);
  ~Network();  // the nodes must have ended
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  [[nodiscard]] std::string address_of(std::string_view node) const;
  [[nodiscard]] std::map<std::string, std::string> addresses() const;
  // What a process that is to live at the node is run by; it ends with this process.
  [[nodiscard]] std::vector<std::string> runner_of(std::string_view node) const;

  // These are cut from now on, besides those that are already.
  void cut(const Cuts& more);
  void heal();

 private:
  struct Place {
    std::size_t number = 0;
    int name_space = -1;  // keeps it alive
  };
  void join(const std::string& node, const Place& place) const;

  std::map<std::string, Place, std::less<>> places_;
};

}  // namespace assent::testing
