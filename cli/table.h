// Text in aligned columns.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace assent::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> headers) : headers_(std::move(headers)) {}

  // Fewer cells than headers leave the rest empty; more is a programmer's error.
  void add(std::vector<std::string> cells);
  // Columns whose cells are all numbers are aligned to the right. Two spaces between columns, none at the ends of
  // lines.
  void print(std::ostream& out, bool with_headers) const;

 private:
  std::vector<std::string> headers_;
  std::vector<std::vector<std::string>> rows_;
};

// 1234567 as 1,234,567.
[[nodiscard]] std::string grouped(std::uint64_t number);
// Columns that the text takes up: code points, not bytes.
[[nodiscard]] std::size_t display_width(std::string_view text);
// Control characters as \n, \t or \x1b, so that a cell is one line and cannot command a terminal.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace assent::cli
