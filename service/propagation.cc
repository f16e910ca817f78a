#include "service/propagation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "assent/v1/participant.pb.h"

namespace assent::service {

namespace {

bool is_name(std::string_view text) { return !text.empty() && valid_name(text); }

Result<void> check(const Enlistment& one) {
  if (!is_name(one.branch)) {
    return fail(
        ErrorCode::malformed,
        fmt::format("the branch of an enlistment is 1 to {} bytes of text: too many calls one inside the other, or "
                    "a participant's name that is too long",
                    name_bytes_max));
  }
  if (!is_name(one.participant))
    return fail(ErrorCode::malformed, "the participant of an enlistment has no valid name");
  const std::size_t colon = one.address.rfind(':');
  if (!is_name(one.address) || colon == 0 || colon == std::string::npos || colon + 1 == one.address.size()) {
    return fail(ErrorCode::malformed, "the address of an enlistment is no host:port");
  }
  if (one.payload.size() <= enlisted_payload_bytes_max) return {};
  return fail(
      ErrorCode::malformed,
      fmt::format("the payload of an enlistment has {} bytes, above the {} that metadata carries: keep the work in "
                  "the service, and let the payload name it",
                  one.payload.size(), enlisted_payload_bytes_max));
}

// The value of the key; an Error when there are several that differ.
Result<std::optional<std::string>> single(const Metadata& metadata, const char* key) {
  const auto [begin, end] = metadata.equal_range(key);
  if (begin == end) return std::optional<std::string>();
  const auto differs = [&first = begin->second](const auto& entry) { return entry.second != first; };
  if (std::any_of(begin, end, differs)) {
    return fail(ErrorCode::malformed, fmt::format("metadata {} has several values that differ", key));
  }
  return std::optional(begin->second);
}

void write(grpc::ClientContext& context, const CallerTransaction& caller, std::uint64_t call) {
  context.AddMetadata(txid_key, caller.txn.to_hex());
  context.AddMetadata(branch_key,
                      caller.branch.empty() ? std::to_string(call) : fmt::format("{}.{}", caller.branch, call));
  context.AddMetadata(coordinator_key, caller.coordinator);
}

template <class Take>
Result<std::size_t> gather(const grpc::ClientContext& context, const Take& take) {
  std::size_t count = 0;
  const auto [begin, end] = context.GetServerTrailingMetadata().equal_range(enlisted_key);
  for (auto entry = begin; entry != end; ++entry) {
    auto one = decode({entry->second.data(), entry->second.size()});
    if (!one) return fail(one.error());
    if (auto taken = take(std::move(*one)); !taken) return fail(taken.error());
    ++count;
  }
  return count;
}

}  // namespace

Result<Bytes> encode(const Enlistment& enlistment) {
  if (auto fine = check(enlistment); !fine) return fail(fine.error());
  v1::Enlistment message;
  message.set_branch(enlistment.branch);
  message.set_participant(enlistment.participant);
  message.set_address(enlistment.address);
  message.set_payload(enlistment.payload);
  return message.SerializeAsString();
}

Result<Enlistment> decode(std::string_view bytes) {
  v1::Enlistment message;
  if (bytes.size() > enlisted_bytes_max || !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(ErrorCode::malformed, "an enlistment cannot be read");
  }
  Enlistment out{message.branch(), message.participant(), message.address(), message.payload()};
  if (auto fine = check(out); !fine) return fail(fine.error());
  return out;
}

Result<std::optional<CallerTransaction>> read_caller(const Metadata& metadata) {
  const auto txid = single(metadata, txid_key);
  const auto branch = single(metadata, branch_key);
  const auto coordinator = single(metadata, coordinator_key);
  for (const auto* one : {&txid, &branch, &coordinator}) {
    if (!*one) return fail(one->error());
  }
  if (!*txid && !*branch && !*coordinator) return std::optional<CallerTransaction>();
  if (!*txid || !*branch) {
    return fail(ErrorCode::malformed, fmt::format("metadata {} and {} go together", txid_key, branch_key));
  }
  const std::optional<TxnId> id = TxnId::from_hex(**txid);
  if (!id || id->none() || id->to_hex() != **txid) {
    return fail(ErrorCode::malformed, fmt::format("metadata {} is no transaction id", txid_key));
  }
  CallerTransaction out{*id, **branch, coordinator->value_or("")};
  if (!is_name(out.branch) || !valid_name(out.coordinator)) {
    return fail(ErrorCode::malformed, fmt::format("metadata {} or {} is no valid name", branch_key, coordinator_key));
  }
  return std::optional(std::move(out));
}

Result<bool> Enlistments::add(Enlistment enlistment, bool bounded) {
  const auto there =
      std::find_if(all_.begin(), all_.end(), [&](const Enlistment& one) { return one.branch == enlistment.branch; });
  if (there != all_.end() && *there == enlistment) return false;
  if (there != all_.end()) {
    return fail(ErrorCode::refused,
                fmt::format("the branch {} is enlisted already, with other content", enlistment.branch));
  }
  const auto bytes = encode(enlistment);
  if (!bytes) return fail(bytes.error());
  if (bounded && bytes_ + bytes->size() > enlisted_bytes_max) {
    return fail(
        ErrorCode::refused,
        fmt::format("the enlistments of one answer take more than {} bytes, which metadata does not carry: make "
                    "payloads smaller",
                    enlisted_bytes_max));
  }
  bytes_ += bytes->size();
  all_.push_back(std::move(enlistment));
  return true;
}

// ---- who begins ----

void OutgoingTransaction::attach(grpc::ClientContext& context) { write(context, own_, ++calls_); }

Result<std::size_t> OutgoingTransaction::collect(const grpc::ClientContext& context) {
  return gather(context, [this](Enlistment one) { return gathered_.add(std::move(one), false); });
}

// ---- who is called ----

IncomingTransaction::IncomingTransaction(grpc::ServerContext& context, std::function<void(const std::string&)> warn)
    : context_(context), warn_(std::move(warn)) {
  Metadata metadata;
  for (const auto& [key, value] : context.client_metadata()) {
    metadata.emplace(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
  }
  auto read = read_caller(metadata);
  if (read) {
    caller_ = std::move(*read);
  } else {
    trouble_ = read.error();
  }
}

IncomingTransaction::~IncomingTransaction() {
  if (!warn_) return;
  if (trouble_) warn_("a call brought a transaction that cannot be read: " + trouble_->message);
  if (caller_ && calls_ == 0 && told_.all().empty()) {
    warn_(
        fmt::format("a call brought transaction {} and its handler enlisted nobody: what it did is not part of the "
                    "transaction",
                    caller_->txn.to_hex()));
  }
}

Result<std::string> IncomingTransaction::enlist(Enlistment enlistment) {
  if (trouble_) return fail(*trouble_);
  if (!caller_) return fail(ErrorCode::refused, "the call belongs to no transaction; there is nothing to join");
  enlistment.branch = fmt::format("{}/{}", caller_->branch, enlistment.participant);
  std::string branch = enlistment.branch;
  if (auto told = tell(std::move(enlistment)); !told) return fail(told.error());
  return branch;
}

Result<void> IncomingTransaction::tell(Enlistment enlistment) {
  const auto bytes = encode(enlistment);
  if (!bytes) return fail(bytes.error());
  const auto added = told_.add(std::move(enlistment), true);
  if (!added) return fail(added.error());
  if (*added) context_.AddTrailingMetadata(enlisted_key, *bytes);
  return {};
}

void IncomingTransaction::attach(grpc::ClientContext& context) {
  if (caller_) write(context, *caller_, ++calls_);
}

Result<std::size_t> IncomingTransaction::collect(const grpc::ClientContext& context) {
  return gather(context, [this](Enlistment one) { return tell(std::move(one)); });
}

}  // namespace assent::service
