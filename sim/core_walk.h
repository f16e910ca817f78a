// Random walks of bare consensus cores, three or five of them: any message that was ever sent may arrive at any step,
// any number of times; disks sync when they like and lose what they have not synced in crashes; nodes are cut off and
// come back; and in every other walk an operator changes the members, sensibly or not. The same checkers judge as in
// whole runs. A walk of two thousand steps takes some ten milliseconds, so that it reaches what needs several rare
// things in a row, such as an answer that outlives two elections, or two changes by leaders that do not know of each
// other.
//
// In walks of another kind leaders read by leases, and there is a time for them, which goes on in steps of its own
// whatever nodes tick: what was told to be committed before a read came in must be below what it is answered from.
//
// In walks of a third kind disks are damaged besides: a replica that lost power may find its log whole only up to some
// place, and keeps how far it went (LogSetup::left), as often as it happens. What was committed stays so all the same;
// after enough of it nobody can be elected, and a walk that ends like that says so (stopped). If somebody can, then
// once all see each other a leader emerges, and all members are whole again; and once more, when one of them is hurt
// while there is nothing to do. In half of these walks groups sleep.
//
// Not a run of the system: there is no loop and no application, and a snapshot is no more than its mark.
// Called by `assent-sim walk`, by the hunt for planted bugs, and by tests. A walk is a function of its seed.
#pragma once

#include <cstdint>
#include <string>

namespace assent::sim {

struct WalkResult {
  std::uint64_t seed = 0;
  std::uint64_t steps = 0;
  std::uint64_t committed = 0;    // entries, by anybody
  std::uint64_t changes = 0;      // of the members, committed
  std::uint64_t elections = 0;    // won
  std::uint64_t repeated = 0;     // messages that had been sent, and perhaps delivered, before
  std::uint64_t longer_logs = 0;  // over which a snapshot was installed
  std::uint64_t reads = 0;        // answered
  std::uint64_t leased = 0;       // of them by a lease
  std::uint64_t losses = 0;       // replicas that lost entries to damage
  std::uint64_t stopped = 0;      // in the end nobody could be elected: a record had lost too many copies
  std::string wrong;              // empty: no rule was broken
};

// narrate: every step to standard output.
[[nodiscard]] WalkResult walk_cores(std::uint64_t seed, bool narrate = false);
[[nodiscard]] WalkResult walk_leases(std::uint64_t seed, bool narrate = false);
[[nodiscard]] WalkResult walk_losses(std::uint64_t seed, bool narrate = false);

}  // namespace assent::sim
