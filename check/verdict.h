// What a judge found: the anomalies by the names of Adya and Elle, each told in words, and how much was judged.
//
// wrong: no strictly serializable database can have shown this history. sound: the rules that are checked hold (each
// rule is necessary; only the search of search.h is also sufficient). unknown: part of the history could not be judged,
// and no anomaly was found in the rest; `gaps` says why.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace assent::check {

enum class Judgement : std::uint8_t { sound, wrong, unknown };

struct Anomaly {
  std::string name;   // "G-single-realtime"
  std::string story;  // lines, each ending in a newline
  bool operator==(const Anomaly&) const = default;
};

struct Verdict {
  static constexpr std::size_t anomalies_max = 20;  // reported; the rest is only counted

  std::vector<Anomaly> anomalies;
  std::size_t anomalies_found = 0;
  std::vector<std::string> gaps;
  std::size_t transactions = 0;  // that happened
  std::size_t keys = 0;
  std::size_t edges = 0;  // of the dependency graph

  [[nodiscard]] Judgement judgement() const {
    if (anomalies_found > 0) return Judgement::wrong;
    return gaps.empty() ? Judgement::sound : Judgement::unknown;
  }
  [[nodiscard]] bool has(const std::string& name) const {
    for (const Anomaly& anomaly : anomalies) {
      if (anomaly.name == name) return true;
    }
    return false;
  }
  void found(std::string name, std::string story) {
    if (anomalies_found++ < anomalies_max) anomalies.push_back({std::move(name), std::move(story)});
  }
};

}  // namespace assent::check
