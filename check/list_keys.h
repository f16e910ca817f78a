// The rules of lists that are only appended to, one key at a time, and the dependencies that they prove (Kingsbury &
// Alvaro, Elle, 2020). Every value is appended at most once, so a read tells the whole history of its key.
//
//   internal               a transaction does not see its own appends, or reads two different things
//   duplicate elements     a value appended once is there twice
//   garbage read           a value that nobody appended
//   G1a                    a value whose transaction certainly did not happen
//   G1b                    a state in the middle of somebody's transaction
//   incompatible order     two reads of which neither is the beginning of the other
//   lost append            an append that was told, missing in a read that began later, and seen by nobody
#pragma once

#include "check/evidence.h"

namespace assent::check {

void judge_list_key(const Evidence& evidence, KeyId key, Graph& graph, Verdict& verdict);

}  // namespace assent::check
