// A participant in memory, written from participant.proto alone, with no part of service/; and with one of the faults
// that people make, planted by name. Without a fault it conforms. "Durable" is what survives restart().
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "assent/v1/participant.grpc.pb.h"

namespace assent::service::testing {

enum class Fault : std::uint8_t {
  none,
  duplicate_runs_again,           // a duplicate Prepare runs the work again, with another result
  takes_the_newer_attempt,        // a Prepare of another attempt overwrites the one that is recorded
  no_tombstone,                   // an Abort before its Prepare leaves nothing
  revives_what_was_aborted,       // a Prepare after the Abort of a yes is a yes again
  commits_what_was_not_prepared,  // OK, and nothing done
  commits_any_attempt,
  aborts_any_attempt,
  commits_after_abort,
  aborts_after_commit,
  forgets_what_ended,  // the row is deleted at the end
  parallel_duplicates_both_run,
  one_register_a_transaction,  // the branch is not part of the key
  branches_without_case,       // collated: a/A are one
  takes_any_id,
  takes_anybodys_calls,
  status_leaves_a_mark,  // asking makes an empty register aborted
  status_of_hope,        // says committed of what is prepared
  a_no_is_not_kept,
  numbers_as_doubles,  // as a language has them whose numbers are such
  prepared_in_memory,  // lost by a restart
  tombstones_in_memory,
  refusals_in_memory,
};
[[nodiscard]] const std::vector<std::pair<Fault, std::string_view>>& all_faults();

class BadParticipant final : public v1::Participant::Service {
 public:
  explicit BadParticipant(Fault fault) : fault_(fault) {}

  grpc::Status Prepare(grpc::ServerContext*, const v1::PrepareRequest* request, v1::PrepareResponse* response) override;
  grpc::Status Commit(grpc::ServerContext*, const v1::CommitRequest* request, v1::CommitResponse*) override;
  grpc::Status Abort(grpc::ServerContext*, const v1::AbortRequest* request, v1::AbortResponse*) override;
  grpc::Status Status(grpc::ServerContext*, const v1::BranchStatusRequest* request,
                      v1::BranchStatusResponse* response) override;

  // As a crash would leave it.
  void restart();

  static constexpr const char* name = "planted";

 private:
  struct Row {
    v1::BranchState state = v1::BRANCH_EMPTY;
    std::uint64_t epoch = 0;
    std::uint64_t number = 0;
    std::string coordinator;
    std::string result;
    bool after_yes = false;  // of aborted
  };
  using Key = std::pair<std::string, std::string>;

  [[nodiscard]] bool has(Fault fault) const { return fault_ == fault; }
  template <class Request>
  [[nodiscard]] Key key_of(const Request& request) const;
  template <class Request>
  [[nodiscard]] bool readable(const Request& request) const;
  template <class Request>
  [[nodiscard]] bool same_attempt(const Row& row, const Request& request) const;
  [[nodiscard]] std::uint64_t stored(std::uint64_t number) const;
  void end(const Key& key, Row& row, v1::BranchState state);

  const Fault fault_;
  std::mutex mutex_;  // protects all below
  std::map<Key, Row> rows_;
  std::map<Key, int> looked_;  // calls that found nothing, with parallel_duplicates_both_run
  std::condition_variable looked_again_;
  std::uint64_t runs_ = 0;
};

}  // namespace assent::service::testing
