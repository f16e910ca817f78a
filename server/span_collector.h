// Chooses the transactions whose spans are exported, when they are over, and gathers what all nodes recorded of them.
// Those that went another way than most (slow, recovered, in doubt) also get a line in the log, with their trace.
//
// The node that begins a transaction, or carries one on that another had begun, exports all of it: so each is exported
// once, whole, and the others need no decision of their own. Used on the loop's thread, round() some ten times a
// second: often, so that each is short.
//
// Invariants: a transaction that is not over is looked at again, for rounds_max rounds, and then exported as it is: one
// that hangs is worth to be seen. A round asks for at most gather_max; what is beyond is dropped and counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "node/transport.h"
#include "observe/recorder.h"
#include "observe/trace_sampler.h"
#include "server/observe_service.h"
#include "server/span_exporter.h"

namespace assent {

struct CollectorOptions {
  std::size_t rounds_max = 600;
  std::size_t gather_max = 200;
  std::size_t waiting_max = 100'000;
};

class SpanCollector {
 public:
  // All of it outlives this. exporter null: nothing is exported.
  SpanCollector(Recorder& recorder, ObserveService& observe, SpanExporter* exporter, const Clock& clock,
                const SamplerOptions& sampler, CollectorOptions options = {})
      : recorder_(recorder),
        observe_(observe),
        exporter_(exporter),
        clock_(clock),
        sampler_(sampler),
        options_(options) {}

  void round();

 private:
  struct Waiting {
    TxnId txn;
    std::size_t rounds = 0;
  };

  Recorder& recorder_;
  ObserveService& observe_;
  SpanExporter* exporter_;
  const Clock& clock_;
  const SamplerOptions sampler_;
  const CollectorOptions options_;
  std::vector<Waiting> waiting_;
};

}  // namespace assent
