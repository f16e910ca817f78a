// What a transaction came to, as a person reads it: one fact a line. The JSON form is documents.h.
#pragma once

#include <string>
#include <string_view>

#include "cli/session.h"

namespace assent::cli {

[[nodiscard]] std::string text_of(const SqlValue& value);
void print_rows(const Session& session, const OperationResult& result);
// "name         value"; nothing when there is no value.
void print_fact(const Session& session, std::string_view name, std::string_view value);
void print_outcome(const Session& session, const client::TxnOutcome& outcome);
void print_results(const Session& session, const client::TxnOutcome& outcome);

// Prints why something was not done, and what to do instead.
[[nodiscard]] ExitCode refuse(const Session& session, const TxnId& id, const std::string& why, const std::string& next);
// What cannot be taken back is asked for twice: whether the last digits of the id were typed.
[[nodiscard]] bool confirmed(const Session& session, const TxnId& id, std::string_view question);

// Prints what came of a transaction that was run or asked for, or why it could not be learned.
[[nodiscard]] ExitCode conclude(const Session& session, const client::Result<client::TxnOutcome>& outcome);

}  // namespace assent::cli
