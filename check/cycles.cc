#include "check/cycles.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <unordered_map>

namespace assent::check {
namespace {

constexpr std::uint32_t none = UINT32_MAX;

constexpr unsigned bit(EdgeKind kind) { return 1U << static_cast<unsigned>(kind); }
constexpr unsigned ww_only = bit(EdgeKind::ww) | bit(EdgeKind::pass);
constexpr unsigned ww_wr = ww_only | bit(EdgeKind::wr);
constexpr unsigned item_edges = ww_wr | bit(EdgeKind::rw);
constexpr unsigned time_edges = bit(EdgeKind::real_time) | bit(EdgeKind::pass_real_time);

// How rw edges may appear in a cycle that is looked for.
enum class Rule : std::uint8_t { any, one_rw, no_adjacent_rw };

struct Level {
  unsigned kinds;
  Rule rule;
};
// From the strongest name down; first without real time, then with it.
constexpr Level levels[] = {{ww_only, Rule::any},
                            {ww_wr, Rule::any},
                            {item_edges, Rule::one_rw},
                            {item_edges, Rule::no_adjacent_rw},
                            {item_edges, Rule::any},
                            {ww_only | time_edges, Rule::any},
                            {ww_wr | time_edges, Rule::any},
                            {item_edges | time_edges, Rule::one_rw},
                            {item_edges | time_edges, Rule::no_adjacent_rw},
                            {item_edges | time_edges, Rule::any}};

bool passes(EdgeKind kind) { return kind == EdgeKind::pass || kind == EdgeKind::pass_real_time; }

// The edges by the node that they leave.
class Adjacency {
 public:
  explicit Adjacency(const Graph& graph) : edges_(graph.edges()), first_(graph.nodes() + 1) {
    for (const Edge& edge : edges_) ++first_[edge.from + 1];
    for (std::size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
    order_.resize(edges_.size());
    std::vector<std::uint32_t> next(first_.begin(), first_.end() - 1);
    for (std::uint32_t i = 0; i < edges_.size(); ++i) order_[next[edges_[i].from]++] = i;
  }
  [[nodiscard]] std::uint32_t begin(Node node) const { return first_[node]; }
  [[nodiscard]] std::uint32_t end(Node node) const { return first_[node + 1]; }
  [[nodiscard]] std::uint32_t edge_index(std::uint32_t at) const { return order_[at]; }
  [[nodiscard]] const Edge& at(std::uint32_t at) const { return edges_[order_[at]]; }

 private:
  const std::vector<Edge>& edges_;
  std::vector<std::uint32_t> first_;
  std::vector<std::uint32_t> order_;
};

// Tarjan's components of more than one transaction, over the edges of some kinds among some nodes; iterative.
class Components {
 public:
  Components(const Graph& graph, const Adjacency& adjacency, unsigned kinds)
      : graph_(graph),
        adjacency_(adjacency),
        kinds_(kinds),
        index_(graph.nodes(), none),
        low_(graph.nodes()),
        on_stack_(graph.nodes()) {}

  // label, when given, restricts to the nodes that carry `wanted`.
  std::vector<std::vector<Node>> of(const std::vector<Node>& nodes, const std::vector<std::uint32_t>* label,
                                    std::uint32_t wanted) {
    label_ = label;
    wanted_ = wanted;
    for (const Node node : nodes) {
      if (index_[node] == none) visit(node);
    }
    return std::move(out_);
  }

 private:
  struct Frame {
    Node node;
    std::uint32_t at;
  };

  void enter(Node node) {
    index_[node] = low_[node] = next_++;
    stack_.push_back(node);
    on_stack_[node] = true;
    frames_.push_back({node, adjacency_.begin(node)});
  }

  void visit(Node root) {
    enter(root);
    while (!frames_.empty()) {
      Frame& frame = frames_.back();
      if (frame.at == adjacency_.end(frame.node)) {
        leave();
        continue;
      }
      const Edge& edge = adjacency_.at(frame.at++);
      if ((kinds_ & bit(edge.kind)) == 0 || (label_ != nullptr && (*label_)[edge.to] != wanted_)) continue;
      if (index_[edge.to] == none) {
        enter(edge.to);
      } else if (on_stack_[edge.to]) {
        low_[edge.from] = std::min(low_[edge.from], index_[edge.to]);
      }
    }
  }

  void leave() {
    const Node node = frames_.back().node;
    frames_.pop_back();
    if (!frames_.empty()) low_[frames_.back().node] = std::min(low_[frames_.back().node], low_[node]);
    if (low_[node] != index_[node]) return;
    std::vector<Node> component;
    Node member = none;
    do {
      member = stack_.back();
      stack_.pop_back();
      on_stack_[member] = false;
      component.push_back(member);
    } while (member != node);
    const auto real = std::count_if(component.begin(), component.end(), [&](Node n) { return !graph_.is_virtual(n); });
    if (real < 2) return;
    std::sort(component.begin(), component.end());
    out_.push_back(std::move(component));
  }

  const Graph& graph_;
  const Adjacency& adjacency_;
  unsigned kinds_;
  const std::vector<std::uint32_t>* label_ = nullptr;
  std::uint32_t wanted_ = 0;
  std::vector<std::uint32_t> index_;
  std::vector<std::uint32_t> low_;
  std::vector<char> on_stack_;
  std::vector<Node> stack_;
  std::vector<Frame> frames_;
  std::uint32_t next_ = 0;
  std::vector<std::vector<Node>> out_;
};

// Looks for the shortest cycle of one kind within one component.
class Search {
 public:
  Search(const Graph& graph, const Adjacency& adjacency, std::uint64_t& steps_left)
      : graph_(graph), adjacency_(adjacency), steps_left_(steps_left) {}

  std::optional<Cycle> shortest(const std::vector<Node>& component, const Level& level,
                                const std::vector<std::uint32_t>& label, std::uint32_t wanted) {
    std::optional<Cycle> best;
    for (const Node node : component) {
      if (graph_.is_virtual(node)) continue;
      if (steps_left_ == 0 || (best && best->size() == 2)) break;
      std::optional<Cycle> cycle =
          through(node, level, label, wanted, best ? static_cast<std::uint32_t>(best->size()) : none);
      if (cycle && (!best || cycle->size() < best->size())) best = std::move(cycle);
    }
    return best;
  }

 private:
  // A state of the breadth-first search: a node, and whether the dependency that led there is an rw.
  using State = std::uint64_t;
  static State state_of(Node node, bool after_rw) { return (std::uint64_t{node} << 1U) | (after_rw ? 1U : 0U); }
  struct Reached {
    State from;
    std::uint32_t edge;  // index into the graph's edges
    std::uint32_t length;
  };

  // Breadth-first with steps of length 0 (passing on) and 1, from start back to start. In cycles by rule the first edge
  // is an rw, so that the last one must not be.
  std::optional<Cycle> through(Node start, const Level& level, const std::vector<std::uint32_t>& label,
                               std::uint32_t wanted, std::uint32_t shorter_than) {
    reached_.clear();
    std::deque<State> queue;
    const auto leave = [&](State state, std::uint32_t length, bool first) -> std::optional<Cycle> {
      const Node node = static_cast<Node>(state >> 1U);
      const bool after_rw = (state & 1U) != 0;
      for (std::uint32_t at = adjacency_.begin(node); at < adjacency_.end(node) && steps_left_ > 0; ++at) {
        --steps_left_;
        const Edge& edge = adjacency_.at(at);
        if ((level.kinds & bit(edge.kind)) == 0 || label[edge.to] != wanted) continue;
        const bool pass = passes(edge.kind);
        const bool rw = edge.kind == EdgeKind::rw;
        if (level.rule != Rule::any && first && !rw) continue;
        if (level.rule == Rule::one_rw && !first && rw) continue;
        if (level.rule == Rule::no_adjacent_rw && !first && !pass && rw && after_rw) continue;
        const bool next_rw = pass ? after_rw : rw;
        const std::uint32_t next_length = length + (pass ? 0 : 1);
        if (next_length >= shorter_than) continue;
        if (edge.to == start) {
          if (next_length < 2 || (level.rule != Rule::any && next_rw)) continue;
          return unwind(state, adjacency_.edge_index(at), start);
        }
        const State next = state_of(edge.to, next_rw);
        const auto known = reached_.find(next);
        if (known != reached_.end() && known->second.length <= next_length) continue;
        reached_[next] = {state, adjacency_.edge_index(at), next_length};
        if (pass) {
          queue.push_front(next);
        } else {
          queue.push_back(next);
        }
      }
      return std::nullopt;
    };
    if (auto cycle = leave(state_of(start, false), 0, true)) return cycle;
    while (!queue.empty() && steps_left_ > 0) {
      const State state = queue.front();
      queue.pop_front();
      if (auto cycle = leave(state, reached_.at(state).length, false)) return cycle;
    }
    return std::nullopt;
  }

  Cycle unwind(State last, std::uint32_t closing, Node start) const {
    std::vector<const Edge*> edges{&graph_.edges()[closing]};
    for (State state = last; static_cast<Node>(state >> 1U) != start;) {
      const Reached& step = reached_.at(state);
      edges.push_back(&graph_.edges()[step.edge]);
      state = step.from;
    }
    std::reverse(edges.begin(), edges.end());
    Cycle cycle;
    for (const Edge* edge : edges) {
      if (passes(edge->kind)) {
        cycle.back().through_real_time |= edge->kind == EdgeKind::pass_real_time;
      } else {
        cycle.push_back({*edge, edge->to, 0, false});
      }
      cycle.back().to = edge->to;
      cycle.back().unseen = edge->value;
    }
    return simple(std::move(cycle));
  }

  // A walk that meets a transaction twice contains a smaller cycle: that one.
  static Cycle simple(Cycle walk) {
    for (std::size_t begin = 0; begin < walk.size(); ++begin) {
      for (std::size_t end = begin; end + 1 < walk.size(); ++end) {
        if (walk[end].to != walk[begin].first.from || end == begin) continue;
        return simple(Cycle(walk.begin() + static_cast<std::ptrdiff_t>(begin),
                            walk.begin() + static_cast<std::ptrdiff_t>(end) + 1));
      }
    }
    return walk;
  }

  const Graph& graph_;
  const Adjacency& adjacency_;
  std::uint64_t& steps_left_;
  std::unordered_map<State, Reached> reached_;
};

std::optional<Cycle> strongest_cycle(const Graph& graph, const Adjacency& adjacency, const std::vector<Node>& component,
                                     std::vector<std::uint32_t>& label, std::uint32_t mark, std::uint64_t& steps_left) {
  for (const Level& level : levels) {
    for (const Node node : component) label[node] = mark;
    Components inner(graph, adjacency, level.kinds);
    for (const std::vector<Node>& part : inner.of(component, &label, mark)) {
      const std::uint32_t inner_mark = mark + 1;
      for (const Node node : part) label[node] = inner_mark;
      std::optional<Cycle> cycle = Search(graph, adjacency, steps_left).shortest(part, level, label, inner_mark);
      for (const Node node : part) label[node] = mark;
      if (cycle) return cycle;
    }
  }
  return std::nullopt;
}

}  // namespace

Cycles find_cycles(const Graph& graph, const CycleLimits& limits) {
  Cycles out;
  const Adjacency adjacency(graph);
  std::vector<Node> all(graph.nodes());
  for (Node node = 0; node < all.size(); ++node) all[node] = node;
  Components components(graph, adjacency, item_edges | time_edges);
  std::vector<std::uint32_t> label(graph.nodes(), 0);
  std::uint64_t steps_left = limits.steps_max;
  std::uint32_t mark = 1;
  for (const std::vector<Node>& component : components.of(all, nullptr, 0)) {
    if (out.found.size() >= limits.cycles_max) {
      ++out.components;
      continue;
    }
    std::optional<Cycle> cycle = strongest_cycle(graph, adjacency, component, label, mark, steps_left);
    for (const Node node : component) label[node] = 0;
    mark += 2;
    if (cycle) {
      ++out.components;
      out.found.push_back(std::move(*cycle));
    } else if (steps_left == 0) {
      out.gave_up = true;
    }
  }
  return out;
}

std::string name_of(const Cycle& cycle) {
  bool wr = false;
  bool real_time = false;
  bool adjacent = false;
  std::size_t rw = 0;
  for (std::size_t i = 0; i < cycle.size(); ++i) {
    const EdgeKind kind = cycle[i].first.kind;
    wr |= kind == EdgeKind::wr;
    real_time |= kind == EdgeKind::real_time || cycle[i].through_real_time;
    if (kind != EdgeKind::rw) continue;
    ++rw;
    adjacent |= cycle[(i + 1) % cycle.size()].first.kind == EdgeKind::rw;
  }
  std::string name = "G2-item";
  if (rw == 0) {
    name = wr ? "G1c" : "G0";
  } else if (rw == 1) {
    name = "G-single";
  } else if (!adjacent) {
    name = "G-nonadjacent";
  }
  return real_time ? name + "-realtime" : name;
}

}  // namespace assent::check
