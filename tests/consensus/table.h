// Runs the tables of tests/tables: a command, what it is given, the line ----, and the answer. They are in the language
// of etcd's quorum and confchange packages, so that their tables can be dropped in as they are:
//
//     committed cfg=(1,2,3) [cfgj=(2,3,4) | cfgj=zero] idx=(5,_,7,9)   each voter's index, in the order in which the
//                                                                      voters are named first; _: nothing is known
//     vote cfg=(1,2,3) [cfgj=...] votes=(y,n,_)
//     simple | enter-joint [autoleave=true] | leave-joint              with the changes on the next line: v1 makes 1 a
//                                                                      voter, l1 a learner, r1 removes it, u1 says
//                                                                      nothing
//
// A file's membership begins empty. The answer of a change also lists the members with the number of the command that
// brought them in, as `next`. consensus_table_test --rewrite writes what comes out now into the files.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/membership.h"

namespace assent::testing {

struct Row {
  std::string before;  // comments and blank lines, as they stand
  std::string command;
  std::vector<std::string> input;
  std::vector<std::string> output;
};

[[nodiscard]] std::vector<Row> parse_table(const std::string& text);
[[nodiscard]] std::string print_table(const std::vector<Row>& rows);

class Table {
 public:
  std::vector<std::string> run(const Row& row);

 private:
  std::vector<std::string> change(const std::string& verb, bool leaves_by_itself,
                                  const std::vector<std::string>& input);

  Membership membership_;
  bool leaves_by_itself_ = false;
  std::map<Member, std::uint64_t> next_;
  std::uint64_t commands_ = 0;
};

}  // namespace assent::testing
