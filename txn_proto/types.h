// The language between the parts, as plain structs: what a transaction is, what a shard votes, what came of it.
// Values only. PROTOCOL.md section 1 gives the words. The protobuf forms and the codec stand beside (target txn_proto).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "txn_proto/bill.h"

namespace assent {

// ---- work: what one shard is asked to do
// -----------------------------------------------------------------------------

struct SqlNull {
  bool operator==(const SqlNull&) const = default;
};
struct SqlBlob {
  Bytes bytes;
  bool operator==(const SqlBlob&) const = default;
};
using SqlValue = std::variant<SqlNull, std::int64_t, double, std::string, SqlBlob>;

// expected, here and below: the digest() of what the operation answered when its caller looked before. The transaction
// aborts with a conflict when it answers anything else now.
struct SqlStatement {
  std::string text;  // exactly one statement
  std::vector<SqlValue> parameters;
  std::optional<std::uint64_t> expected = std::nullopt;
  bool operator==(const SqlStatement&) const = default;
};
struct KvGet {
  std::string key;
  std::optional<std::uint64_t> expected = std::nullopt;
  bool operator==(const KvGet&) const = default;
};
struct KvPut {
  std::string key;
  Bytes value;
  bool operator==(const KvPut&) const = default;
};
struct KvErase {
  std::string key;
  bool operator==(const KvErase&) const = default;
};
// The transaction aborts unless the key holds this value; nullopt means absent.
struct KvExpect {
  std::string key;
  std::optional<Bytes> value;
  bool operator==(const KvExpect&) const = default;
};
// Adds to a decimal integer, absent counting as 0; aborts when the sum leaves [floor, ceiling] or overflows.
//
// With escrow any number of transactions may have added to the key and be prepared at once (participant/escrow.h): for
// keys that many write. Nothing is read, so nothing is answered; where the work also does something else with the key,
// escrow has no effect but that.
struct KvAdd {
  std::string key;
  std::int64_t delta = 0;
  std::optional<std::int64_t> floor;
  std::optional<std::int64_t> ceiling;
  bool escrow = false;
  bool operator==(const KvAdd&) const = default;
};
using Operation = std::variant<SqlStatement, KvGet, KvPut, KvErase, KvExpect, KvAdd>;

using Work = std::vector<Operation>;  // executed in order, all on the same state

// What one operation answered.
struct OperationResult {
  std::vector<std::string> columns;         // of a statement that returns rows
  std::vector<std::vector<SqlValue>> rows;  // KvGet: one row with the value, none when absent; KvAdd: the new value
                                            // (none with escrow)
  std::uint64_t rows_affected = 0;
  bool operator==(const OperationResult&) const = default;
};
using WorkResult = std::vector<OperationResult>;
[[nodiscard]] std::uint64_t digest(const OperationResult& result);  // XXH3-64
// Whether the operation answered what it was expected to, if anything was.
[[nodiscard]] bool as_expected(const Operation& operation, const OperationResult& result);

// ---- a transaction
// ---------------------------------------------------------------------------------------------------

enum class Protocol : std::uint8_t {
  automatic = 0,  // the cheapest that is sound for the participants present
  one_phase = 1,
  two_phase = 2,
  three_phase = 3,
  paxos_commit = 4,
};

// The replicated votes are the decision: nobody has to log one. Such a vote counts whatever attempt it is of.
[[nodiscard]] constexpr bool votes_decide(Protocol protocol) { return protocol == Protocol::paxos_commit; }
// What a majority of the acceptors, the participants and the coordinator group, accepted in one ballot is the decision.
[[nodiscard]] constexpr bool ballots_decide(Protocol protocol) { return protocol == Protocol::three_phase; }
// A vote is of a content, whatever attempt asked for it, and the shards bring what they voted on to its end without the
// coordinator group.
[[nodiscard]] constexpr bool by_content(Protocol protocol) {
  return votes_decide(protocol) || ballots_decide(protocol);
}

// Where a service that takes part is reached (assent.v1.Participant).
struct ServiceAddress {
  std::string name;         // of the branch, another one for each of a transaction
  std::string target;       // host:port
  std::string participant;  // whom the caller believes to be there; empty: not told
  auto operator<=>(const ServiceAddress&) const = default;
};
// For how long a service that has not voted is asked again, within the transaction's own time; then the transaction
// aborts. 0: no bound of its own.
struct Patience {
  std::uint64_t ticks = 0;  // from the first call to it
  std::uint64_t calls = 0;
  [[nodiscard]] bool endless() const { return ticks == 0 && calls == 0; }
  bool operator==(const Patience&) const = default;
};
// What a service is asked to do: its own business, which Assent does not read.
struct ServiceWork {
  ServiceAddress at;
  Bytes payload;
  // Of a saga: it is called when the saga is committed, and for as long as it has not done its step. So it is never
  // compensated, and whoever comes before it (the last of them is the pivot) decides.
  bool retriable = false;
  Patience patience = {};  // no part of what the transaction is: not in its fingerprint
  bool operator==(const ServiceWork&) const = default;
};

// A participant that is a service has no group. Within its transaction it goes by a number that stands where a group's
// id would: first_service for the first one, and so on. No group's id lies there (txn_proto/names.h).
inline constexpr GroupId first_service{std::uint64_t{1} << 62U};
[[nodiscard]] constexpr bool is_service(GroupId participant) {
  return participant >= first_service && participant.value < std::uint64_t{1} << 63U;
}

// What a transaction is to its services, all of it on the same decision (PROTOCOL.md section 7):
//   atomic           each promises at Prepare, and does or undoes at the end
//   tcc              the same with other names: try, confirm, cancel
//   saga             each does its step at Prepare for all to see, one after the other; an abort is its compensation,
//                    in the reverse order
//   concurrent_saga  the same, all at once
// All but atomic are recorded: the log holds who takes part before anybody is called, and so every service named hears
// the end for certain, an abort too. Shards take part atomically in each.
enum class Mode : std::uint8_t { atomic, tcc, saga, concurrent_saga };
inline constexpr Mode mode_last = Mode::concurrent_saga;
[[nodiscard]] std::string_view to_string(Mode mode);
// The mode of that name.
[[nodiscard]] std::optional<Mode> mode_named(std::string_view name);
[[nodiscard]] constexpr bool is_recorded(Mode mode) { return mode != Mode::atomic; }
[[nodiscard]] constexpr bool is_ordered(Mode mode) { return mode == Mode::saga; }
[[nodiscard]] constexpr bool is_saga(Mode mode) { return mode == Mode::saga || mode == Mode::concurrent_saga; }

// Which trace a transaction belongs to, when its caller named one: bytes that nobody here reads (to_bytes() of
// observe/trace_context.h), kept and handed on so that whoever carries the transaction on continues that trace. Empty:
// none named. No part of the content, so no fingerprint covers it; more than this is dropped where it is decoded.
inline constexpr std::size_t trace_bytes_max = 16 + 8 + 1 + 512;

// The work of one participant: a shard, or a service.
struct Branch {
  GroupId shard;  // or the service's number
  Work work;      // of a shard
  std::optional<ServiceWork> service = std::nullopt;
  bool operator==(const Branch&) const = default;
};
// In the order of their numbers.
[[nodiscard]] std::vector<ServiceAddress> services_of(const std::vector<Branch>& branches);

// What a retriable service of a saga is asked to do, kept until it has done it.
struct RetriableStep {
  GroupId service;
  Bytes payload;
  bool operator==(const RetriableStep&) const = default;
};
[[nodiscard]] inline bool is_retriable(const Branch& branch) { return branch.service && branch.service->retriable; }
[[nodiscard]] std::vector<RetriableStep> retriable_steps_of(const std::vector<Branch>& branches);

// The coordinator's epoch and a counter in its leader's memory. Orders by epoch, then number; {0,0} is none.
struct Attempt {
  Epoch epoch;
  std::uint64_t number = 0;
  auto operator<=>(const Attempt&) const = default;
};

enum class AbortReason : std::uint8_t {
  none = 0,
  conflict = 1,    // lock held by holder (wait-die refused it), or the state changed under it
  constraint = 2,  // CHECK, UNIQUE, NOT NULL, FOREIGN KEY, a bound of Add, a failed Expect
  invalid = 3,     // the work cannot be run: syntax, missing table, no primary key, forbidden statement
  timeout = 4,     // not everybody had voted in time
  sealed = 5,      // somebody asked for the outcome with seal before it was decided
  too_old = 6,     // the id is older than the retention or too far in the future
  superseded = 7,  // a participant had already voted in an earlier attempt that can no longer commit
  reused_id = 8,   // this id was already used with other content
  too_large = 9,   // over a size limit
  presumed = 10,   // the coordinator has no commit record of it (presumed abort)
  refused = 11,    // a service said no, for a reason of its own
};
inline constexpr AbortReason abort_reason_last = AbortReason::refused;
[[nodiscard]] std::string_view to_string(AbortReason reason);

// Why a transaction aborted, for a person and for a program.
struct Refusal {
  AbortReason reason = AbortReason::none;
  GroupId participant;     // who said no; none when it was the coordinator
  std::string message;     // one sentence
  std::string constraint;  // name or text of the violated constraint, with reason constraint
  TxnId holder;            // who holds the lock, with reason conflict
  bool operator==(const Refusal&) const = default;
};

enum class Outcome : std::uint8_t {
  none = 0,  // undecided, or nothing known
  committed = 1,
  aborted = 2,
};
[[nodiscard]] std::string_view to_string(Outcome outcome);
[[nodiscard]] std::string_view to_string(Protocol protocol);
// The reverse; nothing when there is no such protocol.
[[nodiscard]] std::optional<Protocol> protocol_named(std::string_view name);

// ---- locks
// -----------------------------------------------------------------------------------------------------------

// Multi-granularity locks (Gray 1976), reduced to what is used: a table is the parent of its rows.
enum class LockMode : std::uint8_t {
  intention_shared = 0,     // on a table: some rows are read
  intention_exclusive = 1,  // on a table: some rows are written
  shared = 2,               // a row, or a table that is read as a whole
  exclusive = 3,            // a row, or a table whose shape changes
  escrow = 4,               // a row that is a counter: others may add to it, and nothing else
};
struct LockRequest {
  Bytes key;  // opaque; equal keys are the same thing
  LockMode mode = LockMode::shared;
  auto operator<=>(const LockRequest&) const = default;
};

// What a transaction adds to a counter whose value it does not know: others may add to it as well, before or after.
// low and high bound the value that it may find there.
struct CounterAdd {
  std::string key;
  std::int64_t delta = 0;
  std::int64_t low = std::numeric_limits<std::int64_t>::min();
  std::int64_t high = std::numeric_limits<std::int64_t>::max();
  bool operator==(const CounterAdd&) const = default;
};

// What the shard leader found by running the work, and what is replicated in its place (ARCHITECTURE: effects, not
// statements). change is the store's own format and empty when nothing is written.
struct Effects {
  Bytes change;
  std::vector<LockRequest> locks;     // ascending by key, one per key
  std::vector<CounterAdd> adds = {};  // ascending by key, one per key, none of which is in change
  bool operator==(const Effects&) const = default;
};

// ---- messages between groups
// -----------------------------------------------------------------------------------------

struct Prepare {
  TxnId txn;
  Attempt attempt;
  GroupId coordinator;
  std::vector<GroupId> participants;  // all of them, ascending
  std::uint64_t fingerprint = 0;      // of the whole transaction: protocol, branches and all their work
  TxnId age;                          // the id of the first attempt of the caller's closure; wait-die compares these
  Work work;                          // for the addressed shard alone
  Protocol protocol = Protocol::two_phase;
  Bytes trace = {};
  bool operator==(const Prepare&) const = default;
};
struct Vote {
  TxnId txn;
  Attempt attempt;  // as recorded with the vote in the shard's log
  bool yes = false;
  Refusal refusal;    // with no
  WorkResult result;  // with yes
  Protocol protocol = Protocol::two_phase;
  std::uint64_t fingerprint = 0;  // of what was voted on; with yes
  Cost cost = {};                 // of this vote, as far as its sender knows
  Bytes trace = {};               // with yes, as the shard's log has it
  bool operator==(const Vote&) const = default;
};
// The outcome, to a participant. Two-phase names the attempt whose votes it finishes; the others name the content that
// was voted on, whatever the attempt (by_content).
struct Finish {
  TxnId txn;
  Attempt attempt;
  bool commit = false;
  Protocol protocol = Protocol::two_phase;
  std::uint64_t fingerprint = 0;
  Bytes trace = {};  // as far as its sender knows
  bool operator==(const Finish&) const = default;
};
struct Finished {
  TxnId txn;
  Attempt attempt;
  bool commit = false;
  Protocol protocol = Protocol::two_phase;
  std::uint64_t fingerprint = 0;
  Cost cost = {};                   // of finishing it; none when there was nothing left to finish
  std::uint64_t locked_millis = 0;  // how long its locks were held
  bool operator==(const Finished&) const = default;
};
// The answer to it.
[[nodiscard]] inline Finished finished_of(const Finish& finish) {
  Finished done;
  done.txn = finish.txn;
  done.attempt = finish.attempt;
  done.commit = finish.commit;
  done.protocol = finish.protocol;
  done.fingerprint = finish.fingerprint;
  return done;
}
// A prepared shard asks its coordinator what came of the attempt it voted in. Answered with Finish, with Attended, or
// not at all.
struct Inquire {
  TxnId txn;
  Attempt attempt;
  Protocol protocol = Protocol::two_phase;
  std::uint64_t fingerprint = 0;
  Bytes trace = {};
  bool operator==(const Inquire&) const = default;
};
// Does the coordinator's leader still run what a shard is in doubt about? If not, the shards resolve it themselves.
struct Attended {
  TxnId txn;
  bool running = false;
  bool operator==(const Attended&) const = default;
};
// What does your vote register say? A seal fills an empty one with a no first, so that it is never empty for long; a
// look does not.
struct Seal {
  TxnId txn;
  bool look = false;
  bool operator==(const Seal&) const = default;
};
// What a vote register says; all but empty is final. old: empty, and T too old to be prepared ever again.
enum class Standing : std::uint8_t {
  empty = 0,
  old = 1,
  prepared = 2,  // yes
  committed = 3,
  aborted = 4,  // a no, or a yes that was aborted
};
struct Report {
  TxnId txn;
  Standing standing = Standing::empty;
  Protocol protocol = Protocol::automatic;  // of what was voted on; automatic: nothing was, it was sealed
  Attempt attempt;
  std::uint64_t fingerprint = 0;      // 0: the content was never seen
  std::vector<GroupId> participants;  // empty when not known
  Refusal refusal;                    // with aborted
  Cost cost = {};                     // of filling the register, when this seal did
  Bytes trace = {};                   // with prepared
  bool operator==(const Report&) const = default;
};
// Old commits of a shard, to another participant or to the coordinator: have you finished them, do you have their
// outcome? Once all said so, nobody will ever ask for them: the register may be forgotten.
struct OldCommit {
  TxnId txn;
  std::uint64_t fingerprint = 0;
  Protocol protocol = Protocol::paxos_commit;
  bool operator==(const OldCommit&) const = default;
};
struct Confirm {
  std::vector<OldCommit> commits;
  bool operator==(const Confirm&) const = default;
};
struct Confirmed {
  std::vector<TxnId> txns;
  bool operator==(const Confirmed&) const = default;
};

// Where ballots decide (PROTOCOL.md section 2, three-phase): orders by round, then by who opened it. Round 0 belongs to
// the coordinator, who knows that all votes are yes: its value is commit, whoever says it. Every other ballot belongs
// to one leader of one group.
struct Ballot {
  std::uint64_t round = 0;
  GroupId by;
  Epoch epoch;
  auto operator<=>(const Ballot&) const = default;
};
// To an acceptor: promise to accept nothing below this ballot; or, with a value, accept it. To promise round 0 is to
// promise nothing: such a request only asks how the acceptor stands.
struct BallotRequest {
  TxnId txn;
  Ballot ballot;
  Outcome value = Outcome::none;  // none: a promise is asked for
  std::uint64_t fingerprint = 0;
  std::vector<GroupId> participants;

  [[nodiscard]] bool only_looks() const { return ballot.round == 0 && value == Outcome::none; }
  bool operator==(const BallotRequest&) const = default;
};
// How an acceptor stands. Promises and acceptances only grow, so a reply that comes late is merely old.
struct BallotReply {
  TxnId txn;
  std::uint64_t fingerprint = 0;           // of the content it speaks of; 0: never seen
  Standing standing = Standing::prepared;  // committed, aborted, old: nothing more can be said there
  Ballot promised;
  Ballot accepted;  // with a value
  Outcome value = Outcome::none;
  Refusal refusal;  // with aborted
  Cost cost = {};   // of the entry that this answers for
  bool operator==(const BallotReply&) const = default;
};
// How the last call to a service went when it brought neither a vote nor an end: for those who ask what T waits for.
struct Trouble {
  TxnId txn;
  Attempt attempt;
  std::string message;  // one sentence
  bool operator==(const Trouble&) const = default;
};
using TxnMessage = std::variant<Prepare, Vote, Finish, Finished, Inquire, Attended, Seal, Report, Confirm, Confirmed,
                                BallotRequest, BallotReply, Trouble>;

struct Envelope {
  GroupId from;
  GroupId to;
  TxnMessage message;
  bool operator==(const Envelope&) const = default;
};

// To a service, from a coordinator group: Prepare or Finish. What it answers (Vote, Finished, Trouble) comes back as an
// envelope from its number.
struct ServiceCall {
  GroupId from;
  GroupId number;
  ServiceAddress at;
  Bytes payload;            // with Prepare
  std::uint64_t ticks = 0;  // with Prepare: what is left for it to vote
  TxnMessage message;
  bool operator==(const ServiceCall&) const = default;
};

// What an operator forced on a shard (Override), as the shard remembers it.
struct Heuristic {
  bool commit = false;
  ClusterMillis at;
  std::string reason;
  bool operator==(const Heuristic&) const = default;
};

// ---- what a client asks and hears
// ------------------------------------------------------------------------------------

struct Execute {
  TxnId txn;
  TxnId age;  // none: the transaction's own id
  Protocol protocol = Protocol::automatic;
  std::vector<Branch> branches;     // one per participant, shards in the order of their ids, then services; none empty
  std::uint64_t timeout_ticks = 0;  // 0: the configured default
  Mode mode = Mode::atomic;         // any other only with services
  Bytes trace = {};
  bool operator==(const Execute&) const = default;
};
// What automatic stands for: a function of the content alone, so that every leader takes the same for the same T.
[[nodiscard]] Protocol effective_protocol(const Execute& execute);
// Executed by its shard's group; any other by a coordinator group.
[[nodiscard]] bool is_one_phase(const Execute& execute);
// XXH3-64 over the effective protocol, branches and all their work: a reused id with other content has another one.
[[nodiscard]] std::uint64_t fingerprint(const Execute& execute);
// XXH3-64 of the work alone.
[[nodiscard]] std::uint64_t fingerprint(const Work& work);

// A linearizable read on one shard: read-only statements and KvGet. With max_staleness_micros, a stale one.
struct Query {
  Work work;
  // The work may write: it is run and taken back, so that what it reads shows its own writes. Answered with digests.
  bool rehearse = false;
  // Answered with whether what the work reads may have changed behind this index, or is about to; with no results.
  std::optional<Index> unchanged_since = std::nullopt;
  // Any replica may answer that can prove that everything that was told to be committed longer ago shows in it. Not
  // with rehearse or unchanged_since.
  std::optional<std::uint64_t> max_staleness_micros = std::nullopt;
  bool operator==(const Query&) const = default;
};
// What came of T, at its coordinator group, or at the shard of a one-phase transaction. Waits while it is running. With
// seal: after the answer T will never commit unless it has.
struct GetOutcome {
  TxnId txn;
  bool seal = false;
  std::uint64_t wait_ticks = 0;
  bool operator==(const GetOutcome&) const = default;
};
// An operator forces an end on a shard that is in doubt about T (heuristic decision, X/Open XA), against the protocol.
// Asked of the shard itself. T's register stays as it is; what it comes to in the end may disagree.
struct Override {
  TxnId txn;
  bool commit = false;
  std::string reason;  // the operator's words; 1 to override_reason_bytes_max bytes
  bool operator==(const Override&) const = default;
};
inline constexpr std::size_t override_reason_bytes_max = 1'000;
// An operator has dealt with what was forced on T at a shard: it is not to be listed there any more. Refused until T
// has ended there, for its true outcome is still to be held against what was forced.
struct Forget {
  TxnId txn;
  std::string reason;  // as above
  bool operator==(const Forget&) const = default;
};
// What is outstanding for T at its coordinator's leader is sent again at once, whatever pause it is in. Refused when T
// is over, or not known there.
struct Retry {
  TxnId txn;
  bool operator==(const Retry&) const = default;
};
// An operator has brought T's part at a service to its end by hand, the one that T came to (commit or not): the service
// is not called about it any more. Asked of the coordinator group; refused while nothing is wrong with the service.
struct OverrideService {
  TxnId txn;
  std::string service;  // the branch's name
  bool commit = false;
  std::string reason;  // as above
  bool operator==(const OverrideService&) const = default;
};
using ClientBody = std::variant<Execute, Query, GetOutcome, Override, Forget, Retry, OverrideService>;

struct ClientRequest {
  RequestId id;
  GroupId group;  // which group's leader this node is asked to be
  ClientBody body;
};

struct BranchResult {
  GroupId shard;
  WorkResult result;
  bool operator==(const BranchResult&) const = default;
};

// The state of T at the group that was asked.
enum class TxnState : std::uint8_t {
  unknown = 0,   // no trace of T here: never begun, aborted without a record, or forgotten
  running = 1,   // undecided, an attempt is on its way
  prepared = 2,  // at a shard: voted yes, in doubt
  committed = 3,
  aborted = 4,
  expired = 5,  // older than the history that is kept
};
[[nodiscard]] std::string_view to_string(TxnState state);

struct TxnAnswer {
  TxnId txn;
  TxnState state = TxnState::unknown;
  Protocol protocol = Protocol::automatic;
  Attempt attempt;  // of a two-phase commit: whose yes-es count; else {0,0}
  Mode mode = Mode::atomic;
  Refusal refusal;                            // with aborted
  std::vector<BranchResult> results;          // with committed, to the caller of Execute; not kept for later askers
  std::vector<GroupId> participants;          // when known
  std::vector<ServiceAddress> services = {};  // of the participants that are services, in the order of their numbers
  ClusterMillis decided_at;                   // when known
  Bill bill;                                  // to the caller of Execute; later while the leader remembers
  bool by_hand = false;                       // an operator ended the part of a service (OverrideService)
  bool operator==(const TxnAnswer&) const = default;
};
struct QueryAnswer {
  WorkResult result;
  Index at;                                 // the log index that the read reflects
  std::vector<std::uint64_t> digests = {};  // of the results, with rehearse
  bool changed = false;                     // with unchanged_since
  // With max_staleness_micros: everything told to be committed longer ago shows in it.
  std::optional<std::uint64_t> age_micros_max = std::nullopt;
  bool operator==(const QueryAnswer&) const = default;
};
using ClientAnswer = std::variant<TxnAnswer, QueryAnswer>;

struct ClientReply {
  RequestId id;
  Result<ClientAnswer> answer;
};

}  // namespace assent
