#include "raft_acceptor.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace assent::testing {
namespace {

std::string node_of(const std::string& member) { return member.substr(0, member.find('.')); }

template <class Number>
Number number(const nlohmann::json& object, const char* key) {
  return object.at(key).get<Number>();
}

}  // namespace

// ---- reading
// ---------------------------------------------------------------------------------------------------------

RaftAcceptor::View RaftAcceptor::read_view(const nlohmann::json& event) {
  static const std::map<std::string, Role> roles = {{"StateFollower", Role::follower},
                                                    {"StatePreCandidate", Role::follower},  // it has done nothing yet
                                                    {"StateCandidate", Role::candidate},
                                                    {"StateLeader", Role::leader}};
  const auto& state = event.at("state");
  View view;
  view.term = number<Term>(state, "term");
  view.vote = state.at("vote").get<Id>();
  view.commit = number<Number>(state, "commit");
  view.role = roles.at(event.at("role").get<std::string>());
  view.last = {number<Number>(event, "log"), number<Term>(event, "logTerm")};
  view.members.voters = event.at("conf").at(0).get<std::set<Id>>();
  view.members.outgoing = event.at("conf").at(1).get<std::set<Id>>();
  return view;
}

std::optional<RaftAcceptor::Message> RaftAcceptor::read_message(const nlohmann::json& event) {
  if (!event.contains("msg")) return std::nullopt;
  const auto& msg = event.at("msg");
  Message message;
  message.type = msg.at("type").get<std::string>();
  message.term = number<Term>(msg, "term");
  message.from = msg.at("from").get<Id>();
  message.to = msg.at("to").get<Id>();
  message.entries = number<Number>(msg, "entries");
  message.place = {number<Number>(msg, "index"), number<Term>(msg, "logTerm")};
  message.commit = number<Number>(msg, "commit");
  message.reject = msg.at("reject").get<bool>();
  message.text = msg.dump();
  return message;
}

std::optional<std::string> RaftAcceptor::accept(const nlohmann::json& line) {
  const auto& event = line.at("event");
  const std::string name = event.at("name").get<std::string>();
  const Id id = event.at("nid").get<Id>();
  Group& group = groups_[event.at("gid").get<std::string>()];
  Node& node = group.nodes[id];
  const View next = read_view(event);
  const bool starts = name == "InitState";
  if (!starts && !node.alive) return "a member does something before its start";
  Verdict verdict = starts ? start(group, id, node, next) : step(group, id, node, next, name, read_message(event));
  if (verdict) return verdict;
  node.now = next;
  if (next.vote != "0") node.votes.emplace(next.term, next.vote);
  node.was_voter = node.was_voter || next.members.voters.contains(id) || next.members.outgoing.contains(id);
  group.highest_term = std::max(group.highest_term, next.term);
  return std::nullopt;
}

// ---- the tree of entries
// ---------------------------------------------------------------------------------------------

// Of the log that ends at last.
std::optional<RaftAcceptor::Term> RaftAcceptor::term_at(const Group& group, Place last, Number index) {
  while (last.index > index) {
    const auto found = group.before.find(last);
    if (found == group.before.end()) return std::nullopt;
    last = {last.index - 1, found->second};
  }
  if (last.index < index) return std::nullopt;
  return last.term;
}

bool RaftAcceptor::holds(const Group& group, Place last, Place place) {
  return place.index == 0 || term_at(group, last, place.index) == place.term;
}

bool RaftAcceptor::is_majority(const std::set<Id>& of, const std::set<Id>& who) {
  const auto count = std::count_if(of.begin(), of.end(), [&](const Id& id) { return who.contains(id); });
  return static_cast<std::size_t>(count) * 2 > of.size();
}

bool RaftAcceptor::decides(const Membership& members, const std::set<Id>& who) {
  return is_majority(members.voters, who) && (members.outgoing.empty() || is_majority(members.outgoing, who));
}

// ---- a member's steps
// ------------------------------------------------------------------------------------------------

// After a crash, too: what it told others it still knows; the rest may be lost, or come back.
RaftAcceptor::Verdict RaftAcceptor::start(Group& group, const Id& id, Node& node, const View& next) {
  if (next.role != Role::follower) return "it starts as something else than a follower";
  if (next.term < node.told_term) return "it forgot a term that it had told others";
  if (const auto told = node.told_votes.find(next.term); told != node.told_votes.end() && next.vote != told->second) {
    return "it forgot the vote that it had given";
  }
  if (next.vote != "0" && node.votes.contains(next.term) && node.votes.at(next.term) != next.vote) {
    return "it starts with a vote that it never gave";
  }
  if (next.last.index > 0 && !group.before.contains(next.last)) return "it starts with an entry that nobody made";
  if (!holds(group, next.last, node.told_log)) return "it lost entries that it had acknowledged";
  if (next.commit > next.last.index) return "it starts with more committed than it has";
  if (next.commit > group.committed.index) return "it starts with more committed than its group has";
  if (auto verdict = change_members(group, node, next)) return verdict;
  node.alive = true;
  node.votes.erase(node.votes.lower_bound(next.term), node.votes.end());  // what was not durable it never gave
  node.votes_received.clear();
  node.matches.clear();
  if (next.vote == id) node.told_votes.emplace(next.term, id);
  return std::nullopt;
}

RaftAcceptor::Verdict RaftAcceptor::step(Group& group, const Id& id, Node& node, const View& next,
                                         const std::string& name, const std::optional<Message>& message) {
  const bool receives = name.starts_with("Receive");
  if (receives && message) {
    if (auto verdict = take_message(group, id, node, next, *message)) return verdict;
  }
  const bool became_candidate = next.role == Role::candidate && next.term != node.now.term;
  if (auto verdict = change_term_and_vote(group, id, node, next, became_candidate)) return verdict;
  const std::optional<Message> received = receives ? message : std::nullopt;
  if (auto verdict = change_role(group, id, node, next)) return verdict;
  if (auto verdict = change_log(group, node, next, received)) return verdict;
  if (auto verdict = change_members(group, node, next)) return verdict;
  if (auto verdict = change_commit(group, id, node, next)) return verdict;
  if (message && name.starts_with("Send")) return send_message(group, id, node, next, *message);
  return std::nullopt;
}

RaftAcceptor::Verdict RaftAcceptor::take_message(Group& group, const Id& id, Node& node, const View& next,
                                                 const Message& message) {
  if (message.to != id) return "it takes a message to somebody else";
  if (message.type == "MsgSnap") {
    if (!group.snapshots.contains({message.term, node_of(id)})) return "a snapshot comes that nobody sent";
    if (message.place.index > group.committed.index || !holds(group, group.committed, message.place)) {
      return "a snapshot holds what is not committed";
    }
  } else if (!group.sent.contains(message.text)) {
    return "a message comes that nobody sent";
  }
  // Who is loyal to a leader takes no notice of candidates (dissertation 4.2.3).
  if (message.term > next.term && message.type != "MsgVote") return "it keeps an older term than it has heard of";
  if (message.type == "MsgVoteResp" && !message.reject) node.votes_received[message.term].insert(message.from);
  if (message.type == "MsgAppResp" && !message.reject && node.now.role == Role::leader &&
      message.term == node.now.term) {
    Number& match = node.matches[message.from];
    match = std::max(match, message.place.index);
  }
  return std::nullopt;
}

RaftAcceptor::Verdict RaftAcceptor::change_term_and_vote(Group& group, const Id& id, Node& node, const View& next,
                                                         bool became_candidate) {
  if (next.term < node.now.term) return "its term goes down";
  if (next.term > node.now.term) {
    if (became_candidate) {
      if (next.term != node.now.term + 1) return "a candidate skips a term";
      if (next.vote != id) return "a candidate does not vote for itself";
    } else if (next.term > group.highest_term) {
      return "it is in a term that nobody began";
    }
  }
  const auto voted = node.votes.find(next.term);
  if (voted != node.votes.end() && next.vote != voted->second) return "it votes twice in a term";
  if (voted == node.votes.end() && next.vote != "0" && next.vote != id) {
    const auto campaign = group.campaigns.find({next.vote, next.term});
    if (campaign == group.campaigns.end()) return "it votes for one who did not ask";
    const Place own = node.now.last;
    const Place asked = campaign->second;
    const bool newer = asked.term > own.term || (asked.term == own.term && asked.index >= own.index);
    if (!newer) return "it votes for one whose log is older than its own";
  }
  if (voted == node.votes.end() && next.vote == id && !became_candidate)
    return "it votes for itself, but is no candidate";
  if (next.term > node.now.term) node.matches.clear();
  return std::nullopt;
}

RaftAcceptor::Verdict RaftAcceptor::change_role(Group& group, const Id& id, Node& node, const View& next) {
  const bool same_term = next.term == node.now.term;
  if (next.role == Role::candidate) {
    if (same_term && node.now.role == Role::leader) return "a leader becomes a candidate in its own term";
    const bool voter = node.was_voter || next.members.voters.contains(id) || next.members.outgoing.contains(id);
    if (!voter) return "it campaigns and never was a voter";
    node.candidacies[next.term] = node.now.last;
  }
  if (next.role != Role::leader || (same_term && node.now.role == Role::leader)) return std::nullopt;
  if (next.vote != id) return "it leads and did not vote for itself";
  std::set<Id> votes = node.votes_received[next.term];
  votes.insert(id);
  if (!decides(node.now.members, votes)) return "it leads without the votes of a majority";
  const auto [leader, first] = group.leaders.emplace(next.term, id);
  if (!first && leader->second != id) return "two lead in one term";
  // The votes may come when a later term has begun: what that committed it need not have.
  const auto later = group.commits.lower_bound(next.term);
  if (later != group.commits.begin() && !holds(group, node.now.last, std::prev(later)->second)) {
    return "it leads without all that is committed";
  }
  return std::nullopt;
}

RaftAcceptor::Verdict RaftAcceptor::change_log(Group& group, Node& node, const View& next,
                                               const std::optional<Message>& received) {
  const Place old = node.now.last;
  if (next.role == Role::leader) {
    if (next.last.index < old.index) return "a leader takes entries back";
    Place place = old;
    while (place.index < next.last.index) {
      const Place made{place.index + 1, next.term};
      if (!group.before.emplace(made, place.term).second) return "an entry is made twice";
      const auto known = group.members.find(place);  // until the line's end says otherwise
      if (known != group.members.end() && made.index < next.last.index) {
        group.members.emplace(made, known->second);
        group.changed.emplace(made, group.changed[place]);
      }
      place = made;
    }
    if (place != next.last) return "a leader's new entries are not of its term";
    group.leader_logs[next.term] = next.last;
    return std::nullopt;
  }
  Place expected = old;
  if (received && received->type == "MsgApp" && received->term == next.term) {
    const Place end = group.appends.at(received->text);
    if (holds(group, old, received->place)) {
      if (!holds(group, old, end)) expected = end;
      Number& accepted = node.accepted[received->term];
      accepted = std::max(accepted, end.index);
    } else if (received->place.index <= node.now.commit) {
      // The entry before lies in a snapshot, and is committed: it matches if the leader has it, which it must.
      return "an append contradicts what is committed";
    }
  }
  if (received && received->type == "MsgSnap" && received->term == next.term) {
    if (next.last == received->place) expected = next.last;
    if (holds(group, next.last, received->place)) {
      Number& accepted = node.accepted[received->term];
      accepted = std::max(accepted, received->place.index);
    }
  }
  if (next.last != expected) {
    return fmt::format("its log ends at {}@{}, and by the message it would at {}@{}", next.last.term, next.last.index,
                       expected.term, expected.index);
  }
  const auto committed = term_at(group, old, node.now.commit);
  if (!committed || !holds(group, next.last, {node.now.commit, *committed}))
    return "it takes back what it had committed";
  if (!holds(group, next.last, node.told_log)) {  // a new leader replaced it: what is left of it is what both hold
    Place common = node.told_log;
    while (!holds(group, next.last, common)) common = {common.index - 1, group.before.at(common)};
    node.told_log = common;
  }
  return std::nullopt;
}

// Who belongs to the group is a function of the log; how it may change, of the log before (dissertation 4.1, 4.3).
RaftAcceptor::Verdict RaftAcceptor::change_members(Group& group, const Node& node, const View& next) {
  const auto known = group.members.find(next.last);
  if (known != group.members.end()) {
    if (known->second != next.members) return "two members with one log know different members";
    return std::nullopt;
  }
  if (next.last.index == 0) {
    group.members.emplace(next.last, next.members);
    return std::nullopt;
  }
  const auto term_before = group.before.find(next.last);
  if (term_before == group.before.end()) return "a log ends with an entry that nobody made";
  const Place before{next.last.index - 1, term_before->second};
  const auto old = group.members.find(before);
  if (old == group.members.end()) return "nobody ever had the log before this entry";
  Number changed = group.changed[before];
  if (!(old->second == next.members)) {
    const auto& [voters, outgoing] = old->second;
    std::vector<Id> other;
    std::set_symmetric_difference(voters.begin(), voters.end(), next.members.voters.begin(), next.members.voters.end(),
                                  std::back_inserter(other));
    const bool enters = outgoing.empty() && next.members.outgoing == voters;
    const bool leaves = !outgoing.empty() && next.members.outgoing.empty() && other.empty();
    const bool one = outgoing.empty() && next.members.outgoing.empty() && other.size() == 1;
    if (!enters && !leaves && !one) return "the members change by more than one voter without a joint membership";
    if (next.role != Role::leader) return "members change and no leader did it";
    if (changed > next.commit) return "members change before the last change is committed";
    if (term_at(group, node.now.last, node.now.commit) != next.term) {
      return "members change before an entry of the leader's term is committed";
    }
    changed = next.last.index;
  }
  group.members.emplace(next.last, next.members);
  group.changed[next.last] = changed;
  return std::nullopt;
}

RaftAcceptor::Verdict RaftAcceptor::change_commit(Group& group, const Id& id, Node& node, const View& next) {
  if (next.commit < node.now.commit) return "its commit index goes down";
  if (next.commit > next.last.index) return "it committed what it does not have";
  if (next.commit == node.now.commit) return std::nullopt;
  const Place place{next.commit, term_at(group, next.last, next.commit).value_or(0)};
  if (place.index <= group.committed.index) {
    if (!holds(group, group.committed, place)) return "two members commit different entries at one index";
    return std::nullopt;
  }
  if (next.role != Role::leader) return "a follower commits what no leader has committed";
  if (place.term != next.term) return "a leader commits an entry of an earlier term by itself (figure 8)";
  std::set<Id> who = {id};
  for (const auto& [other, match] : node.matches) {
    if (match >= place.index) who.insert(other);
  }
  // A change that this very line appends is not in force for what was committed before it.
  if (!decides(next.members, who) && !decides(node.now.members, who)) return "an entry is committed without a majority";
  if (!holds(group, next.last, group.committed)) return "two members commit different entries at one index";
  group.committed = place;
  group.commits[next.term] = place;
  return std::nullopt;
}

RaftAcceptor::Verdict RaftAcceptor::send_message(Group& group, const Id& id, Node& node, const View& next,
                                                 const Message& message) {
  if (message.from != id) return "it sends a message of somebody else";
  if (message.term > next.term) return "it sends in a term that it is not in";
  const bool leads = group.leaders.contains(message.term) && group.leaders.at(message.term) == id;
  if (message.type == "MsgVote") {
    const auto candidacy = node.candidacies.find(message.term);
    if (candidacy == node.candidacies.end()) return "it asks for votes and was no candidate";
    if (message.place != candidacy->second) return "a candidate names another log than its own";
    group.campaigns[{id, message.term}] = message.place;
    node.told_votes.emplace(message.term, id);
  } else if (message.type == "MsgVoteResp" && !message.reject) {
    const auto vote = node.votes.find(message.term);
    const bool now = next.term == message.term && next.vote == message.to;
    if (!now && (vote == node.votes.end() || vote->second != message.to))
      return "it grants a vote that it did not give";
    node.told_votes.emplace(message.term, message.to);
  } else if (message.type == "MsgApp") {
    if (!leads) return "it appends and does not lead";
    const Place last = group.leader_logs.at(message.term);
    if (!holds(group, last, message.place)) return "an append names an entry that its leader does not have";
    const auto end = term_at(group, last, message.place.index + message.entries);
    if (!end) return "an append has more entries than its leader";
    if (message.commit > next.commit) return "a leader tells of more commits than it knows";
    group.appends[message.text] = {message.place.index + message.entries, *end};
  } else if (message.type == "MsgHeartbeat") {
    if (!leads) return "it sends heartbeats and does not lead";
    if (message.commit > next.commit) return "a leader tells of more commits than it knows";
  } else if (message.type == "MsgSnap") {
    if (!leads) return "it sends a snapshot and does not lead";
    group.snapshots.emplace(message.term, node_of(message.to));
  } else if (message.type == "MsgAppResp" && !message.reject) {
    const auto accepted = node.accepted.find(message.term);
    const Number most = accepted == node.accepted.end() ? 0 : accepted->second;
    if (message.place.index > most) return "it acknowledges what it did not take in";
    const auto leader = group.leader_logs.find(message.term);
    if (leader != group.leader_logs.end()) {
      const Place told{message.place.index, term_at(group, leader->second, message.place.index).value_or(0)};
      if (holds(group, next.last, told) && told.index > node.told_log.index) node.told_log = told;
    }
  }
  node.told_term = std::max(node.told_term, message.term);
  group.sent.insert(message.text);
  return std::nullopt;
}

}  // namespace assent::testing
