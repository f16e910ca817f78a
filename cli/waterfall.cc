#include "cli/waterfall.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

#include "cli/table.h"

namespace assent::cli {
namespace {

constexpr std::size_t name_columns = 26;
constexpr std::size_t duration_columns = 9;

// Cells of one column each, however many bytes they are.
class Bar {
 public:
  Bar(std::size_t columns, std::uint64_t total) : total_(std::max<std::uint64_t>(1, total)), cells_(columns, " ") {}

  void fill(std::int64_t from, std::uint64_t duration, const char* cell) {
    const std::size_t first = column(from);
    const std::size_t last = std::max(first, column(from + static_cast<std::int64_t>(duration)));
    for (std::size_t i = first; i <= last; ++i) cells_[i] = cell;
  }
  void mark(std::int64_t at, const char* cell) {
    std::string& there = cells_[column(at)];
    if (there == " ") there = cell;
  }
  [[nodiscard]] std::string text() const { return fmt::format("{}", fmt::join(cells_, "")); }

 private:
  [[nodiscard]] std::size_t column(std::int64_t at) const {
    const double share = std::clamp(static_cast<double>(at) / static_cast<double>(total_), 0.0, 1.0);
    return std::min(cells_.size() - 1, static_cast<std::size_t>(share * static_cast<double>(cells_.size())));
  }

  std::uint64_t total_;
  std::vector<std::string> cells_;
};

std::string padded(const std::string& text, std::size_t columns) {
  const std::size_t width = display_width(text);
  return width >= columns ? text : text + std::string(columns - width, ' ');
}

const char* sign_of(const v1::TxnSpan& span) {
  if (span.open()) return "…";
  return span.verdict() == "no" || span.verdict() == "abort" ? "✗" : "✓";
}

std::string raft_text(const v1::TxnSpan& raft) {
  if (raft.index() == 0) return fmt::format("raft {} …", raft.group());
  return fmt::format("raft {}#{}  queue {} · fsync {} · replicate {}", raft.group(), raft.index(),
                     duration_of(raft.queued_micros()), duration_of(raft.synced_micros()),
                     duration_of(raft.replicated_micros()));
}

class Waterfall {
 public:
  Waterfall(const v1::TxnTrace& trace, std::size_t columns)
      : trace_(trace),
        columns_(std::max<std::size_t>(10, columns)),
        total_(trace.spans().empty() ? 1 : trace.spans(0).duration_micros()) {}

  std::vector<std::string> draw() {
    head();
    if (!trace_.spans().empty()) children(trace_.spans(0).span_id(), 0);
    if (!trace_.why().empty()) lines_.push_back("why  " + printable(trace_.why()));
    for (const v1::Unreachable& one : trace_.unreachable()) {
      lines_.push_back(fmt::format("{} could not be asked: {}", one.node(), printable(one.why())));
    }
    return std::move(lines_);
  }

 private:
  void head() {
    const v1::TxnSummary& summary = trace_.summary();
    std::string line =
        fmt::format("{}  {}  {}  {}  {}", summary.txn_id(), summary.state(), duration_of(trace_.total_micros()),
                    summary.protocol(), fmt::join(summary.participants(), " "));
    if (summary.recovered()) line += "  recovered";
    lines_.push_back(printable(line));
    std::string marks;
    if (trace_.has_answered_micros())
      marks += fmt::format("client reply ┊ at {}    ", micros_of(trace_.answered_micros()));
    if (trace_.has_commit_point_micros())
      marks += fmt::format("commit point ┃ at {}", micros_of(trace_.commit_point_micros()));
    if (!marks.empty()) lines_.push_back(marks);
    Bar scale(columns_, total_);
    mark(scale);
    lines_.push_back(std::string(name_columns + duration_columns + 2, ' ') + scale.text() + " " + duration_of(total_));
  }
  static std::string micros_of(std::int64_t micros) {
    return duration_of(static_cast<std::uint64_t>(std::max<std::int64_t>(0, micros)));
  }

  void mark(Bar& bar) const {
    if (trace_.has_commit_point_micros()) bar.mark(trace_.commit_point_micros(), "┃");
    if (trace_.has_answered_micros()) bar.mark(trace_.answered_micros(), "┊");
  }

  void children(const std::string& parent, std::size_t depth) {
    for (const v1::TxnSpan& span : trace_.spans()) {
      if (span.parent_id() != parent || span.name() == "raft.propose" || span.name() == "assent.lock") continue;
      row(span, depth);
      children(span.span_id(), depth + 1);
    }
  }

  // With the entries and waits directly below it.
  void row(const v1::TxnSpan& span, std::size_t depth) {
    std::string name = span.name().substr(span.name().find_last_of("./") + 1);
    if (depth > 0) name = span.group() + " " + name;
    if (span.repeats() > 0) name += fmt::format(" ×{}", span.repeats() + 1);
    Bar bar(columns_, total_);
    bar.fill(span.start_micros(), span.duration_micros(), "█");
    std::string note;
    for (const v1::TxnSpan& below : trace_.spans()) {
      if (below.parent_id() != span.span_id()) continue;
      if (below.name() == "assent.lock") {
        bar.fill(below.start_micros(), below.duration_micros(), "▒");
        note = fmt::format("lock wait {}  ", duration_of(below.duration_micros())) + note;
      } else if (below.name() == "raft.propose") {
        note += raft_text(below);
      }
    }
    mark(bar);
    if (span.outside_parent()) note += "  ⚠ clocks differ";
    std::string line =
        fmt::format("{}{}{:>{}}  {} {}", std::string(2 * depth, ' '),
                    padded(fmt::format("{} {}", sign_of(span), printable(name)), name_columns - 2 * depth),
                    duration_of(span.duration_micros()), duration_columns, bar.text(), printable(note));
    line.erase(line.find_last_not_of(' ') + 1);
    lines_.push_back(std::move(line));
  }

  const v1::TxnTrace& trace_;
  const std::size_t columns_;
  const std::uint64_t total_;
  std::vector<std::string> lines_;
};

}  // namespace

std::string duration_of(std::uint64_t micros) {
  const double value = static_cast<double>(micros);
  if (micros < 1'000) return fmt::format("{}µs", micros);
  if (micros < 1'000'000) return fmt::format("{:.1f}ms", value / 1e3);
  return fmt::format("{:.1f}s", value / 1e6);
}

std::vector<std::string> waterfall(const v1::TxnTrace& trace, std::size_t columns) {
  return Waterfall(trace, columns).draw();
}

}  // namespace assent::cli
