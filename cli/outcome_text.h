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

// Prints what came of a transaction that was run or asked for, or why it could not be learned.
[[nodiscard]] ExitCode conclude(const Session& session, const client::Result<client::TxnOutcome>& outcome);

}  // namespace assent::cli
