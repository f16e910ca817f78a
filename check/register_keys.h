// The rules of registers, one key at a time, and the dependencies that they prove. Wants every value written at most
// once (`attributable`), so that a read names the write that it saw; a read of nothing saw the version before all.
//
//   internal             a transaction does not see its own write, or reads two different things
//   garbage read         a value that nobody wrote
//   G1a                  a value whose transaction certainly did not happen
//   G1b                  a value that its own transaction replaced
//   not linearizable     the key alone, with its reads and writes each as an operation of its own, has no order that
//                        agrees with real time (Gibbons & Korach 1997: the zones of two versions overlap)
//
// The order of the versions follows from real time, as every register must be linearizable by itself, and from
// transactions that read one version and write the next.
#pragma once

#include "check/evidence.h"

namespace assent::check {

void judge_register_key(const Evidence& evidence, KeyId key, Graph& graph, Verdict& verdict);

}  // namespace assent::check
