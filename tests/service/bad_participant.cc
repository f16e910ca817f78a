#include "tests/service/bad_participant.h"

#include <algorithm>
#include <cctype>

namespace assent::service::testing {

namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool fits(const std::string& text) { return text.size() <= 200 && std::none_of(text.begin(), text.end(), is_control); }

grpc::Status say(grpc::StatusCode code, const char* message) { return {code, message}; }

}  // namespace

const std::vector<std::pair<Fault, std::string_view>>& all_faults() {
  static const std::vector<std::pair<Fault, std::string_view>> faults{
      {Fault::duplicate_runs_again, "duplicate_runs_again"},
      {Fault::takes_the_newer_attempt, "takes_the_newer_attempt"},
      {Fault::no_tombstone, "no_tombstone"},
      {Fault::revives_what_was_aborted, "revives_what_was_aborted"},
      {Fault::commits_what_was_not_prepared, "commits_what_was_not_prepared"},
      {Fault::commits_any_attempt, "commits_any_attempt"},
      {Fault::aborts_any_attempt, "aborts_any_attempt"},
      {Fault::commits_after_abort, "commits_after_abort"},
      {Fault::aborts_after_commit, "aborts_after_commit"},
      {Fault::forgets_what_ended, "forgets_what_ended"},
      {Fault::parallel_duplicates_both_run, "parallel_duplicates_both_run"},
      {Fault::one_register_a_transaction, "one_register_a_transaction"},
      {Fault::branches_without_case, "branches_without_case"},
      {Fault::takes_any_id, "takes_any_id"},
      {Fault::takes_anybodys_calls, "takes_anybodys_calls"},
      {Fault::status_leaves_a_mark, "status_leaves_a_mark"},
      {Fault::status_of_hope, "status_of_hope"},
      {Fault::a_no_is_not_kept, "a_no_is_not_kept"},
      {Fault::numbers_as_doubles, "numbers_as_doubles"},
      {Fault::prepared_in_memory, "prepared_in_memory"},
      {Fault::tombstones_in_memory, "tombstones_in_memory"},
      {Fault::refusals_in_memory, "refusals_in_memory"},
  };
  return faults;
}

template <class Request>
BadParticipant::Key BadParticipant::key_of(const Request& request) const {
  std::string branch = has(Fault::one_register_a_transaction) ? "" : request.branch();
  if (has(Fault::branches_without_case)) {
    std::transform(branch.begin(), branch.end(), branch.begin(),
                   [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  }
  return {request.txn_id(), branch};
}

template <class Request>
bool BadParticipant::readable(const Request& request) const {
  const std::string& id = request.txn_id();
  const bool hex = id.size() == 32 && id.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!hex && !has(Fault::takes_any_id)) return false;
  if (request.branch().empty() || !fits(request.branch()) || !fits(request.coordinator())) return false;
  if (!request.participant().empty() && request.participant() != name && !has(Fault::takes_anybodys_calls))
    return false;
  return true;
}

std::uint64_t BadParticipant::stored(std::uint64_t number) const {
  if (!has(Fault::numbers_as_doubles)) return number;
  const auto rounded = static_cast<double>(number);
  return rounded >= 18446744073709551616.0 ? 0 : static_cast<std::uint64_t>(rounded);
}

template <class Request>
bool BadParticipant::same_attempt(const Row& row, const Request& request) const {
  return row.epoch == stored(request.attempt().epoch()) && row.number == stored(request.attempt().number());
}

grpc::Status BadParticipant::Prepare(grpc::ServerContext*, const v1::PrepareRequest* request,
                                     v1::PrepareResponse* response) {
  if (!readable(*request) || !request->has_attempt()) return say(grpc::StatusCode::INVALID_ARGUMENT, "unreadable");
  std::unique_lock lock(mutex_);
  const Key key = key_of(*request);
  Row row = rows_[key];
  if (has(Fault::parallel_duplicates_both_run) && row.state == v1::BRANCH_EMPTY) {
    // Looks first and writes later, in two local transactions: a duplicate that looks in between runs as well.
    ++looked_[key];
    looked_again_.notify_all();
    looked_again_.wait_for(lock, std::chrono::milliseconds(100), [&] { return looked_[key] > 1; });
  }
  if (row.state == v1::BRANCH_ABORTED && has(Fault::revives_what_was_aborted) && row.after_yes) row = {};
  if (row.state == v1::BRANCH_ABORTED || row.state == v1::BRANCH_REFUSED) {
    return say(grpc::StatusCode::ABORTED, "it is over");
  }
  if (row.state == v1::BRANCH_EMPTY && request->payload() == "no") {
    if (!has(Fault::a_no_is_not_kept)) rows_[key].state = v1::BRANCH_REFUSED;
    return say(grpc::StatusCode::ABORTED, "the payload says no");
  }
  const bool again =
      row.state == v1::BRANCH_PREPARED &&
      (has(Fault::duplicate_runs_again) || (has(Fault::takes_the_newer_attempt) && !same_attempt(row, *request)));
  if (row.state == v1::BRANCH_EMPTY || again) {
    row.state = v1::BRANCH_PREPARED;
    row.epoch = stored(request->attempt().epoch());
    row.number = stored(request->attempt().number());
    row.coordinator = request->coordinator();
    row.result = std::to_string(++runs_);
    rows_[key] = row;
  }
  response->set_vote(v1::VOTE_YES);
  response->mutable_attempt()->set_epoch(row.epoch);
  response->mutable_attempt()->set_number(row.number);
  response->set_result(row.result);
  return grpc::Status::OK;
}

void BadParticipant::end(const Key& key, Row& row, v1::BranchState state) {
  row.after_yes = true;
  row.state = state;
  if (has(Fault::forgets_what_ended)) rows_.erase(key);
}

grpc::Status BadParticipant::Commit(grpc::ServerContext*, const v1::CommitRequest* request, v1::CommitResponse*) {
  if (!readable(*request) || !request->has_attempt()) return say(grpc::StatusCode::INVALID_ARGUMENT, "unreadable");
  const std::scoped_lock lock(mutex_);
  const Key key = key_of(*request);
  Row& row = rows_[key];
  switch (row.state) {
    case v1::BRANCH_EMPTY:
      if (has(Fault::commits_what_was_not_prepared) || has(Fault::forgets_what_ended)) return grpc::Status::OK;
      return say(grpc::StatusCode::NOT_FOUND, "never prepared");
    case v1::BRANCH_PREPARED:
      if (!same_attempt(row, *request) && !has(Fault::commits_any_attempt)) {
        return say(grpc::StatusCode::ABORTED, "another attempt");
      }
      end(key, row, v1::BRANCH_COMMITTED);
      return grpc::Status::OK;
    case v1::BRANCH_COMMITTED:
      return same_attempt(row, *request) ? grpc::Status::OK : say(grpc::StatusCode::ABORTED, "another attempt");
    default: break;
  }
  if (has(Fault::commits_after_abort) && row.after_yes) {
    row.state = v1::BRANCH_COMMITTED;
    return grpc::Status::OK;
  }
  return say(grpc::StatusCode::ABORTED, "it is aborted");
}

grpc::Status BadParticipant::Abort(grpc::ServerContext*, const v1::AbortRequest* request, v1::AbortResponse*) {
  if (!readable(*request) || !request->has_attempt()) return say(grpc::StatusCode::INVALID_ARGUMENT, "unreadable");
  const std::scoped_lock lock(mutex_);
  const Key key = key_of(*request);
  Row& row = rows_[key];
  switch (row.state) {
    case v1::BRANCH_EMPTY:
      if (!has(Fault::no_tombstone)) row.state = v1::BRANCH_ABORTED;
      return grpc::Status::OK;
    case v1::BRANCH_PREPARED:
      if (!same_attempt(row, *request) && !has(Fault::aborts_any_attempt)) {
        return say(grpc::StatusCode::ABORTED, "another attempt");
      }
      end(key, row, v1::BRANCH_ABORTED);
      return grpc::Status::OK;
    case v1::BRANCH_COMMITTED:
      if (!has(Fault::aborts_after_commit)) return say(grpc::StatusCode::ABORTED, "it is committed");
      row.state = v1::BRANCH_ABORTED;
      return grpc::Status::OK;
    default: return grpc::Status::OK;
  }
}

grpc::Status BadParticipant::Status(grpc::ServerContext*, const v1::BranchStatusRequest* request,
                                    v1::BranchStatusResponse* response) {
  if (!readable(*request)) return say(grpc::StatusCode::INVALID_ARGUMENT, "unreadable");
  const std::scoped_lock lock(mutex_);
  const Key key = key_of(*request);
  Row row = rows_[key];
  response->set_state(row.state);
  if (has(Fault::status_of_hope) && row.state == v1::BRANCH_PREPARED) response->set_state(v1::BRANCH_COMMITTED);
  if (has(Fault::status_leaves_a_mark) && row.state == v1::BRANCH_EMPTY) rows_[key].state = v1::BRANCH_ABORTED;
  if (row.state == v1::BRANCH_PREPARED || row.state == v1::BRANCH_COMMITTED || row.after_yes) {
    response->mutable_attempt()->set_epoch(row.epoch);
    response->mutable_attempt()->set_number(row.number);
  }
  response->set_coordinator(row.coordinator);
  return grpc::Status::OK;
}

void BadParticipant::restart() {
  const std::scoped_lock lock(mutex_);
  for (auto& [key, row] : rows_) {
    const bool tombstone = row.state == v1::BRANCH_ABORTED && !row.after_yes;
    if ((has(Fault::prepared_in_memory) && row.state == v1::BRANCH_PREPARED) ||
        (has(Fault::tombstones_in_memory) && tombstone) ||
        (has(Fault::refusals_in_memory) && row.state == v1::BRANCH_REFUSED)) {
      row = {};
    }
  }
}

}  // namespace assent::service::testing
