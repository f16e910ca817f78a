// The small languages of the command line: durations, SQL parameters, and whether a statement only reads. Pure
// functions.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "client/transaction.h"
#include "txn_proto/types.h"

namespace assent::cli {

// "250ms", "5s", "2m", "1h"; a fraction is allowed ("1.5s"). Nothing for anything else, and for more than a year.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// 5 is an integer, 5.5 a real, null is NULL, all else is text; text:5, int:5, real:5 and hex:00ff (a blob) say it
// outright. Nothing when what follows the prefix is not what it promises.
[[nodiscard]] std::optional<SqlValue> parse_parameter(std::string_view text);

// hex:00ff is those bytes; text:V and any other text is the text. Nothing when hex: is followed by no hex digits in
// pairs.
[[nodiscard]] std::optional<std::string> parse_payload(std::string_view text);

// One host:port.
[[nodiscard]] std::optional<std::string> parse_target(std::string_view text);

// Where a service is called (txn_proto/service_target.h): host:port, grpcs://, http:// or https://.
[[nodiscard]] std::optional<std::string> parse_service_target(std::string_view text);

// NAME@HOST:PORT of a service, and what it is to do as parse_payload reads it. Nothing when either is not that.
[[nodiscard]] std::optional<client::ServiceCall> parse_service_call(std::string_view service, std::string_view payload);

// SELECT, VALUES, EXPLAIN, and WITH before a SELECT: these go to a query, all else becomes a transaction. A judgement
// by the first words; the service has the last word on what a query may do.
[[nodiscard]] bool only_reads(std::string_view statement);

}  // namespace assent::cli
