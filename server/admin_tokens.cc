#include "server/admin_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace assent {
namespace {

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < b.size(); ++i) {
    const char other = a.empty() ? '\0' : a[i % a.size()];
    difference |= static_cast<unsigned char>(other) ^ static_cast<unsigned char>(b[i]);
  }
  return difference == 0;
}

}  // namespace

Result<AdminTokens> AdminTokens::parse(std::string_view text) {
  AdminTokens tokens;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    const bool printable = std::all_of(line.begin(), line.end(), [](char c) { return c > ' ' && c < 127; });
    if (!printable || line.size() < least_bytes) {
      return fail(
          ErrorCode::malformed,
          fmt::format("line {}: a token is {} printable characters or more, without blanks", number, least_bytes));
    }
    tokens.tokens_.emplace_back(line);
  }
  return tokens;
}

Result<AdminTokens> AdminTokens::read(const std::string& file) {
  if (file.empty()) return AdminTokens();
  std::ifstream in(file, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  if (!in && text.empty()) return fail(ErrorCode::io, fmt::format("cannot read {}", file));
  auto tokens = parse(text);
  if (!tokens) return fail(tokens.error().code, fmt::format("{}: {}", file, tokens.error().message));
  return tokens;
}

bool AdminTokens::allow(std::string_view authorization) const {
  constexpr std::string_view scheme = "Bearer ";
  if (!authorization.starts_with(scheme)) return false;
  authorization.remove_prefix(scheme.size());
  bool found = false;
  for (const std::string& token : tokens_) found = equal_in_constant_time(authorization, token) || found;
  return found;
}

}  // namespace assent
