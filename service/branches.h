// A participant's branches: carries calls out, each in one local transaction, by the rules of register.h.
//
// What the gRPC service (participant_host.h) and the resolver share, and what a program calls that has another
// transport. Not the rules, and not the tables. Every function may be called from any thread; it blocks while the
// database does.
//
// Invariants: no two calls for one branch are in the service's code at a time in this process; nothing is answered ok
// or aborted before what it rests on is committed in the service's database; limits are kept before the database is
// touched, but for the payload's size, which is answered with a recorded no.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "service/barrier.h"
#include "service/branch.h"
#include "service/register.h"

namespace assent::service {

struct Limits {
  std::size_t payload_bytes_max = 1 << 20;
  std::size_t result_bytes_max = 64 << 10;
  std::size_t prepares_max = 64;  // at a time; commits and aborts have as much room again
  // How long a call waits for its turn before it is answered that there are too many; as many wait as run four times.
  std::chrono::milliseconds wait{0};
};

struct BranchesOptions {
  std::string name = {};  // of the participant; calls for another are refused. Empty: not looked at
  Limits limits = {};
  // How long an ended branch is remembered. Not below what the coordinator accepts a transaction's id for (ten
  // minutes).
  std::chrono::milliseconds retention{std::chrono::hours(1)};
  std::function<ClusterMillis()> clock = {};  // empty: the system's
};

struct PrepareCall {
  Branch branch;
  std::string participant;  // whom the caller believes to talk to; empty: it does not say
  Bytes payload;
};

class Branches {
 public:
  // The name must be valid (branch.h).
  Branches(BranchesOptions options, std::unique_ptr<Enrolled> enrolled);
  ~Branches();
  Branches(const Branches&) = delete;
  Branches& operator=(const Branches&) = delete;

  [[nodiscard]] Answer prepare(PrepareCall call);
  // Commit or abort.
  [[nodiscard]] Answer end(Call call, const Branch& branch, const std::string& participant = {});
  // What the register holds: empty, running and forgotten included. Error malformed: the names are not valid, or
  // another's.
  [[nodiscard]] Result<Register> status(const BranchKey& key, const std::string& participant = {});

  // In doubt for at least so long, oldest first.
  [[nodiscard]] Result<std::vector<InDoubt>> in_doubt(std::chrono::milliseconds at_least, std::size_t at_most);
  // Forgets a few branches that ended longer than the retention ago. Called now and then by the others as well.
  [[nodiscard]] Result<std::size_t> forget_some();

  // Calls that wait for their turn now: a service shows it beside its other figures.
  [[nodiscard]] std::size_t waiting();

  [[nodiscard]] const BranchesOptions& options() const { return options_; }
  [[nodiscard]] ClusterMillis now() const { return options_.clock(); }

 private:
  class Lane;

  [[nodiscard]] Answer run_prepare(Turn& turn, const PrepareCall& call, const std::optional<Vote>& no,
                                   std::chrono::steady_clock::time_point until);
  [[nodiscard]] Answer run_end(Call call, const Branch& branch);
  [[nodiscard]] Result<Answer> try_prepare(Turn& turn, const PrepareCall& call, const std::optional<Vote>& no);
  [[nodiscard]] Result<Answer> try_end(Turn& turn, Call call, const Branch& branch);
  void forget_now_and_then();

  const BranchesOptions options_;
  const std::unique_ptr<Enrolled> enrolled_;
  std::mutex mutex_;  // protects all below
  std::condition_variable prepare_freed_;
  std::condition_variable end_freed_;
  std::set<BranchKey> running_;
  std::size_t prepares_ = 0;
  std::size_t ends_ = 0;
  std::size_t waiting_ = 0;
  std::uint64_t ended_ = 0;
};

}  // namespace assent::service
