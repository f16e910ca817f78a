#include "server/trace_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

namespace assent {
namespace {

using std::chrono::milliseconds;

constexpr std::uint16_t http_port = 4318;
constexpr std::uint16_t grpc_port = 4317;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? digit(text[i + 1]) : -1;
    const int low = high >= 0 ? digit(text[i + 2]) : -1;
    if (low < 0) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

// "k=v,k2=v2", values URL-encoded.
std::vector<std::pair<std::string, std::string>> pairs_of(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view part = trimmed(text.substr(0, comma));
    const std::size_t equals = part.find('=');
    if (equals != std::string_view::npos && equals > 0) {
      out.emplace_back(trimmed(part.substr(0, equals)), unescaped(trimmed(part.substr(equals + 1))));
    }
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return out;
}

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Url {
  bool secure = false;
  Endpoint endpoint;
  std::string path;
};

// "http://host:port/path", and for gRPC also "host:port".
std::optional<Url> url_of(std::string_view text, std::uint16_t default_port) {
  Url url;
  text = trimmed(text);
  if (text.starts_with("https://")) {
    url.secure = true;
    text.remove_prefix(8);
  } else if (text.starts_with("http://")) {
    text.remove_prefix(7);
  } else if (text.find("://") != std::string_view::npos) {
    return std::nullopt;
  }
  const std::size_t slash = std::min(text.find('/'), text.size());
  std::string host(text.substr(0, slash));
  url.path = text.substr(slash);
  const std::size_t bracket = host.rfind(']');
  const bool has_port = host.find(':', bracket == std::string::npos ? 0 : bracket) != std::string::npos;
  if (!has_port) host += fmt::format(":{}", default_port);
  auto endpoint = parse_endpoint(host);
  if (!endpoint) return std::nullopt;
  url.endpoint = std::move(*endpoint);
  return url;
}

class Reader {
 public:
  Reader(const ServerConfig& config, const std::map<std::string, std::string>& environment)
      : config_(config), environment_(environment) {}

  TraceOptions read() {
    out_.sampler.ratio = static_cast<double>(config_.trace_sample_ppm) / 1e6;
    out_.sampler.slow_micros = static_cast<std::uint64_t>(config_.trace_slow.count()) * 1'000;
    out_.exports = wanted();
    if (!out_.exports) return std::move(out_);
    read_protocol();
    read_endpoint();
    read_sampler();
    read_limits();
    if (const auto* headers = traces_or_all("HEADERS")) out_.headers = pairs_of(*headers);
    if (const auto* attributes = variable("OTEL_RESOURCE_ATTRIBUTES")) {
      for (auto& [key, value] : pairs_of(*attributes)) {
        if (key == "service.name") {
          out_.resource.service_name = value;
        } else {
          out_.resource.more.emplace_back(std::move(key), std::move(value));
        }
      }
    }
    if (const auto* name = variable("OTEL_SERVICE_NAME")) out_.resource.service_name = *name;
    if (const auto* compression = traces_or_all("COMPRESSION"); compression != nullptr && *compression != "none") {
      out_.gzip = *compression == "gzip";
      if (!out_.gzip) warn("COMPRESSION", *compression, "there are gzip and none; spans are sent as they are");
    }
    if (const auto* file = traces_or_all("CERTIFICATE")) out_.certificate = *file;
    if (const auto* file = traces_or_all("CLIENT_CERTIFICATE")) out_.client_certificate = *file;
    if (const auto* file = traces_or_all("CLIENT_KEY")) out_.client_key = *file;
    if (!out_.secure && !out_.certificate.empty()) {
      warn("CERTIFICATE", out_.certificate, "is not used: the endpoint is not https");
    }
    return std::move(out_);
  }

 private:
  // An empty variable is as good as none.
  [[nodiscard]] const std::string* variable(const std::string& name) const {
    const auto found = environment_.find(name);
    return found == environment_.end() || trimmed(found->second).empty() ? nullptr : &found->second;
  }
  [[nodiscard]] const std::string* traces_or_all(const std::string& name) const {
    const std::string* own = variable("OTEL_EXPORTER_OTLP_TRACES_" + name);
    return own != nullptr ? own : variable("OTEL_EXPORTER_OTLP_" + name);
  }
  void warn(std::string_view name, std::string_view value, std::string_view what) {
    out_.warnings.push_back(fmt::format("OTEL_...{}={:.80}: {}", name, value, what));
  }

  [[nodiscard]] bool wanted() {
    if (const auto* disabled = variable("OTEL_SDK_DISABLED"); disabled != nullptr && *disabled == "true") return false;
    if (const auto* exporter = variable("OTEL_TRACES_EXPORTER")) {
      if (*exporter == "none") return false;
      if (*exporter == "otlp") return true;
      warn("TRACES_EXPORTER", *exporter, "there are otlp and none");
    }
    return config_.trace_exporter == "otlp" || traces_or_all("ENDPOINT") != nullptr;
  }

  void read_protocol() {
    std::string name = config_.trace_protocol;
    if (const auto* told = traces_or_all("PROTOCOL")) name = *told;
    if (name == "http/json") {
      out_.protocol = OtlpProtocol::http_json;
    } else if (name == "http/protobuf") {
      out_.protocol = OtlpProtocol::http_protobuf;
    } else if (name == "grpc") {
      out_.protocol = OtlpProtocol::grpc;
    } else {
      warn("PROTOCOL", name, "there are grpc, http/protobuf and http/json; http/json it is");
    }
  }

  // The endpoint of traces is used as it is; to the one of all signals the path is appended.
  void read_endpoint() {
    const bool grpc = out_.protocol == OtlpProtocol::grpc;
    const std::uint16_t port = grpc ? grpc_port : http_port;
    const auto* traces = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    const auto* all = variable("OTEL_EXPORTER_OTLP_ENDPOINT");
    const std::string text = traces != nullptr                ? *traces
                             : all != nullptr                 ? *all
                             : config_.trace_endpoint.empty() ? fmt::format("http://localhost:{}", port)
                                                              : config_.trace_endpoint;
    const std::optional<Url> url = url_of(text, port);
    if (!url) {
      out_.exports = false;
      return warn("ENDPOINT", text, "is neither http://host:port nor https://host:port; nothing is exported");
    }
    out_.secure = url->secure;
    out_.endpoint = url->endpoint;
    out_.path = url->path.empty() ? "/" : url->path;
    if (traces == nullptr) {
      if (!out_.path.ends_with('/')) out_.path += '/';
      out_.path += "v1/traces";
    }
  }

  void read_sampler() {
    const auto* name = variable("OTEL_TRACES_SAMPLER");
    if (name == nullptr) return;
    SamplerOptions& sampler = out_.sampler;
    std::string_view kind = trimmed(*name);
    sampler.parent_based = kind.starts_with("parentbased_");
    if (sampler.parent_based) kind.remove_prefix(std::string_view("parentbased_").size());
    if (kind == "always_on") {
      sampler.ratio = 1;
    } else if (kind == "always_off") {
      sampler.ratio = 0;
      sampler.always_keeps = false;
    } else if (kind == "traceidratio") {
      sampler.ratio = 1;
      const auto* argument = variable("OTEL_TRACES_SAMPLER_ARG");
      if (argument == nullptr) return;
      const auto ratio = number_of<double>(trimmed(*argument));
      if (!ratio || !(*ratio >= 0 && *ratio <= 1)) return warn("TRACES_SAMPLER_ARG", *argument, "is not a share of 1");
      sampler.ratio = *ratio;
    } else {
      sampler.parent_based = true;
      warn("TRACES_SAMPLER", *name, "is not known; trace.sample decides");
    }
  }

  void read_limits() {
    const auto count = [&](const std::string* text, std::string_view name) -> std::optional<std::uint64_t> {
      if (text == nullptr) return std::nullopt;
      const auto value = number_of<std::uint64_t>(trimmed(*text));
      constexpr std::uint64_t most = 1'000'000;
      if (value && *value > 0 && *value <= most) return value;
      warn(name, *text, "is not a number from 1 to 1000000");
      return std::nullopt;
    };
    if (const auto value = count(traces_or_all("TIMEOUT"), "TIMEOUT")) out_.timeout = milliseconds(*value);
    if (const auto value = count(variable("OTEL_BSP_SCHEDULE_DELAY"), "BSP_SCHEDULE_DELAY")) {
      out_.delay = milliseconds(*value);
    }
    if (const auto value = count(variable("OTEL_BSP_MAX_QUEUE_SIZE"), "BSP_MAX_QUEUE_SIZE")) {
      out_.queue_spans_max = *value;
    }
    if (const auto value = count(variable("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"), "BSP_MAX_EXPORT_BATCH_SIZE")) {
      out_.batch_spans_max = *value;
    }
    out_.batch_spans_max = std::min(out_.batch_spans_max, out_.queue_spans_max);
  }

  const ServerConfig& config_;
  const std::map<std::string, std::string>& environment_;
  TraceOptions out_;
};

}  // namespace

std::string TraceOptions::text() const {
  if (!exports) return "off";
  if (protocol == OtlpProtocol::grpc) return fmt::format("{} (grpc{})", endpoint.text(), secure ? ", TLS" : "");
  return fmt::format("{}://{}{} ({})", secure ? "https" : "http", endpoint.text(), path,
                     protocol == OtlpProtocol::http_json ? "http/json" : "http/protobuf");
}

TraceOptions trace_options(const ServerConfig& config, const std::map<std::string, std::string>& environment) {
  return Reader(config, environment).read();
}

}  // namespace assent
