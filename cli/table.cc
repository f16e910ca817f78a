#include "cli/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace assent::cli {

namespace {

bool is_number(const std::string& cell) {
  return cell.find_first_not_of("0123456789,.-") == std::string::npos &&
         cell.find_first_of("0123456789") != std::string::npos && cell.find('.') == cell.rfind('.');
}

}  // namespace

void Table::add(std::vector<std::string> cells) {
  ASSENT_CHECK(cells.size() <= headers_.size(), "a row has more cells than the table has columns");
  cells.resize(headers_.size());
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

void Table::print(std::ostream& out, bool with_headers) const {
  std::vector<std::size_t> widths(headers_.size(), 0);
  std::vector<bool> numbers(headers_.size(), !rows_.empty());
  for (std::size_t column = 0; column < headers_.size(); ++column) {
    if (with_headers) widths[column] = display_width(headers_[column]);
    for (const auto& row : rows_) {
      widths[column] = std::max(widths[column], display_width(row[column]));
      numbers[column] = numbers[column] && (row[column].empty() || is_number(row[column]));
    }
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t column = 0; column < cells.size(); ++column) {
      const std::string padding(widths[column] - std::min(widths[column], display_width(cells[column])), ' ');
      if (column > 0) text += "  ";
      if (numbers[column]) text += padding;
      text += cells[column];
      if (!numbers[column]) text += padding;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out << text << '\n';
  };
  if (with_headers) line(headers_);
  for (const auto& row : rows_) line(row);
}

std::string grouped(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out.push_back(',');
    out.push_back(digits[i]);
  }
  return out;
}

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace assent::cli
