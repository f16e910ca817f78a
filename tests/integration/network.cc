#include "tests/integration/network.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <thread>

#include "tests/integration/cluster.h"

namespace assent::testing {

namespace {

constexpr std::string_view ip = "/bin/ip";
constexpr int rule_preference = 100;  // before the rules that there always are

std::string trouble(std::string_view what) { return fmt::format("{}: {}", what, std::strerror(errno)); }

// Runs iproute2 on these lines, in the namespace of the calling thread; what it complained of.
std::optional<std::string> configure(const std::vector<std::string>& lines) {
  const TestFolder folder("network");
  const auto file = folder.path() / "batch";
  {
    std::ofstream out(file);
    for (const std::string& line : lines) out << line << '\n';
  }
  const CommandResult result = run_command({std::string(ip), "-batch", file.string()});
  if (result.status == 0) return std::nullopt;
  return fmt::format("{} (of the Debian package iproute2) ended with {}: {}", ip, result.status, result.output);
}

bool write_to(const std::string& file, std::string_view text) {
  std::ofstream out(file);
  out << text << std::flush;
  return out.good();
}

// As root of a user namespace, whoever we are outside.
std::optional<std::string> become_root_and_unshare() {
  const std::string user = fmt::format("0 {} 1\n", ::geteuid());
  const std::string group = fmt::format("0 {} 1\n", ::getegid());
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return trouble("no network namespace and no user namespace");
  if (!write_to("/proc/self/setgroups", "deny") || !write_to("/proc/self/uid_map", user) ||
      !write_to("/proc/self/gid_map", group)) {
    return "a user namespace whose ids may not be mapped";
  }
  return std::nullopt;
}

std::optional<std::string> enter() {
  if (::unshare(CLONE_NEWNET) != 0) {
    if (auto why = become_root_and_unshare()) return why;
  }
  if (!write_to("/proc/sys/net/ipv4/ip_forward", "1")) return "a network namespace that may not forward";
  const auto failed = configure({"link set dev lo up"});
  EXPECT_FALSE(failed) << *failed;
  return std::nullopt;
}

}  // namespace

Cuts one_way(const Nodes& some, const Nodes& others) {
  Cuts cuts;
  for (const std::string& from : some) {
    for (const std::string& to : others) {
      if (from != to) cuts.emplace(from, to);
    }
  }
  return cuts;
}

Cuts apart(const Nodes& some, const Nodes& others) {
  Cuts cuts = one_way(some, others);
  cuts.merge(one_way(others, some));
  return cuts;
}

Cuts all_but(const Nodes& nodes, const std::vector<std::pair<std::string, std::string>>& links) {
  Cuts cuts = one_way(nodes, nodes);
  for (const auto& [a, b] : links) {
    cuts.erase({a, b});
    cuts.erase({b, a});
  }
  return cuts;
}

const std::optional<std::string>& Network::refusal() {
  static const std::optional<std::string> why = enter();
  return why;
}

Network::Network(const Nodes& nodes) {
  for (const std::string& node : nodes) {
    const auto [place, added] = places_.try_emplace(node, Place{places_.size() + 1});
    // A namespace belongs to a thread; the descriptor keeps it when the thread is gone.
    std::thread([&, made = &place->second] {
      if (::unshare(CLONE_NEWNET) != 0) {
        ADD_FAILURE() << trouble("no further network namespace");
        return;
      }
      made->name_space = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
      join(node, *made);
    }).join();
    const auto failed = configure({fmt::format("address add 10.77.{}.1/24 dev {}", place->second.number, node),
                                   fmt::format("link set dev {} up", node)});
    EXPECT_FALSE(failed) << *failed;
  }
}

// Called in the node's namespace.
void Network::join(const std::string& node, const Place& place) const {
  const auto failed = configure(
      {"link set dev lo up", fmt::format("link add name eth0 type veth peer name {} netns {}", node, ::getpid()),
       fmt::format("address add 10.77.{}.2/24 dev eth0", place.number), "link set dev eth0 up",
       fmt::format("route add default via 10.77.{}.1", place.number)});
  EXPECT_FALSE(failed) << *failed;
}

Network::~Network() {
  heal();
  std::vector<std::string> lines;
  for (const auto& [node, place] : places_) lines.push_back(fmt::format("link delete dev {}", node));
  const auto failed = configure(lines);
  EXPECT_FALSE(failed) << *failed;
  for (const auto& [node, place] : places_) ::close(place.name_space);
}

std::string Network::address_of(std::string_view node) const {
  return fmt::format("10.77.{}.2", places_.find(node)->second.number);
}

std::map<std::string, std::string> Network::addresses() const {
  std::map<std::string, std::string> all;
  for (const auto& [node, place] : places_) all[node] = address_of(node);
  return all;
}

std::vector<std::string> Network::runner_of(std::string_view node) const {
  return {"/usr/bin/setpriv", "--pdeathsig", "KILL", "/usr/bin/nsenter",
          fmt::format("--net=/proc/{}/fd/{}", ::getpid(), places_.find(node)->second.name_space)};
}

void Network::cut(const Cuts& more) {
  std::vector<std::string> lines;
  for (const auto& [from, to] : more) {
    lines.push_back(fmt::format("rule add preference {} from {} to {} blackhole", rule_preference, address_of(from),
                                address_of(to)));
  }
  const auto failed = configure(lines);
  EXPECT_FALSE(failed) << *failed;
}

void Network::heal() {
  const auto failed = configure({fmt::format("rule flush preference {}", rule_preference)});
  EXPECT_FALSE(failed) << *failed;
}

}  // namespace assent::testing
