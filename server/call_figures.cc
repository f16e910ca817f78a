#include "server/call_figures.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <array>

#include "base/check.h"

namespace assent {

CallFigures::CallFigures() {
  for (const char* method : {"Prepare", "Commit", "Abort"}) {
    participants.emplace(std::pair(method, grpc::StatusCode::OK), Histogram::of_micros());
  }
}

void CallFigures::participant(std::string_view method, grpc::StatusCode code, std::uint64_t micros) {
  participants.try_emplace({method, code}, Histogram::of_micros()).first->second.add(micros);
}

ServedCalls& counted(CallFigures& figures, const google::protobuf::Descriptor& request,
                     const google::protobuf::Descriptor& response) {
  const google::protobuf::FileDescriptor& file = *request.file();
  for (int i = 0; i < file.service_count(); ++i) {
    for (int j = 0; j < file.service(i)->method_count(); ++j) {
      const google::protobuf::MethodDescriptor& method = *file.service(i)->method(j);
      if (method.input_type() != &request || method.output_type() != &response || method.server_streaming()) continue;
      const auto same = std::find_if(figures.served.begin(), figures.served.end(), [&](const ServedCalls& one) {
        return one.service == method.service()->full_name() && one.method == method.name();
      });
      if (same != figures.served.end()) return *same;
      ServedCalls& made = figures.served.emplace_back();
      made.service = method.service()->full_name();
      made.method = method.name();
      return made;
    }
  }
  ASSENT_CHECK(false, "what is served is a method of the file of its request");
}

std::string_view metric_name_of(grpc::StatusCode code) {
  constexpr std::array<std::string_view, 17> names{
      "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
      "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
      "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
      "DataLoss", "Unauthenticated"};
  const auto place = static_cast<std::size_t>(code);
  return place < names.size() ? names[place] : "Unknown";
}

}  // namespace assent
