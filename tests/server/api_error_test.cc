#include "txn_proto/api_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace assent {
namespace {

constexpr ErrorCode all_codes[] = {
    ErrorCode::not_leader, ErrorCode::conflict, ErrorCode::refused,     ErrorCode::unknown_outcome,
    ErrorCode::compacted,  ErrorCode::busy,     ErrorCode::unsupported, ErrorCode::malformed,
    ErrorCode::not_found,  ErrorCode::io,       ErrorCode::corruption,  ErrorCode::cancelled,
    ErrorCode::too_old};

TEST(ApiError, EveryCodeComesBackAsItself) {
  for (const ErrorCode code : all_codes) {
    const ApiError error{.code = code,
                         .reason = {},
                         .message = "what, where, what next",
                         .metadata = {{"group", "c0"}},
                         .retry_after_millis = 1250};
    const grpc::Status status = to_status(error);
    EXPECT_FALSE(status.ok());
    EXPECT_TRUE(has_details(status));
    ApiError expected = error;
    expected.reason = reason_of(code);
    EXPECT_EQ(from_status(status), expected) << to_string(code);
  }
}

TEST(ApiError, SpeaksTheStandardsFields) {
  const grpc::Status status = to_status({.code = ErrorCode::not_leader,
                                         .reason = {},
                                         .message = "m",
                                         .metadata = {{"leader", "n2"}},
                                         .retry_after_millis = 0});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), static_cast<int>(grpc::StatusCode::UNAVAILABLE));
  ASSERT_EQ(details.details_size(), 1);
  EXPECT_EQ(details.details(0).type_url(), "type.googleapis.com/google.rpc.ErrorInfo");
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(details.details(0).UnpackTo(&info));
  EXPECT_EQ(info.reason(), "NOT_LEADER");
  EXPECT_EQ(info.domain(), "assent");
  EXPECT_EQ(info.metadata().at("leader"), "n2");
}

TEST(ApiError, ADeadlineMayLeaveTheOutcomeUnknown) {
  const grpc::Status status = to_status(
      {.code = ErrorCode::unknown_outcome, .reason = {}, .message = "m", .metadata = {}, .retry_after_millis = 0},
      grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(from_status(status).code, ErrorCode::unknown_outcome);
  EXPECT_EQ(from_status(status).reason, "OUTCOME_UNKNOWN");
}

TEST(ApiError, SpecialReasonsKeepTheirCode) {
  const grpc::Status status = to_status({.code = ErrorCode::not_found,
                                         .reason = "GROUP_NOT_FOUND",
                                         .message = "m",
                                         .metadata = {},
                                         .retry_after_millis = 0});
  EXPECT_EQ(from_status(status).code, ErrorCode::not_found);
  EXPECT_EQ(from_status(status).reason, "GROUP_NOT_FOUND");
}

TEST(ApiError, TakesAnyStatus) {
  EXPECT_EQ(from_status({grpc::StatusCode::UNIMPLEMENTED, "x"}).code, ErrorCode::unsupported);
  EXPECT_EQ(from_status({grpc::StatusCode::RESOURCE_EXHAUSTED, "x"}).code, ErrorCode::busy);
  EXPECT_FALSE(has_details({grpc::StatusCode::UNAVAILABLE, "x"}));
  EXPECT_FALSE(has_details({grpc::StatusCode::UNAVAILABLE, "x", "\xff\xfe garbage"}));
  EXPECT_EQ(from_status({grpc::StatusCode::UNAVAILABLE, "x", "\xff\xfe garbage"}).message, "x");
  google::rpc::ErrorInfo foreign;
  foreign.set_reason("NOT_LEADER");
  foreign.set_domain("example.org");
  google::rpc::Status details;
  details.add_details()->PackFrom(foreign);
  EXPECT_FALSE(has_details({grpc::StatusCode::UNAVAILABLE, "x", details.SerializeAsString()}));
}

TEST(ApiError, FitsIntoTrailers) {
  const grpc::Status status = to_status({.code = ErrorCode::malformed,
                                         .reason = {},
                                         .message = std::string(100'000, 'x'),
                                         .metadata = {},
                                         .retry_after_millis = 0});
  EXPECT_LT(status.error_message().size() + status.error_details().size() * 4 / 3, 7000U);
  std::string umlauts;
  for (int i = 0; i < 2000; ++i) umlauts += "ä";
  const std::string cut =
      to_status(
          {.code = ErrorCode::malformed, .reason = {}, .message = umlauts, .metadata = {}, .retry_after_millis = 0})
          .error_message();
  EXPECT_THAT(cut, ::testing::EndsWith("ä..."));
}

}  // namespace
}  // namespace assent
