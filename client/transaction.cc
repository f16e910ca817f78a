#include "client/transaction.h"

#include <algorithm>
#include <random>

namespace assent::client {

TxnId new_txn_id() {
  // std::random_device reads the processor's or the system's generator: no seed to share between threads or to lose in
  // a fork, and well under a microsecond a word.
  thread_local std::random_device device;
  const auto word = [] { return (static_cast<std::uint64_t>(device()) << 32U) | device(); };
  const auto now =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  const std::uint64_t high = word();
  const std::uint64_t low = word();
  return TxnId::make(ClusterMillis(static_cast<std::uint64_t>(now.count())), high, low);
}

Transaction& Transaction::on(std::string_view shard, Operation operation) {
  auto branch = std::find_if(branches.begin(), branches.end(), [&](const Branch& b) { return b.shard == shard; });
  if (branch == branches.end()) branch = branches.insert(branches.end(), Branch{std::string(shard), {}});
  branch->work.push_back(std::move(operation));
  return *this;
}

Transaction& Transaction::call(ServiceCall service) {
  services.push_back(std::move(service));
  return *this;
}

namespace {

const WorkResult& of_shard(const std::vector<BranchResult>& results, std::string_view shard) {
  static const WorkResult none;
  const auto found =
      std::find_if(results.begin(), results.end(), [&](const BranchResult& b) { return b.shard == shard; });
  return found == results.end() ? none : found->results;
}

}  // namespace

const WorkResult& TxnOutcome::of(std::string_view shard) const { return of_shard(results, shard); }

std::optional<Bytes> TxnOutcome::answer_of(std::string_view service) const {
  const WorkResult& result = of(service);
  if (result.size() != 1 || result[0].rows.size() != 1 || result[0].rows[0].size() != 1) return std::nullopt;
  const auto* blob = std::get_if<SqlBlob>(&result[0].rows[0][0]);
  return blob == nullptr ? std::nullopt : std::optional(blob->bytes);
}

const WorkResult& ReadResult::of(std::string_view shard) const { return of_shard(results, shard); }

}  // namespace assent::client
