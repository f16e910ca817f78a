// A service for tests: writes what it did into tables of its own, so that a test can count what took effect.
//
// Its language (the payload): words apart by spaces, done in order by prepare.
//   yes, read-only, no           the vote; yes when there is none
//   result=X                     with the vote
//   later=N                      the first N prepares are put off
//   throw                        a std::exception
//   bad-sql                      a statement that fails, and is not minded
//   end-transaction              COMMIT, which it must not do
//   fail-commit=N, fail-abort=N  the first N calls say an Error, after having done their work
//   throw-commit=N               the same, thrown
//   end-transaction-in-commit    COMMIT, then an effect
// Each call that comes leaves a row in `effects`, which a rollback takes away, and counts in `calls`, which it does
// not.
#pragma once

#include <fmt/format.h>

#include <map>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>

#include "service/participant.h"
#include "tests/service/database_kinds.h"

namespace assent::service::testing {

template <class Kind>
class TestParticipant : public Participant<typename Kind::Connection> {
 public:
  using Connection = typename Kind::Connection;

  static void make_tables(Connection& connection) {
    Kind::execute(connection, "CREATE TABLE effects(txn VARCHAR(32), branch VARCHAR(300), what VARCHAR(20))");
  }

  Vote prepare(const Branch& branch, Connection& connection, ByteView payload) override {
    const int calls = count("prepare");
    effect(branch, connection, "prepare");
    const Words words = read(payload);
    if (words.contains("bad-sql"))
      static_cast<void>(Kind::try_execute(connection, "INSERT INTO no_such_table VALUES(1)"));
    if (words.contains("later") && calls <= std::stoi(words.at("later"))) return Vote::later("out of paper");
    if (words.contains("throw")) throw std::runtime_error("the service fell over");
    if (words.contains("end-transaction")) Kind::execute(connection, "COMMIT");
    const Bytes result = words.contains("result") ? words.at("result") : "";
    if (words.contains("no")) return Vote::no("SO_IT_IS", "the payload said no");
    return words.contains("read-only") ? Vote::read_only(result) : Vote::yes(result);
  }

  Result<void> commit(const Branch& branch, Connection& connection, ByteView payload) override {
    const int calls = count("commit");
    effect(branch, connection, "commit");
    const Words words = read(payload);
    if (words.contains("throw-commit") && calls <= std::stoi(words.at("throw-commit"))) {
      throw std::runtime_error("the commit fell over");
    }
    if (words.contains("end-transaction-in-commit")) Kind::execute(connection, "COMMIT");
    return failing(words, "fail-commit", calls);
  }

  Result<void> abort(const Branch& branch, Connection& connection, ByteView payload) override {
    const int calls = count("abort");
    effect(branch, connection, "abort");
    return failing(read(payload), "fail-abort", calls);
  }

  [[nodiscard]] int calls(const std::string& what) {
    const std::scoped_lock lock(mutex_);
    return calls_[what];
  }

  static std::int64_t effects(Connection& connection, const Branch& branch, const std::string& what) {
    return Kind::number(connection, fmt::format("SELECT count(*) FROM effects WHERE txn = '{}' AND branch = '{}' AND "
                                                "what = '{}'",
                                                branch.txn.to_hex(), quoted(branch.name), what));
  }

 private:
  using Words = std::map<std::string, std::string>;

  // As it may stand between single quotes.
  static std::string quoted(const std::string& text) {
    std::string out;
    for (const char c : text) out += c == '\'' ? "''" : std::string(1, c);
    return out;
  }

  static Words read(ByteView payload) {
    Words words;
    std::istringstream in{std::string(payload)};
    for (std::string word; in >> word;) {
      const std::size_t equals = word.find('=');
      words[word.substr(0, equals)] = equals == std::string::npos ? "" : word.substr(equals + 1);
    }
    return words;
  }

  static Result<void> failing(const Words& words, const std::string& word, int calls) {
    if (!words.contains(word) || calls > std::stoi(words.at(word))) return {};
    return fail(ErrorCode::refused, "the payload says that it fails");
  }

  static void effect(const Branch& branch, Connection& connection, const std::string& what) {
    Kind::execute(connection, fmt::format("INSERT INTO effects VALUES('{}', '{}', '{}')", branch.txn.to_hex(),
                                          quoted(branch.name), what));
  }

  int count(const std::string& what) {
    const std::scoped_lock lock(mutex_);
    return ++calls_[what];
  }

  std::mutex mutex_;  // protects calls_
  std::map<std::string, int> calls_;
};

}  // namespace assent::service::testing
