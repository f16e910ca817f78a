// The dependency graph of a history, and its cycles. Nodes are transactions; an edge says that one comes before the
// other in any serial order, and why:
//
//   ww   the second replaced or followed what the first wrote
//   wr   the second read what the first wrote
//   rw   the first did not see what the second wrote
//   real time   the first had ended before the second began
//
// So that the graph stays near-linear in the history's size, edges may run through virtual nodes ("everything that had
// ended here" before "everything that begins from here on"): the edge into the first virtual node says why, the steps
// that follow only pass it on and count as part of the same edge.
//
// A cycle is named by its worst part that is there (Adya 1999; Kingsbury & Alvaro, Elle, 2020):
//   G0             only ww
//   G1c            ww and wr
//   G-single       exactly one rw
//   G-nonadjacent  several rw, no two in a row
//   G2-item        any other
// with "-realtime" added when the cycle needs real time: the history is then serializable so far, but not strictly.
//
// Strongly connected components by Tarjan 1972; in each the shortest cycle of the strongest name. Deterministic.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace assent::check {

enum class EdgeKind : std::uint8_t {
  ww,
  wr,
  rw,
  real_time,
  pass,            // from a virtual node
  pass_real_time,  // the same, where the order that it stands for is known from real time alone
};

using Node = std::uint32_t;

struct Edge {
  Node from = 0;
  Node to = 0;
  EdgeKind kind = EdgeKind::ww;
  // For words: the key, and what the edge is about: of ww what the first wrote, of wr what was read, of rw (or of the
  // step that passes it on) what was not seen.
  std::uint32_t key = 0;
  std::int64_t value = 0;
};

class Graph {
 public:
  explicit Graph(std::size_t transactions) : transactions_(transactions), nodes_(transactions) {}

  [[nodiscard]] Node add_virtual() { return static_cast<Node>(nodes_++); }
  // An edge of a node to itself is left out.
  void add(const Edge& edge) {
    if (edge.from != edge.to) edges_.push_back(edge);
  }

  [[nodiscard]] std::size_t nodes() const { return nodes_; }
  [[nodiscard]] bool is_virtual(Node node) const { return node >= transactions_; }
  [[nodiscard]] const std::vector<Edge>& edges() const { return edges_; }

 private:
  std::size_t transactions_;
  std::size_t nodes_;
  std::vector<Edge> edges_;
};

// One dependency between two transactions, virtual nodes left out: `first` says why, `to` is the transaction at its
// end.
struct Step {
  Edge first;
  Node to = 0;
  std::int64_t unseen = 0;  // of an rw
  bool through_real_time = false;
};
using Cycle = std::vector<Step>;  // the last step ends where the first begins

struct Cycles {
  std::vector<Cycle> found;    // one of each component, the first ones
  std::size_t components = 0;  // with cycles
  bool gave_up = false;        // on finding the shortest: a component has a cycle, but the budget ended
};

struct CycleLimits {
  std::size_t cycles_max = 20;
  std::uint64_t steps_max = 20'000'000;  // of all searches together
};

[[nodiscard]] Cycles find_cycles(const Graph& graph, const CycleLimits& limits = {});
[[nodiscard]] std::string name_of(const Cycle& cycle);

}  // namespace assent::check
