// From any moment on without faults: nothing more is lost, nobody is replaced, all clocks run, and what was in flight
// is gone. The world must come to rest with every transaction decided (A5), nothing prepared, locked or open (A7).
#pragma once

#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/explore/scene.h"

namespace assent::explore {

class Convergence {
 public:
  explicit Convergence(Scene& scene) : scene_(&scene) {}

  // What goes wrong on the way, or empty. told: ever. lines: narrated when not null.
  [[nodiscard]] std::string run(GroupNumbers groups, Outcomes told, bool aged,
                                std::vector<std::string>* lines = nullptr);

  // The same, after these events; nothing is lost.
  [[nodiscard]] std::string play(GroupNumbers groups, Outcomes told, const std::vector<Event>& events);

  // Where the last run came to rest, and all that was told until then. Not after a run that ended early (remember).
  [[nodiscard]] const GroupNumbers& rest() const { return groups_; }
  [[nodiscard]] Outcomes told() const { return told_; }
  // From now on a run ends where an earlier one passed, for it would go on alike.
  void remember() { remembering_ = true; }

 private:
  struct Moment {  // nothing is in flight
    GroupNumbers groups{};
    bool aged = false;
    bool operator==(const Moment&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Moment& moment) const;
  };

  [[nodiscard]] std::string go_on();
  void act(const Event& event);
  void commit_all(std::size_t place);
  void hear_all();

  Scene* scene_;
  GroupNumbers groups_{};
  Outcomes told_ = 0;
  bool aged_ = false;
  std::vector<std::string>* lines_ = nullptr;
  std::deque<std::uint16_t> in_flight_;
  std::string broken_;
  bool remembering_ = false;
  std::unordered_map<Moment, Outcomes, Hash> ends_;  // what the logs held when it had come to rest
};

}  // namespace assent::explore
