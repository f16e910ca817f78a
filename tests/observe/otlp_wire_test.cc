// OTLP's protobuf form, against published bytes and against a reader made from the field numbers; what receivers
// answer.
#include "observe/otlp_wire.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "otlp_test.pb.h"
#include "tests/observe/golden_span.h"

namespace assent {
namespace {

namespace otlp = ::assent::test::otlp;

using test::batch_of;
using test::golden_span;
using test::hex_of;

// The bytes that protoc makes of the published field numbers.
TEST(OtlpWire, WritesTheGoldenSpanByteForByte) {
  EXPECT_EQ(
      hex_of(otlp_protobuf({batch_of(golden_span())})),
      "0aab010a1b0a190a0c736572766963652e6e616d6512090a07617373656e7464128b010a0f0a06617373656e741205302e312e3012"
      "780a105b8efff798038103d269b633813fc60c1208eee19b7ec3c1b1742208eee19b7ec3c1b1732a0e617373656e742e70726570617"
      "265300339004859e3faeb6f15410012f41efbeb6f154a190a13617373656e742e7061727469636970616e7473120218027a0b120776"
      "6f7465206e6f1802850101010000");
}

TEST(OtlpWire, AnIndependentReaderFindsEverythingAgain) {
  OtlpSpan span = golden_span();
  span.parent_span_id.clear();
  span.error = false;
  span.attributes = {{"text", std::string("x")}, {"flag", false}, {"less", std::int64_t{-7}}, {"none", std::string()}};
  span.events = {{1544712660000000001U, "assent.commit_point"}, {1544712660000000002U, "assent.answered"}};
  otlp::ExportTraceServiceRequest request;
  ASSERT_TRUE(request.ParseFromString(otlp_protobuf({batch_of(golden_span()), batch_of(span)})));
  ASSERT_EQ(request.resource_spans_size(), 2);
  const otlp::Span& read = request.resource_spans(1).scope_spans(0).spans(0);
  EXPECT_EQ(hex_of(read.trace_id()), span.trace_id);
  EXPECT_EQ(hex_of(read.span_id()), span.span_id);
  EXPECT_EQ(read.parent_span_id(), "");
  EXPECT_FALSE(read.has_status()) << "unset on success";
  ASSERT_EQ(read.attributes_size(), 4);
  EXPECT_EQ(read.attributes(0).value().string_value(), "x");
  EXPECT_TRUE(read.attributes(1).value().has_bool_value()) << "false is a value as well";
  EXPECT_EQ(read.attributes(2).value().int_value(), -7);
  EXPECT_TRUE(read.attributes(3).value().has_string_value());
  ASSERT_EQ(read.events_size(), 2);
  EXPECT_EQ(read.events(1).time_unix_nano(), 1544712660000000002U);
  EXPECT_EQ(read.events(1).name(), "assent.answered");
}

// Receivers refuse a whole batch for one bad id or one bad character.
TEST(OtlpWire, WhatAStrictReceiverWouldRefuseIsNotWritten) {
  OtlpSpan span = golden_span();
  span.parent_span_id = "not hex at all!!";
  span.status_message = "a\xFF\xED\xA0\x80z";
  otlp::ExportTraceServiceRequest request;
  ASSERT_TRUE(request.ParseFromString(otlp_protobuf({batch_of(span)})));
  const otlp::Span& read = request.resource_spans(0).scope_spans(0).spans(0);
  EXPECT_EQ(read.parent_span_id(), "");
  EXPECT_EQ(read.status().message(), "a????z");
}

TEST(OtlpWire, TextKeepsWhatIsUtf8) {
  const std::string good = "\x01 a \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 \xEF\xBF\xBD";
  EXPECT_EQ(as_utf8(good), good);
  EXPECT_EQ(as_utf8("\xC0\x80|\xE0\x80\x80|\xF0\x80\x80\x80|\xF4\x90\x80\x80|\xE2\x82"), "??|???|????|????|??");
}

TEST(Utf8, AnyBytesAreANameOnOneLine) {
  EXPECT_EQ(as_name("a\nb\x7F", 100), "a\\x0ab\\x7f");
  EXPECT_EQ(as_name("\xFF\xC3\xA4", 100), "\\xff\xC3\xA4");
  EXPECT_EQ(as_name("abcdefgh", 8), "abcdefgh");
  EXPECT_EQ(as_name("abcdefghi", 8), "abcde...");
  EXPECT_EQ(as_name("abcd\xC3\xA4\xC3\xA4\xC3\xA4", 8), "abcd...") << "no character is cut";
  EXPECT_EQ(as_name("", 8), "");
}

TEST(OtlpWire, APartialSuccessIsReadInBothForms) {
  otlp::ExportTraceServiceResponse response;
  response.mutable_partial_success()->set_rejected_spans(17);
  response.mutable_partial_success()->set_error_message("too old");
  const OtlpAnswer binary = otlp_answer_of_protobuf(response.SerializeAsString());
  EXPECT_EQ(binary.rejected, 17U);
  EXPECT_EQ(binary.message, "too old");
  const OtlpAnswer json = otlp_answer_of_json(R"({"partialSuccess":{"rejectedSpans":"17","errorMessage":"too old"}})");
  EXPECT_EQ(json.rejected, 17U);
  EXPECT_EQ(json.message, "too old");
  EXPECT_EQ(otlp_answer_of_json(R"({"partialSuccess":{"rejectedSpans":3}})").rejected, 3U);
}

TEST(OtlpWire, AnswersThatCannotBeReadRejectNothing) {
  for (const char* body :
       {"", "{}", "[]", "null", "<html>", R"({"partialSuccess":null})", R"({"partialSuccess":7})",
        R"({"partialSuccess":{"rejectedSpans":-1}})", R"({"partialSuccess":{"rejectedSpans":[]}})"}) {
    EXPECT_EQ(otlp_answer_of_json(body).rejected, 0U) << body;
    EXPECT_EQ(status_message_of_json(body), "") << body;
  }
  otlp::ExportTraceServiceResponse response;
  response.mutable_partial_success()->set_rejected_spans(17);
  const std::string whole = response.SerializeAsString();
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    EXPECT_EQ(otlp_answer_of_protobuf(whole.substr(0, cut)).rejected, 0U);
  }
  EXPECT_EQ(otlp_answer_of_protobuf("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF").rejected, 0U);
  EXPECT_EQ(status_message_of_protobuf("\x08\x03\x12\x02no"), "no");
}

}  // namespace
}  // namespace assent
