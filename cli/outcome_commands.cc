// assentctl txn get, wait, seal and retry: what came of a transaction.
#include <fmt/format.h>

#include "cli/outcome_text.h"
#include "cli/session.h"

namespace assent::cli {

namespace {

// What a seal came to, in one word for a program and one sentence for a person.
struct Sealed {
  std::string word;
  std::string sentence;
};

Sealed sealed(const client::TxnOutcome& outcome) {
  if (outcome.committed()) return {"had_committed", "it had committed before; nothing was changed"};
  if (!outcome.aborted()) return {"open", "not sealed: it may still commit; ask again"};
  if (outcome.abort.reason == AbortReason::sealed) return {"sealed", "it is sealed now and can never commit"};
  return {"had_aborted", "it had aborted before and can never commit"};
}

}  // namespace

ExitCode run(const Session& session, const TxnGetCommand& command) {
  const client::OutcomeRequest question{command.id, command.seal, command.wait, command.group};
  return conclude(session, session.client.get_outcome(question, session.global.timeout + command.wait));
}

ExitCode run(const Session& session, const TxnWaitCommand& command) {
  const client::OutcomeRequest question{command.id, false, command.at_most, {}};
  client::Result<client::TxnOutcome> told =
      session.client.get_outcome(question, session.global.timeout + command.at_most);
  const bool undecided = told && (told->state == TxnState::running || told->state == TxnState::prepared);
  if (undecided) told->note = fmt::format("it still was undecided after {} ms", command.at_most.count());
  const ExitCode code = conclude(session, told);
  return undecided ? ExitCode::timed_out : code;
}

ExitCode run(const Session& session, const TxnSealCommand& command) {
  const client::OutcomeRequest question{command.id, true, command.wait, {}};
  const client::Result<client::TxnOutcome> told =
      session.client.get_outcome(question, session.global.timeout + command.wait);
  if (!told) return conclude(session, told);
  const Sealed seal = sealed(*told);
  if (session.json()) {
    Json document = to_json(*told);
    document["seal"] = seal.word;
    session.print(document);
  } else {
    print_outcome(session, *told);
    print_fact(session, "seal", seal.sentence);
  }
  return told->definite() ? exit_code_of(*told) : ExitCode::unknown;
}

// How it stands, now that everything was sent again.
ExitCode run(const Session& session, const TxnRetryCommand& command) {
  const client::Result<client::TxnOutcome> told = session.client.retry(command.id);
  if (!told && told.error().code == client::ErrorCode::refused) {
    return refuse(session, command.id, told.error().message, "see assentctl txn get");
  }
  return conclude(session, told);
}

}  // namespace assent::cli
