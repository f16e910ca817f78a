// Says whether a Raft trace (sim/raft_trace.h) is one that Raft as published may leave: Ongaro's dissertation, figure
// 3.1 for terms, votes and logs, section 4.3 for joint membership, 4.1 for what must be committed before it. Written
// from those rules alone: it knows the trace's lines and nothing of the core that left them.
//
// A log is known by its last place (index, term): by Log Matching all logs that hold an entry of that place are equal
// up to it. So the acceptor keeps one tree of entries a group, and of each member only where it stands in it.
//
// What it does not see: pre-votes and hand-overs, so terms may rise to any that somebody in the group has reached; when
// something became durable, other than by what its member sends, which it may do only with what survives its crashes.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace assent::testing {

class RaftAcceptor {
 public:
  // The next line of the trace. Nothing when Raft may have done that, else what rule speaks against it. Not to be
  // called again after a rejection. Throws nlohmann::json::exception when a line is not what a trace holds.
  [[nodiscard]] std::optional<std::string> accept(const nlohmann::json& line);

 private:
  using Id = std::string;  // of a member
  using Term = std::uint64_t;
  using Number = std::uint64_t;  // of an entry
  struct Place {
    Number index = 0;
    Term term = 0;
    auto operator<=>(const Place&) const = default;
  };
  struct Membership {
    std::set<Id> voters;
    std::set<Id> outgoing;
    bool operator==(const Membership&) const = default;
  };
  enum class Role { follower, candidate, leader };
  // A member as a line shows it.
  struct View {
    Term term = 0;
    Id vote;
    Number commit = 0;
    Role role = Role::follower;
    Place last;
    Membership members;
  };
  struct Message {
    std::string type;
    Term term = 0;
    Id from;
    Id to;
    Number entries = 0;
    Place place;
    Number commit = 0;
    bool reject = false;
    std::string text;  // all of it
  };
  struct Node {
    View now;
    bool alive = false;
    // What it has told others, and so may not forget.
    Term told_term = 0;
    std::map<Term, Id> told_votes;
    Place told_log;
    std::map<Term, Id> votes;                     // as it showed them
    std::map<Term, Place> candidacies;            // where its log ended then
    std::map<Term, Number> accepted;              // of the leader of a term: its log matches up to here
    std::map<Term, std::set<Id>> votes_received;  // as a candidate
    std::map<Id, Number> matches;                 // as the leader of now.term
    bool was_voter = false;
  };
  struct Group {
    std::map<Id, Node> nodes;
    std::map<Place, Term> before;         // the tree: the term of the entry before each entry
    std::map<Place, Membership> members;  // in force where a log ends here
    std::map<Place, Number> changed;      // index of the last change of members at or before this place
    std::map<Term, Id> leaders;
    std::map<Term, Place> leader_logs;                 // the leader's last place in its term
    std::map<std::string, Place> appends;              // where the entries of a MsgApp end
    std::set<std::string> sent;                        // every message
    std::set<std::pair<Term, std::string>> snapshots;  // sent in a term, to a node
    std::map<std::pair<Id, Term>, Place> campaigns;    // the last place that a candidate named
    Place committed;
    std::map<Term, Place> commits;  // up to where the leader of a term has committed
    Term highest_term = 0;
  };
  using Verdict = std::optional<std::string>;

  static View read_view(const nlohmann::json& event);
  static std::optional<Message> read_message(const nlohmann::json& event);

  Verdict start(Group& group, const Id& id, Node& node, const View& next);
  Verdict step(Group& group, const Id& id, Node& node, const View& next, const std::string& name,
               const std::optional<Message>& message);
  // The parts of a step, in the order in which they are judged.
  Verdict take_message(Group& group, const Id& id, Node& node, const View& next, const Message& message);
  Verdict send_message(Group& group, const Id& id, Node& node, const View& next, const Message& message);
  Verdict change_term_and_vote(Group& group, const Id& id, Node& node, const View& next, bool became_candidate);
  Verdict change_role(Group& group, const Id& id, Node& node, const View& next);
  Verdict change_log(Group& group, Node& node, const View& next, const std::optional<Message>& received);
  Verdict change_members(Group& group, const Node& node, const View& next);
  Verdict change_commit(Group& group, const Id& id, Node& node, const View& next);

  static bool holds(const Group& group, Place last, Place place);
  static std::optional<Term> term_at(const Group& group, Place last, Number index);
  static bool is_majority(const std::set<Id>& of, const std::set<Id>& who);
  static bool decides(const Membership& members, const std::set<Id>& who);

  std::map<std::string, Group> groups_;
};

}  // namespace assent::testing
