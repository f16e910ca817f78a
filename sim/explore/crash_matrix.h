// The crash matrix: one transaction's run without faults, and each fault at each point of it, then each pair of them.
// Points and plans are generated from the model; the run is played on the explorer's groups, so that the same rules are
// judged after every step, and all that is alike between runs is computed once.
//
// The run is one fixed order: logs commit what they have, then the oldest message is heard, then time passes. A point
// says when a fault strikes and which of the messages just sent get through. At the end all faults are over: the world
// must come to rest (A5, A7), a client that asks with seal is told the outcome, and one that executes the transaction
// once more changes nothing (A8).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/explore/convergence.h"
#include "sim/explore/scene.h"

namespace assent::explore {

struct Point {
  enum class When : std::uint8_t {
    hears,     // the group's leader is about to hear such a message: it is lost with it
    sends,     // it has just sent such messages: those to or from `reach` get through, the others are lost
    counts,    // it has heard such messages from all of `reach`; those of others are lost
    proposes,  // such a command has just come into its log
    applies,   // such a command was just applied, and whatever was sent for it is lost
  };
  std::string name;  // k1 ... k10 of the coordinator, m1 ... m8 of a participant
  std::size_t place = 0;
  When when = When::hears;
  std::size_t kind = 0;               // of the message or command: its place in the variant
  unsigned reach = 0;                 // bit p: the group at place p
  std::optional<bool> survives = {};  // what becomes of uncommitted entries; none: as the fault says
};

enum class Fault : std::uint8_t {
  process_crash,  // the leader is gone; what its log held is on the disks and survives
  power_loss,     // the leader is gone, and so are the entries that were not committed
  change,         // another leader, without the uncommitted entries; the old one goes on and does not know
  change_kept,    // the same, with them
  outage,         // the group has no majority for longer than every time-out: nothing of it is committed
  gone,           // the group is lost for ever, with all that its logs held. Not among all_faults: not every protocol
                  // goes on after it
};
inline constexpr Fault all_faults[] = {Fault::process_crash, Fault::power_loss, Fault::change, Fault::change_kept,
                                       Fault::outage};
[[nodiscard]] std::string_view to_string(Fault fault);

struct Strike {
  Point point;
  Fault fault = Fault::process_crash;
};
[[nodiscard]] std::string describe(const Strike& strike);

struct DrillResult {
  std::string broken;   // the rule; empty: none
  unsigned struck = 0;  // of the plan; a point may not be reached any more after an earlier fault
  bool committed = false;
};

class CrashMatrix {
 public:
  // Of a model with one transaction, which its first ask executes. The model must outlive it.
  explicit CrashMatrix(const Model& model);

  [[nodiscard]] const std::vector<Point>& points() const { return points_; }
  // Strikes follow one another: the second is waited for when the first has struck. When a group is gone the others
  // must come to rest without it (A5, A7), with no other outcome than was told or is in its log (A1).
  [[nodiscard]] DrillResult run(std::span<const Strike> plan, std::vector<std::string>* lines = nullptr);

 private:
  [[nodiscard]] std::vector<Point> points_of_coordinator() const;
  [[nodiscard]] std::vector<Point> points_of_participant(std::size_t place) const;

  void play();
  bool step();
  void ask(std::size_t ask);
  void act(const Event& event);
  void hear(std::uint16_t message);
  bool awaited(Point::When when, std::size_t place, std::size_t kind) const;
  void after(const Event& event, std::size_t first_sent, std::uint32_t kinds_before);
  void lose_uncounted();
  void strike();
  void pass_time();
  [[nodiscard]] bool at_rest() const;
  [[nodiscard]] bool gone(std::size_t place) const { return (gone_ >> place & 1U) != 0; }

  const Model* model_;
  Scene scene_;
  Convergence convergence_;
  std::vector<Point> points_;

  // Of the run.
  GroupNumbers groups_{};
  Outcomes told_ = 0;
  std::deque<std::uint16_t> in_flight_;
  std::span<const Strike> plan_;
  std::size_t next_ = 0;
  unsigned counted_ = 0;  // bit p: heard from
  unsigned asked_ = 0;
  bool ask_again_ = false;
  std::array<unsigned, groups_max> out_for_{};  // rounds without a majority that are left
  unsigned gone_ = 0;                           // bit p: the group at place p is lost for ever
  std::string broken_;
  std::vector<std::string>* lines_ = nullptr;
};

// Each of all_faults at each point.
[[nodiscard]] std::vector<Strike> every_strike(const CrashMatrix& matrix);
// The group at this place is lost for ever at each of its points.
[[nodiscard]] std::vector<Strike> every_loss(const CrashMatrix& matrix, std::size_t place);

struct PairsResult {
  std::uint64_t plans = 0;
  std::uint64_t both_struck = 0;
  std::uint64_t committed = 0;
  std::string broken;        // of the first plan that broke a rule, and there it ended; empty: none did
  std::vector<Strike> plan;  // that one
};
// Each of these, and then each of those. progress: called after each of the first.
[[nodiscard]] PairsResult run_pairs(const Model& model, std::span<const Strike> first, std::span<const Strike> second,
                                    const std::function<void(const PairsResult&)>& progress = {});

// Of a model of one transaction on so many shards. With one shard the protocol is one-phase, and with one-phase one.
[[nodiscard]] Model crash_matrix_model(Protocol protocol, unsigned shards);

}  // namespace assent::explore
