#include "service/branches.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/planted.h"

namespace assent::service {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t waiting_factor = 4;
constexpr int tries_max = 4;  // an insert that finds a row looks again
constexpr std::uint64_t ends_between_forgets = 64;
constexpr std::size_t forgets_max = 256;  // rows at a time

ClusterMillis system_now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return ClusterMillis(static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(since).count()));
}

Answer unknown(const Error& error) {
  return make_answer(AnswerCode::unknown, Reason::unavailable, tidy_text(error.message, message_bytes_max));
}

Answer invalid(std::string message, Reason reason = Reason::invalid_argument) {
  return make_answer(AnswerCode::invalid, reason, std::move(message));
}

// Nothing when the call may go on.
std::optional<Answer> check(const Branch& branch, const std::string& participant, const std::string& own_name) {
  if (branch.txn.none()) return invalid("txn_id must be 32 hex digits, and not all zeros");
  if (branch.name.empty() || !valid_name(branch.name)) {
    return invalid(fmt::format("branch must be 1 to {} bytes of text without control characters", name_bytes_max));
  }
  if (!valid_name(branch.coordinator)) {
    return invalid(
        fmt::format("coordinator must be up to {} bytes of text without control characters", name_bytes_max));
  }
  if (!participant.empty() && !own_name.empty() && participant != own_name) {
    return invalid(fmt::format("this is the participant {}, not {}: is the address right?", own_name,
                               tidy_text(participant, name_bytes_max)),
                   Reason::wrong_participant);
  }
  return std::nullopt;
}

// The row that stands while the work runs, and is seen by others only when the work has ended the local transaction.
Vote torn() {
  return Vote::no("TORN",
                  "the service's prepare ended the local transaction by itself; what it did stays, and the branch "
                  "cannot be voted for");
}

Register empty_register(ClusterMillis forgotten_through, const TxnId& txn) {
  Register out;
  out.state = txn.created() <= forgotten_through ? BranchState::forgotten : BranchState::empty;
  return out;
}

// Rolls back unless it was committed.
class Scope {
 public:
  explicit Scope(LocalTransaction& local) : local_(local) {}
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope() {
    if (!committed_) local_.rollback();
  }
  [[nodiscard]] Result<void> commit() {
    Result<void> done = local_.commit();
    committed_ = done.has_value();
    return done;
  }

 private:
  LocalTransaction& local_;
  bool committed_ = false;
};

}  // namespace

// A call's place among the running ones, given back at its end.
class Branches::Lane {
 public:
  Lane(Branches& all, BranchKey key, Call call) : all_(all), key_(std::move(key)), call_(call) {
    std::unique_lock lock(all_.mutex_);
    std::size_t& taken = call_ == Call::prepare ? all_.prepares_ : all_.ends_;
    if (all_.running_.contains(key_)) {
      refuse_running();
      return;
    }
    if (!wait_for_room(lock, taken)) {
      refusal_ = make_answer(AnswerCode::busy, Reason::overloaded, "too many calls at once; ask again later");
      return;
    }
    if (!all_.running_.insert(key_).second) {
      freed().notify_one();  // the room is another's
      refuse_running();
      return;
    }
    ++taken;
  }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  ~Lane() {
    if (refusal_) return;
    {
      const std::scoped_lock lock(all_.mutex_);
      all_.running_.erase(key_);
      --(call_ == Call::prepare ? all_.prepares_ : all_.ends_);
    }
    freed().notify_one();
  }
  [[nodiscard]] const std::optional<Answer>& refusal() const { return refusal_; }

 private:
  void refuse_running() {
    Register running;
    running.state = BranchState::running;
    refusal_ = judge(call_, running, {}).answer;
  }
  [[nodiscard]] std::condition_variable& freed() const {
    return call_ == Call::prepare ? all_.prepare_freed_ : all_.end_freed_;
  }
  [[nodiscard]] bool wait_for_room(std::unique_lock<std::mutex>& lock, const std::size_t& taken) {
    const Limits& limits = all_.options_.limits;
    const auto room = [&] { return taken < limits.prepares_max; };
    if (room() || limits.wait == milliseconds(0) || all_.waiting_ >= waiting_factor * limits.prepares_max) {
      return room();
    }
    ++all_.waiting_;
    const bool found = freed().wait_for(lock, limits.wait, room);
    --all_.waiting_;
    return found;
  }

  Branches& all_;
  const BranchKey key_;
  const Call call_;
  std::optional<Answer> refusal_;
};

Branches::Branches(BranchesOptions options, std::unique_ptr<Enrolled> enrolled)
    : options_([&options] {
        if (!options.clock) options.clock = system_now;
        return std::move(options);
      }()),
      enrolled_(std::move(enrolled)) {
  ASSENT_CHECK(valid_name(options_.name), "a participant's name is up to 200 bytes without control characters");
}

Branches::~Branches() = default;

std::size_t Branches::waiting() {
  const std::scoped_lock lock(mutex_);
  return waiting_;
}

// ---- prepare ----

Answer Branches::prepare(PrepareCall call) {
  if (auto wrong = check(call.branch, call.participant, options_.name)) return *wrong;
  const auto limit = std::chrono::steady_clock::now() + call.branch.time_left;
  const Lane lane(*this, {call.branch.txn, call.branch.name}, Call::prepare);
  if (lane.refusal()) return *lane.refusal();
  if (call.branch.time_left > milliseconds(0)) {
    const auto left = std::chrono::ceil<milliseconds>(limit - std::chrono::steady_clock::now());
    call.branch.time_left = std::max(milliseconds(1), left);
  }
  std::optional<Vote> no;
  if (call.payload.size() <= options_.limits.payload_bytes_max) {
    const auto vote = enrolled_->prepare_at_once(call.branch, call.payload);
    if (vote && !*vote) return unknown(vote->error());
    if (vote && (*vote)->kind != Vote::Kind::no) {
      return judge(Call::prepare, record_vote(call.branch, {}, **vote, now()), call.branch.attempt).answer;
    }
    if (vote) no = **vote;
  }
  const auto turn = enrolled_->take();
  if (!turn) return unknown(turn.error());
  return run_prepare(**turn, call, no, limit);
}

Answer Branches::run_prepare(Turn& turn, const PrepareCall& call, const std::optional<Vote>& no,
                             std::chrono::steady_clock::time_point until) {
  if (call.branch.time_left > milliseconds(0) && std::chrono::steady_clock::now() >= until) {
    return make_answer(AnswerCode::unknown, Reason::unavailable,
                       "the time was up before there was a free connection to the database; nothing was done");
  }
  for (int i = 0; i < tries_max; ++i) {
    Result<Answer> answer = try_prepare(turn, call, no);
    if (answer) return std::move(*answer);
    if (answer.error().code != ErrorCode::conflict) return unknown(answer.error());
  }
  return make_answer(AnswerCode::running, Reason::still_running, "the branch is being written elsewhere; ask again");
}

// Error conflict: somebody else was there in between; once more. The row goes in before the work runs, so that nobody
// else, in whatever process, runs it too; it says no, until the last statement before the commit says what was voted.
// no: the work was tried already, and that came of it.
Result<Answer> Branches::try_prepare(Turn& turn, const PrepareCall& call, const std::optional<Vote>& no) {
  LocalTransaction& local = turn.local();
  const Branch& branch = call.branch;
  const BranchKey key{branch.txn, branch.name};
  Scope scope(local);
  if (auto begun = local.begin(Access::write); !begun) return fail(begun.error());
  auto found = local.load(key);
  if (!found) return fail(found.error());
  if (*found) return judge(Call::prepare, **found, branch.attempt).answer;
  const Register first = record_vote(branch, {}, no.value_or(torn()), now());
  auto inserted = local.insert(key, first);
  if (!inserted) return fail(inserted.error());
  if (!*inserted) return fail(ErrorCode::conflict, "somebody else wrote the register first");
  // After the insert: it has waited for whoever was forgetting the same branch.
  const auto through = local.forgotten_through();
  if (!through) return fail(through.error());
  if (const Ruling ruling = judge(Call::prepare, empty_register(*through, branch.txn), branch.attempt);
      !ruling.writes) {
    return ruling.answer;
  }
  if (no) {
    if (auto committed = scope.commit(); !committed) return fail(committed.error());
    return judge(Call::prepare, first, branch.attempt).answer;
  }

  if (auto begun = local.begin_work(); !begun) return fail(begun.error());
  Vote vote = call.payload.size() > options_.limits.payload_bytes_max
                  ? Vote::no("PAYLOAD_TOO_LARGE", fmt::format("the payload has {} bytes, above the limit of {}",
                                                              call.payload.size(), options_.limits.payload_bytes_max))
                  : turn.prepare(branch, call.payload);
  if (vote.kind == Vote::Kind::later) return unknown({ErrorCode::busy, std::move(vote.message), {}});
  if (vote.kind != Vote::Kind::no && vote.result.size() > options_.limits.result_bytes_max) {
    vote = Vote::no("RESULT_TOO_LARGE", fmt::format("the result has {} bytes, above the limit of {}",
                                                    vote.result.size(), options_.limits.result_bytes_max));
  }
  auto settled = vote.kind == Vote::Kind::no ? local.undo_work() : local.keep_work();
  if (!settled) return fail(settled.error());
  const Register written = record_vote(branch, call.payload, vote, now());
  if (auto updated = local.update(key, written); !updated) return fail(updated.error());
  if (auto committed = scope.commit(); !committed && !planted(Bug::vote_before_local_commit)) {
    return fail(committed.error());
  }
  return judge(Call::prepare, written, branch.attempt).answer;  // what every duplicate will hear
}

// ---- commit and abort ----

Answer Branches::end(Call call, const Branch& branch, const std::string& participant) {
  ASSENT_CHECK(call != Call::prepare, "prepare() is for that");
  if (auto wrong = check(branch, participant, options_.name)) return *wrong;
  const Lane lane(*this, {branch.txn, branch.name}, call);
  if (lane.refusal()) return *lane.refusal();
  Answer answer = run_end(call, branch);
  forget_now_and_then();
  return answer;
}

Answer Branches::run_end(Call call, const Branch& branch) {
  for (int i = 0; i < tries_max; ++i) {
    const Result<bool> done = enrolled_->end_at_once(branch, call);
    if (!done) return unknown(done.error());
    if (*done) return make_answer(AnswerCode::ok, Reason::none, {});
    const auto turn = enrolled_->take();
    if (!turn) return unknown(turn.error());
    Result<Answer> answer = try_end(**turn, call, branch);
    if (answer) return std::move(*answer);
    if (answer.error().code != ErrorCode::conflict) return unknown(answer.error());
  }
  return make_answer(AnswerCode::running, Reason::still_running, "the branch is being written elsewhere; ask again");
}

// The row is written before the work runs: work that ends the local transaction by itself must not run a second time.
Result<Answer> Branches::try_end(Turn& turn, Call call, const Branch& branch) {
  LocalTransaction& local = turn.local();
  const BranchKey key{branch.txn, branch.name};
  Scope scope(local);
  if (auto begun = local.begin(Access::write); !begun) return fail(begun.error());
  auto found = local.load(key);
  if (!found) return fail(found.error());
  if (!*found && call == Call::abort) {
    auto inserted = local.insert(key, record_abort(branch, now()));
    if (!inserted) return fail(inserted.error());
    if (!*inserted) return fail(ErrorCode::conflict, "somebody else wrote the register first");
  }
  if (!*found) {
    const auto through = local.forgotten_through();
    if (!through) return fail(through.error());
    Ruling ruling = judge(call, empty_register(*through, branch.txn), branch.attempt);
    if (!ruling.writes) return std::move(ruling.answer);
    if (auto committed = scope.commit(); !committed) return fail(committed.error());
    return std::move(ruling.answer);
  }

  Ruling ruling = judge(call, **found, branch.attempt);
  if (!ruling.writes) return std::move(ruling.answer);
  const Bytes payload = (*found)->payload;
  const Register ended = record_end(std::move(**found), call, now());
  if (auto updated = local.update(key, ended); !updated) return fail(updated.error());
  if (planted(Bug::work_beside_the_register)) {
    if (auto committed = local.commit(); !committed) return fail(committed.error());
    if (auto begun = local.begin(Access::write); !begun) return fail(begun.error());
  }
  if (auto begun = local.begin_work(); !begun) return fail(begun.error());
  if (auto done = turn.end(call, branch, payload); !done) {
    // An error of the service's own is not a reason to look again.
    return fail(ErrorCode::io, "the service could not: " + done.error().message);
  }
  if (auto kept = local.keep_work(); !kept) return fail(kept.error());
  if (auto committed = scope.commit(); !committed) return fail(committed.error());
  return std::move(ruling.answer);
}

// ---- looking ----

Result<Register> Branches::status(const BranchKey& key, const std::string& participant) {
  Branch asked;
  asked.txn = key.txn;
  asked.name = key.name;
  if (auto wrong = check(asked, participant, options_.name)) return fail(ErrorCode::malformed, wrong->message);
  {
    const std::scoped_lock lock(mutex_);
    if (running_.contains(key)) {
      Register out;
      out.state = BranchState::running;
      return out;
    }
  }
  const auto turn = enrolled_->take();
  if (!turn) return fail(turn.error());
  LocalTransaction& local = (*turn)->local();
  const Scope scope(local);
  if (auto begun = local.begin(Access::read); !begun) return fail(begun.error());
  auto found = local.load(key);
  if (!found) return fail(found.error());
  if (*found) return std::move(**found);
  const auto through = local.forgotten_through();
  if (!through) return fail(through.error());
  return empty_register(*through, key.txn);
}

Result<std::vector<InDoubt>> Branches::in_doubt(milliseconds at_least, std::size_t at_most) {
  const auto turn = enrolled_->take();
  if (!turn) return fail(turn.error());
  const auto age = static_cast<std::uint64_t>(at_least.count());
  const std::uint64_t time = now().value;
  return (*turn)->local().in_doubt(ClusterMillis(time > age ? time - age : 0), at_most);
}

Result<std::size_t> Branches::forget_some() {
  const auto turn = enrolled_->take();
  if (!turn) return fail(turn.error());
  const auto kept = static_cast<std::uint64_t>(options_.retention.count());
  const std::uint64_t time = now().value;
  if (time <= kept) return 0;
  const ClusterMillis before(time - kept);
  LocalTransaction& local = (*turn)->local();
  Scope scope(local);
  if (auto begun = local.begin(Access::write); !begun) return fail(begun.error());
  auto gone = local.forget_rows({.ended = before, .created = before}, forgets_max);
  if (!gone) return gone;
  if (auto committed = scope.commit(); !committed) return fail(committed.error());
  return gone;
}

void Branches::forget_now_and_then() {
  {
    const std::scoped_lock lock(mutex_);
    if (++ended_ % ends_between_forgets != 0) return;
  }
  // What could not be forgotten now is so the next time; the call that happened to come here is answered all the same.
  static_cast<void>(forget_some());
}

}  // namespace assent::service
