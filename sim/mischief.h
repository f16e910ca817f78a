// Seeded mischief for the shell around the loop, never for the cores (FoundationDB calls it buggify): turns that are
// legal and that a quiet machine never takes. How often each comes is drawn once; zero is a value.
#pragma once

#include "base/rng.h"

namespace assent::sim {

class Mischief {
 public:
  // most: the highest chance of any turn; 0: none is ever taken.
  Mischief(Rng rng, double most) : rng_(rng) {
    if (most == 0) return;
    for (double* chance : {&busy_, &empty_, &twice_, &early_tick_}) *chance = rng_.chance(0.5) ? rng_.unit() * most : 0;
  }

  // The peer's stream takes no frame just now, although nothing is on its way.
  [[nodiscard]] bool busy_peer() { return take(busy_); }
  // An event that brings nothing.
  [[nodiscard]] bool empty_event() { return take(empty_); }
  // A second flush right behind the first.
  [[nodiscard]] bool flush_twice() { return take(twice_); }
  // A tick before its time.
  [[nodiscard]] bool early_tick() { return take(early_tick_); }

 private:
  bool take(double chance) { return chance > 0 && rng_.chance(chance); }

  Rng rng_;
  double busy_ = 0;
  double empty_ = 0;
  double twice_ = 0;
  double early_tick_ = 0;
};

}  // namespace assent::sim
