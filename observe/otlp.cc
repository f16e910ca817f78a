#include "observe/otlp.h"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

namespace assent {
namespace {

using Json = nlohmann::ordered_json;

Json value_of(const OtlpValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return {{"stringValue", *text}};
  if (const auto* number = std::get_if<std::int64_t>(&value)) return {{"intValue", std::to_string(*number)}};
  return {{"boolValue", std::get<bool>(value)}};
}

Json list_of(const OtlpAttributes& attributes) {
  Json list = Json::array();
  for (const auto& [key, value] : attributes) list.push_back({{"key", key}, {"value", value_of(value)}});
  return list;
}

Json json_of(const OtlpSpan& span) {
  Json out{{"traceId", span.trace_id}, {"spanId", span.span_id}};
  if (!span.parent_span_id.empty()) out["parentSpanId"] = span.parent_span_id;
  out["name"] = span.name;
  out["kind"] = static_cast<int>(span.kind);
  out["startTimeUnixNano"] = std::to_string(span.start_unix_nanos);
  out["endTimeUnixNano"] = std::to_string(span.end_unix_nanos);
  if (!span.attributes.empty()) out["attributes"] = list_of(span.attributes);
  for (const OtlpEvent& event : span.events) {
    out["events"].push_back({{"timeUnixNano", std::to_string(event.unix_nanos)}, {"name", event.name}});
  }
  if (span.error) {
    out["status"]["code"] = 2;
    if (!span.status_message.empty()) out["status"]["message"] = span.status_message;
  }
  if (span.flags != 0) out["flags"] = span.flags;
  return out;
}

constexpr std::uint64_t nanos_per_micro = 1'000;
constexpr std::uint32_t sampled = 1;
constexpr std::uint32_t remote = 0x200;
constexpr std::uint32_t remote_known = 0x100;  // whether the parent is of another process is known: it is not

std::uint64_t nanos(std::int64_t unix_micros) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, unix_micros)) * nanos_per_micro;
}

OtlpKind kind_of(const v1::TxnSpan& span) {
  return span.name().starts_with("assent.v1.") || span.name() == "assent.accept" ? OtlpKind::client
                                                                                 : OtlpKind::internal;
}

void add_raft(const v1::TxnSpan& span, OtlpSpan& out) {
  out.attributes.emplace_back("raft.group.id", span.group());
  if (span.index() == 0) return;
  out.attributes.emplace_back("raft.index", static_cast<std::int64_t>(span.index()));
  const std::uint64_t submitted = out.start_unix_nanos + span.queued_micros() * nanos_per_micro;
  out.events.push_back({submitted, "submitted"});
  out.events.push_back({submitted + span.synced_micros() * nanos_per_micro, "fsynced"});
  out.events.push_back({out.end_unix_nanos, "applied"});
}

// An abort that a fault made is an error; one that somebody asked for, by what he sent or by saying no, is not.
bool is_fault(const v1::TxnSummary& summary) {
  static constexpr std::array<std::string_view, 6> asked_for{"sealed",  "constraint", "refused",
                                                             "invalid", "reused_id",  "too_large"};
  if (summary.outcome() != "aborted" || summary.reason().empty()) return false;
  return std::find(asked_for.begin(), asked_for.end(), summary.reason()) == asked_for.end();
}

void add_root(const v1::TxnTrace& trace, OtlpSpan& out) {
  const v1::TxnSummary& summary = trace.summary();
  out.attributes.emplace_back("assent.txn.id", summary.txn_id());
  out.attributes.emplace_back("assent.protocol", summary.protocol());
  if (!summary.mode().empty()) out.attributes.emplace_back("assent.mode", summary.mode());
  out.attributes.emplace_back("assent.participant.count", std::int64_t{summary.participants_size()});
  if (!summary.outcome().empty()) out.attributes.emplace_back("assent.outcome", summary.outcome());
  if (summary.recovered()) out.attributes.emplace_back("assent.recovered", true);
  const std::int64_t start = summary.started_unix_micros();
  if (trace.has_commit_point_micros()) {
    out.events.push_back({nanos(start + trace.commit_point_micros()), "assent.commit_point"});
  }
  if (trace.has_answered_micros()) out.events.push_back({nanos(start + trace.answered_micros()), "assent.answered"});
  if (!is_fault(summary)) return;
  out.error = true;
  out.status_message = summary.message();
  out.attributes.emplace_back("error.type", summary.reason());
}

OtlpAttributes resource_of(const OtlpResource& resource, const std::string& node) {
  OtlpAttributes out = resource.more;
  const auto add = [&](std::string_view key, const std::string& value) {
    const bool told = std::any_of(out.begin(), out.end(), [&](const auto& one) { return one.first == key; });
    if (!told && !value.empty()) out.emplace_back(key, value);
  };
  add("service.name", resource.service_name);
  add("service.version", resource.service_version);
  add("service.instance.id", node);
  add("telemetry.sdk.name", "assent");
  add("telemetry.sdk.language", "cpp");
  return out;
}

OtlpSpan span_of(const v1::TxnTrace& trace, const v1::TxnSpan& span) {
  OtlpSpan out;
  out.trace_id = trace.trace_id();
  out.span_id = span.span_id();
  out.parent_span_id = span.parent_id();
  out.name = span.name();
  out.kind = kind_of(span);
  out.start_unix_nanos = nanos(trace.summary().started_unix_micros() + span.start_micros());
  out.end_unix_nanos = out.start_unix_nanos + span.duration_micros() * nanos_per_micro;
  out.flags = sampled | remote_known;
  if (span.parent_id().empty()) {
    out.parent_span_id = trace.parent_span_id();
    if (!out.parent_span_id.empty()) out.flags |= remote;
    add_root(trace, out);
  } else if (span.name() == "raft.propose") {
    add_raft(span, out);
  } else if (!span.group().empty()) {
    out.attributes.emplace_back("assent.participant.id", span.group());
  }
  if (!span.verdict().empty()) out.attributes.emplace_back("assent.verdict", span.verdict());
  if (span.repeats() > 0) out.attributes.emplace_back("assent.repeats", std::int64_t{span.repeats()});
  if (span.open()) out.attributes.emplace_back("assent.open", true);
  return out;
}

}  // namespace

std::string otlp_json(const std::vector<OtlpBatch>& batches) {
  Json out;
  out["resourceSpans"] = Json::array();
  for (const OtlpBatch& batch : batches) {
    Json spans = Json::array();
    for (const OtlpSpan& span : batch.spans) spans.push_back(json_of(span));
    Json resource{{"resource", {{"attributes", list_of(batch.resource)}}}};
    resource["scopeSpans"].push_back(
        {{"scope", {{"name", batch.scope_name}, {"version", batch.scope_version}}}, {"spans", std::move(spans)}});
    out["resourceSpans"].push_back(std::move(resource));
  }
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::vector<OtlpBatch> otlp_of(const v1::TxnTrace& trace, const OtlpResource& resource) {
  std::map<std::string, OtlpBatch> by_node;
  for (const v1::TxnSpan& span : trace.spans()) {
    OtlpBatch& batch = by_node[span.node()];
    if (batch.spans.empty()) {
      batch.resource = resource_of(resource, span.node());
      batch.scope_name = "assent";
      batch.scope_version = resource.service_version;
    }
    batch.spans.push_back(span_of(trace, span));
  }
  std::vector<OtlpBatch> out;
  out.reserve(by_node.size());
  for (auto& [node, batch] : by_node) out.push_back(std::move(batch));
  return out;
}

}  // namespace assent
