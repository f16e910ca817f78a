#include "tests/consensus/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "consensus/raft/membership_change.h"
#include "consensus/raft/quorum.h"

namespace assent::testing {
namespace {

using Lines = std::vector<std::string>;

std::vector<std::string> split(const std::string& text, const std::string& at) {
  std::vector<std::string> parts;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = std::min(text.find_first_of(at, from), text.size());
    if (end > from) parts.push_back(text.substr(from, end - from));
    from = end + 1;
  }
  return parts;
}

// "committed cfg=(1, 2) idx=(3,_)" as a map from key to values; blanks may follow commas.
std::map<std::string, std::vector<std::string>> arguments_of(const std::string& command) {
  std::map<std::string, std::vector<std::string>> arguments;
  for (std::size_t equals = command.find('='); equals != std::string::npos; equals = command.find('=', equals + 1)) {
    const std::size_t key = command.rfind(' ', equals) + 1;
    const bool list = command.compare(equals + 1, 1, "(") == 0;
    const std::size_t end = std::min(command.find(list ? ')' : ' ', equals), command.size());
    arguments[command.substr(key, equals - key)] = split(command.substr(equals + 1, end - equals - 1), "(), ");
  }
  return arguments;
}

std::vector<Member> members_of(const std::vector<std::string>& names) {
  std::vector<Member> members;
  for (const std::string& name : names) {
    if (name != "zero") members.emplace_back(NodeId(std::stoull(name)));
  }
  std::sort(members.begin(), members.end());
  return members;
}

struct Scene {
  Membership membership;
  bool joint = false;
  std::map<Member, std::string> said;  // by each voter; none for _
  std::string error;
};

Scene scene_of(const std::string& command, const std::string& what) {
  auto arguments = arguments_of(command);
  Scene scene;
  scene.joint = arguments.contains("cfgj");
  scene.membership.voters = members_of(arguments["cfg"]);
  scene.membership.outgoing = members_of(arguments["cfgj"]);
  std::vector<Member> voters;  // in the order in which they are named first
  for (const char* key : {"cfg", "cfgj"}) {
    for (const std::string& name : arguments[key]) {
      if (name == "zero") continue;
      const Member member(NodeId(std::stoull(name)));
      if (std::find(voters.begin(), voters.end(), member) == voters.end()) voters.push_back(member);
    }
  }
  const std::vector<std::string>& given = arguments[what];
  if (voters.size() != given.size()) {
    scene.error =
        fmt::format("error: mismatched input (explicit or _) for {} voters: {} given", voters.size(), given.size());
    return scene;
  }
  for (std::size_t i = 0; i < voters.size(); ++i) {
    if (given[i] != "_") scene.said[voters[i]] = given[i];
  }
  return scene;
}

// The i-th smallest index has a bar of i, equal ones have equal bars.
Lines chart(const Membership& membership, const std::map<Member, std::string>& said) {
  std::vector<std::pair<std::uint64_t, Member>> order;
  for (const Member& member : membership.all()) {
    const auto index = said.find(member);
    order.emplace_back(index == said.end() ? 0 : std::stoull(index->second), member);
  }
  if (order.empty()) return {};
  std::sort(order.begin(), order.end());
  std::map<Member, std::size_t> bars;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const bool more = i > 0 && order[i - 1].first < order[i].first;
    bars[order[i].second] = i == 0 ? 0 : more ? i : bars[order[i - 1].second];
  }
  const std::size_t width = order.size();
  Lines lines{std::string(width, ' ') + "    idx"};
  for (const Member& member : membership.all()) {
    const auto index = said.find(member);
    const std::string bar = index == said.end()
                                ? "?" + std::string(width, ' ')
                                : std::string(bars[member], 'x') + ">" + std::string(width - bars[member], ' ');
    lines.push_back(fmt::format("{} {:>5}    (id={})", bar, index == said.end() ? "0" : index->second, member));
  }
  return lines;
}

std::string index_text(std::uint64_t index) {
  return index == raft::reached_by_nobody_needed ? "∞" : fmt::format("{}", index);
}

Membership swapped(Membership membership) {
  std::swap(membership.voters, membership.outgoing);
  return membership;
}

Lines committed(const std::string& command) {
  const Scene scene = scene_of(command, "idx");
  if (!scene.error.empty()) return {scene.error};
  const auto index_of = [&scene](const Member& member) {
    const auto found = scene.said.find(member);
    return found == scene.said.end() ? 0 : std::stoull(found->second);
  };
  const std::uint64_t reached = raft::reached_by_quorum(scene.membership, index_of);
  Lines lines = chart(scene.membership, scene.said);
  if (raft::reached_by_quorum(swapped(scene.membership), index_of) != reached)
    lines.emplace_back("ERROR: not symmetric");
  Membership with_itself = scene.membership;
  with_itself.outgoing = with_itself.voters;
  if (!scene.joint && raft::reached_by_quorum(with_itself, index_of) != reached) {
    lines.emplace_back("ERROR: joint with itself it is another");
  }
  lines.push_back((lines.empty() ? "<empty majority quorum>" : "") + index_text(reached));
  return lines;
}

Lines vote(const std::string& command) {
  const Scene scene = scene_of(command, "votes");
  if (!scene.error.empty()) return {scene.error};
  raft::Votes votes;
  for (const auto& [member, answer] : scene.said) votes[member] = answer == "y";
  const raft::Ballot ballot = raft::ballot_of(scene.membership, votes);
  Lines lines;
  if (raft::ballot_of(swapped(scene.membership), votes) != ballot) lines.emplace_back("ERROR: not symmetric");
  lines.emplace_back(ballot == raft::Ballot::won    ? "VoteWon"
                     : ballot == raft::Ballot::lost ? "VoteLost"
                                                    : "VotePending");
  return lines;
}

std::optional<std::vector<MemberChange>> changes_of(const Lines& input) {
  std::vector<MemberChange> changes;
  for (const std::string& line : input) {
    for (const std::string& token : split(line, " ")) {
      if (token.size() < 2 || token.find_first_not_of("0123456789", 1) != std::string::npos) return std::nullopt;
      const Member member(NodeId(std::stoull(token.substr(1))));
      switch (token[0]) {
        case 'v': changes.push_back({MemberChange::Kind::voter, member}); break;
        case 'l': changes.push_back({MemberChange::Kind::learner, member}); break;
        case 'r': changes.push_back({MemberChange::Kind::remove, member}); break;
        case 'u': break;
        default: return std::nullopt;
      }
    }
  }
  return changes;
}

}  // namespace

std::vector<Row> parse_table(const std::string& text) {
  std::vector<Row> rows;
  Row row;
  enum { before, input, output } at = before;
  std::istringstream in(text + "\n");
  for (std::string line; std::getline(in, line);) {
    if (at == output && line.empty()) {
      rows.push_back(std::exchange(row, {}));
      at = before;
    } else if (at == output) {
      row.output.push_back(line);
    } else if (at == input) {
      if (line == "----") {
        at = output;
      } else {
        row.input.push_back(line);
      }
    } else if (line.empty() || line.starts_with("#")) {
      row.before += line + "\n";
    } else {
      row.command = line;
      at = input;
    }
  }
  if (!row.command.empty()) rows.push_back(row);
  return rows;
}

std::string print_table(const std::vector<Row>& rows) {
  std::string text;
  for (const Row& row : rows) {
    text += text.empty() ? "" : "\n";
    text += row.before + row.command + "\n";
    for (const std::string& line : row.input) text += line + "\n";
    text += "----\n";
    for (const std::string& line : row.output) text += line + "\n";
  }
  return text;
}

Lines Table::run(const Row& row) {
  const std::string verb = row.command.substr(0, row.command.find(' '));
  if (verb == "committed") return committed(row.command);
  if (verb == "vote") return vote(row.command);
  Lines lines = change(verb, row.command.find("autoleave=true") != std::string::npos, row.input);
  ++commands_;
  return lines;
}

Lines Table::change(const std::string& verb, bool leaves_by_itself, const Lines& input) {
  const auto changes = changes_of(input);
  if (!changes) return {"ERROR: a change cannot be read"};
  Result<Membership> after = fail(ErrorCode::malformed, "ERROR: unknown command");
  if (verb == "simple") after = raft::simple_change(membership_, *changes);
  if (verb == "enter-joint") after = raft::enter_joint(membership_, *changes);
  if (verb == "leave-joint") after = raft::leave_joint(membership_);
  if (!after) return {after.error().message};
  if (!after->valid()) return {"ERROR: not a valid membership"};
  if (decode_membership(encode_membership(*after)) != *after) return {"ERROR: changed by its codec"};
  membership_ = *after;
  leaves_by_itself_ = leaves_by_itself && membership_.joint();
  Lines lines{to_string(membership_) + (leaves_by_itself_ ? " autoleave" : "")};
  std::map<Member, std::uint64_t> next;
  for (const Member& member : membership_.all()) {
    const auto known = next_.find(member);
    next[member] = known == next_.end() ? std::max<std::uint64_t>(commands_, 1) : known->second;
    const bool learner = !membership_.votes(member);
    lines.push_back(fmt::format("{}: StateProbe match=0 next={}{}", member, next[member], learner ? " learner" : ""));
  }
  next_ = std::move(next);
  return lines;
}

}  // namespace assent::testing
