// The groups of a model as numbers. A group is an abstract replicated log with the sides that lead or led it: entries
// of the leader wait until the log commits them; an election keeps any prefix of them, commits that before the new
// leader leads, and loses the rest, or, at the coordinator's group, carries it into the new leader's log (no log of
// ours does; the epoch fence allows it). Replaced leaders go on with what they knew.
//
// What a group does in an event depends on the group alone, for machines and drivers are pure. So each pair of a group
// state and an event is computed once, by the real code, and then remembered.
//
// Rules judged here, where only one group is needed: a register or record never changes once it is final and never is
// forgotten before its time (A2); a yes ends only in its own attempt; locks are a function of the prepared set and
// never in conflict; the rows are what the committed transactions make when each runs once (A8).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/explore/language.h"
#include "sim/explore/model.h"
#include "sim/explore/networks.h"

namespace assent::explore {

inline constexpr std::size_t txns_max = 3;
inline constexpr std::size_t groups_max = 4;  // a coordinator and three shards

// Two bits a transaction: committed, aborted.
using Outcomes = std::uint32_t;
[[nodiscard]] constexpr Outcomes outcome_bit(std::size_t txn, bool commit) {
  return 1U << (2 * txn + (commit ? 0 : 1));
}
[[nodiscard]] constexpr Outcomes contradictions(Outcomes all) { return all & (all >> 1U) & 0x55555555U; }

struct Event {
  enum class Kind : std::uint8_t { deliver, ask, tick, commit, refuse, elect, resign, age };
  Kind kind = Kind::tick;
  std::uint8_t group = 0;  // its place in the model, 0 is the coordinator's
  std::uint8_t who = 0;    // 0 the leader, n the n-th replaced one
  std::uint16_t what = 0;  // message; ask * 8 + its time; elect: entries that survive
  bool carry = false;      // with elect
  bool aged = false;

  [[nodiscard]] std::uint32_t pack() const;
  [[nodiscard]] static Event unpack(std::uint32_t packed);
};

struct Standing {  // of one transaction in a group's log
  enum class Kind : std::uint8_t { none, prepared, committed, aborted };
  Kind kind = Kind::none;
  Attempt attempt;
  bool names_all = true;  // a coordinator's record: every participant is in it
};

struct GroupFacts {
  unsigned pending = 0;
  std::uint32_t pending_kinds = 0;  // bit k: a command of the k-th kind of the variant
  unsigned replaced = 0;
  unsigned elections = 0;
  Outcomes outcomes = 0;  // that its log ever held
  std::array<Standing, txns_max> standing;
  std::array<std::uint16_t, txns_max> results{};  // 0: none
  // Of its acceptors, where ballots decide: bit n, that it ever accepted the n-th of Language::accepted.
  std::array<std::uint32_t, txns_max> accepted{};
  bool quiescent = false;  // A7
  bool decided = false;    // quiescent, but for outcomes that it still carries out
};

struct Transition {
  std::uint32_t to = 0;
  std::vector<std::uint16_t> sends;
  Outcomes told = 0;     // to clients
  std::string violated;  // empty: no rule that is judged here
};

// What is known of the messages that a side of a group may hear: quiet ones leave the group as it is and tell no
// client; mute ones, in addition, send nothing.
struct Hearing {
  MessageSet quiet;
  MessageSet mute;
};

class Groups {
 public:
  virtual ~Groups() = default;
  Groups() = default;
  Groups(const Groups&) = delete;
  Groups& operator=(const Groups&) = delete;

  [[nodiscard]] virtual std::uint32_t initial() = 0;
  // Stays where it is.
  [[nodiscard]] virtual const Transition& step(std::uint32_t state, const Event& event) = 0;
  [[nodiscard]] virtual const GroupFacts& facts(std::uint32_t state) const = 0;
  // As far as was stepped.
  [[nodiscard]] virtual const Hearing& hearing(std::uint32_t state, unsigned who) const = 0;
  virtual void narrate(std::uint32_t state, const Event& event, std::vector<std::string>& lines) = 0;

  [[nodiscard]] virtual std::size_t states() const = 0;
  [[nodiscard]] virtual std::size_t sides() const = 0;
  [[nodiscard]] virtual std::size_t steps() const = 0;  // of the real code
  // From now on: whenever two sides have equal digests, both are stepped with all there is, and must act alike.
  virtual void doubt_digests() = 0;
};

// model and language must outlive it.
[[nodiscard]] std::unique_ptr<Groups> make_groups(const Model& model, std::size_t place, Language& language);

}  // namespace assent::explore
