#include "script.h"

#include <gtest/gtest.h>

#include <map>
#include <sstream>

namespace assent::check {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> out;
  std::stringstream in{std::string(text)};
  for (std::string part; std::getline(in, part, separator);) out.push_back(part);
  return out;
}

Value value_of(std::istream& in) {
  std::string rest;
  std::getline(in >> std::ws, rest);
  rest.erase(rest.find_last_not_of(' ') + 1);
  if (rest.empty() || rest == "nil") return {};
  if (rest.front() != '[') return std::stoll(rest);
  List list;
  std::stringstream elements(rest.substr(1, rest.find(']') - 1));
  for (Number element = 0; elements >> element;) list.push_back(element);
  return list;
}

std::vector<Micro> micros_of(const std::string& text) {
  std::vector<Micro> out;
  for (const std::string& part : split(text, ',')) {
    std::stringstream in(part);
    std::string verb;
    Micro micro;
    in >> verb >> micro.key;
    EXPECT_TRUE(verb == "r" || verb == "w" || verb == "append" || verb == "add") << part;
    micro.kind = verb == "r"        ? OpKind::read
                 : verb == "w"      ? OpKind::write
                 : verb == "append" ? OpKind::append
                                    : OpKind::add;
    micro.value = value_of(in);
    out.push_back(micro);
  }
  return out;
}

std::vector<Micro> without_reads(std::vector<Micro> micros) {
  for (Micro& micro : micros) {
    if (micro.kind == OpKind::read) micro.value = {};
  }
  return micros;
}

}  // namespace

std::vector<Event> events_of(std::string_view script) {
  std::vector<Event> out;
  std::map<std::uint64_t, std::vector<Micro>> under_way;
  std::map<std::uint64_t, std::uint64_t> lives;
  for (const std::string& part : split(script, '|')) {
    std::stringstream in(part);
    char what = 0;
    std::uint64_t process = 0;
    std::string rest;
    in >> what >> process;
    std::getline(in >> std::ws, rest);
    Event event{EventType::invoke, process + 1000 * lives[process], out.size(), {}, {}};
    if (what == '+') {
      under_way[process] = micros_of(rest);
      event.value = without_reads(under_way[process]);
    } else {
      event.type = what == '-' ? EventType::ok : what == '!' ? EventType::fail : EventType::info;
      event.value = what == '-' ? under_way[process] : without_reads(under_way[process]);
      if (what == '?') ++lives[process];
    }
    out.push_back(event);
  }
  return out;
}

History history_of(const std::vector<Event>& events) {
  HistoryBuilder builder;
  for (const Event& event : events) {
    const Result<void> added = builder.add(event);
    EXPECT_TRUE(added) << added.error().message << " at " << to_line(event);
  }
  return builder.take();
}

History history_of(std::string_view script) { return history_of(events_of(script)); }

}  // namespace assent::check
