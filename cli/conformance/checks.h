// The checks of the conformance kit: a name, what its failure would cost a user, and what it does. Internal to it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/conformance/conformance.h"
#include "cli/conformance/probe.h"

namespace assent::conformance {

// One check under way. The first thing that is wrong is kept; what comes after a fault is its consequence.
class Case {
 public:
  Case(Probe& probe, const Plan& plan) : probe_(probe), plan_(plan) {}

  [[nodiscard]] Probe& probe() { return probe_; }
  [[nodiscard]] const Plan& plan() const { return plan_; }
  [[nodiscard]] BranchRef fresh(std::string_view suffix = {}) const;  // a new transaction

  void expect(bool right, const std::string& seen, const std::string& wanted);
  void expect_code(const Told& told, grpc::StatusCode code);
  void expect_yes(const Told& told, Attempt attempt);
  void expect_same(const Told& told, const Told& first);
  void expect_state(const BranchRef& branch, v1::BranchState state);
  // Kills and restarts the participant, and waits until it answers.
  void restart();

  [[nodiscard]] bool failed() const { return !seen_.empty(); }
  [[nodiscard]] const std::string& seen() const { return seen_; }

 private:
  Probe& probe_;
  const Plan& plan_;
  std::string seen_;
};

enum class Needs : std::uint8_t { nothing, refused_payload, restart, both, status };

struct Check {
  std::string_view name;
  std::string_view cost;
  Needs needs;
  void (*run)(Case&);
};

[[nodiscard]] const std::vector<Check>& order_checks();     // what one call after the other is answered
[[nodiscard]] const std::vector<Check>& parallel_checks();  // at the same time
[[nodiscard]] const std::vector<Check>& input_checks();     // what strangers may send
[[nodiscard]] const std::vector<Check>& restart_checks();   // what is left after a crash

}  // namespace assent::conformance
