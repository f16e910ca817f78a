// OpenTelemetry's environment variables, and what the configuration says without them.
#include "server/trace_options.h"

#include <gmock/gmock.h>

namespace assent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using namespace std::chrono_literals;

using Variables = std::map<std::string, std::string>;

ServerConfig plain() {
  ServerConfig config;
  config.trace_exporter = "none";
  config.trace_protocol = "http/json";
  config.trace_sample_ppm = 50'000;
  config.trace_slow = 250ms;
  return config;
}
TraceOptions read(Variables variables, const ServerConfig& config = plain()) {
  return trace_options(config, variables);
}

TEST(TraceOptionsTest, NothingIsExportedUntilSomebodySaysWhere) {
  EXPECT_FALSE(read({}).exports);
  EXPECT_EQ(read({}).text(), "off");
  ServerConfig config = plain();
  config.trace_exporter = "otlp";
  const TraceOptions options = read({}, config);
  EXPECT_TRUE(options.exports);
  EXPECT_EQ(options.text(), "http://localhost:4318/v1/traces (http/json)");
  EXPECT_EQ(options.sampler.ratio, 0.05);
  EXPECT_EQ(options.sampler.slow_micros, 250'000U);
}

TEST(TraceOptionsTest, TheEndpointOfAllSignalsGetsThePathOfTraces) {
  EXPECT_EQ(read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:9/base"}}).text(), "http://c:9/base/v1/traces (http/json)");
  EXPECT_EQ(read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1]"}}).text(), "http://[::1]:4318/v1/traces (http/json)");
}

TEST(TraceOptionsTest, TheEndpointOfTracesIsUsedAsItIs) {
  EXPECT_EQ(read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:9"}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:8"}})
                .text(),
            "http://t:8/ (http/json)");
}

TEST(TraceOptionsTest, GrpcHasAPortOfItsOwn) {
  const TraceOptions options = read({{"OTEL_TRACES_EXPORTER", "otlp"}, {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}});
  EXPECT_EQ(options.text(), "localhost:4317 (grpc)");
  EXPECT_EQ(read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "c:1"}, {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"}}).text(),
            "c:1 (grpc)");
}

TEST(TraceOptionsTest, ThereAreWaysToSwitchItOff) {
  EXPECT_FALSE(read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:9"}, {"OTEL_SDK_DISABLED", "true"}}).exports);
  EXPECT_FALSE(read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:9"}, {"OTEL_TRACES_EXPORTER", "none"}}).exports);
}

TEST(TraceOptionsTest, HeadersTimeoutAndLimitsAreRead) {
  const TraceOptions options = read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:9"},
                                     {"OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b , x=1,,bad"},
                                     {"OTEL_EXPORTER_OTLP_TIMEOUT", "2500"},
                                     {"OTEL_BSP_SCHEDULE_DELAY", "100"},
                                     {"OTEL_BSP_MAX_QUEUE_SIZE", "64"},
                                     {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512"},
                                     {"OTEL_SERVICE_NAME", "shop"},
                                     {"OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test,service.name=other"}});
  EXPECT_THAT(options.warnings, IsEmpty());
  EXPECT_THAT(options.headers, ElementsAre(Pair("api-key", "a b"), Pair("x", "1")));
  EXPECT_EQ(options.timeout, 2500ms);
  EXPECT_EQ(options.delay, 100ms);
  EXPECT_EQ(options.queue_spans_max, 64U);
  EXPECT_EQ(options.batch_spans_max, 64U) << "no batch is larger than the queue";
  EXPECT_EQ(options.resource.service_name, "shop");
  EXPECT_THAT(options.resource.more, ElementsAre(Pair("deployment.environment", OtlpValue(std::string("test")))));
}

TEST(TraceOptionsTest, HttpsAndCompressionAreHonoured) {
  const TraceOptions options = read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:9"},
                                     {"OTEL_EXPORTER_OTLP_COMPRESSION", "none"},
                                     {"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"},
                                     {"OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"},
                                     {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/me.pem"},
                                     {"OTEL_EXPORTER_OTLP_CLIENT_KEY", "/me.key"}});
  EXPECT_THAT(options.warnings, IsEmpty());
  EXPECT_TRUE(options.exports && options.secure && options.gzip);
  EXPECT_EQ(options.text(), "https://c:9/v1/traces (http/json)");
  EXPECT_EQ(options.certificate, "/ca.pem");
  EXPECT_EQ(options.client_certificate, "/me.pem");
  EXPECT_EQ(options.client_key, "/me.key");
  EXPECT_EQ(read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://c"}, {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"}}).text(),
            "c:4317 (grpc, TLS)");
}

TEST(TraceOptionsTest, SamplersGoByTheirNames) {
  const auto sampler = [](const std::string& name, const std::string& argument = {}) {
    return read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:9"},
                 {"OTEL_TRACES_SAMPLER", name},
                 {"OTEL_TRACES_SAMPLER_ARG", argument}})
        .sampler;
  };
  EXPECT_EQ(sampler("always_on").ratio, 1);
  EXPECT_FALSE(sampler("always_on").parent_based);
  EXPECT_TRUE(sampler("parentbased_always_on").parent_based);
  EXPECT_FALSE(sampler("always_off").always_keeps);
  EXPECT_EQ(sampler("parentbased_traceidratio", "0.25").ratio, 0.25);
  EXPECT_TRUE(sampler("parentbased_traceidratio", "0.25").always_keeps);
  EXPECT_EQ(sampler("traceidratio").ratio, 1) << "as the specification says";
}

TEST(TraceOptionsTest, WhatCannotBeUnderstoodWarnsAndChangesNothing) {
  const Variables base{{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:9"}};
  for (const auto& [name, value] : Variables{{"OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon"},
                                             {"OTEL_EXPORTER_OTLP_TIMEOUT", "10s"},
                                             {"OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"},
                                             {"OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"},
                                             {"OTEL_TRACES_SAMPLER", "sometimes"},
                                             {"OTEL_TRACES_EXPORTER", "zipkin"},
                                             {"OTEL_BSP_MAX_QUEUE_SIZE", "0"}}) {
    Variables variables = base;
    variables[name] = value;
    const TraceOptions options = read(variables);
    EXPECT_TRUE(options.exports) << name;
    ASSERT_EQ(options.warnings.size(), 1U) << name;
    EXPECT_THAT(options.warnings[0], HasSubstr(value));
    EXPECT_EQ(options.sampler.ratio, 0.05);
  }
}

TEST(TraceOptionsTest, AnEndpointThatCannotBeReachedExportsNothingAndSaysSo) {
  for (const char* bad : {"ftp://c", "http://", "http://c:99999", "http://:1"}) {
    const TraceOptions options = read({{"OTEL_EXPORTER_OTLP_ENDPOINT", bad}});
    EXPECT_FALSE(options.exports) << bad;
    EXPECT_EQ(options.warnings.size(), 1U) << bad;
  }
}

}  // namespace
}  // namespace assent
