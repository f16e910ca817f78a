// Who may act by http: whoever sends one of the tokens of a file that the operator keeps. No file: nobody may.
//
// A value; safe from any thread. Comparing takes as long for a wrong token as for the right one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace assent {

class AdminTokens {
 public:
  static constexpr std::size_t least_bytes = 16;

  AdminTokens() = default;
  // One token a line; lines that begin with # and empty ones count for nothing. malformed for a token that is too short
  // or has other characters than printable ones without blanks.
  [[nodiscard]] static Result<AdminTokens> parse(std::string_view text);
  // Of a file; io when it cannot be read. An empty name: no tokens.
  [[nodiscard]] static Result<AdminTokens> read(const std::string& file);

  [[nodiscard]] bool empty() const { return tokens_.empty(); }
  // Of the header Authorization: "Bearer TOKEN".
  [[nodiscard]] bool allow(std::string_view authorization) const;

 private:
  std::vector<std::string> tokens_;
};

}  // namespace assent
