#include "client/transaction.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <random>

namespace assent::client {

TxnId new_txn_id() {
  // Of the system's generator, at once: no seed to share between threads or to lose in a fork, a third of a
  // microsecond.
  std::array<std::uint64_t, 2> random{};
  if (getentropy(random.data(), sizeof(random)) != 0) {
    std::random_device device;
    for (std::uint64_t& word : random) word = (static_cast<std::uint64_t>(device()) << 32U) | device();
  }
  const auto now =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  return TxnId::make(ClusterMillis(static_cast<std::uint64_t>(now.count())), random[0], random[1]);
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
