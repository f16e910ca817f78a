// A participant of assent.v1.Participant, served by HTTP call-back as docs/SERVICES.md has it: what a service without
// gRPC would be. For as long as it lives, on a free port of this machine.
#pragma once

#include <string>
#include <thread>

#include "assent/v1/participant.grpc.pb.h"
#include "tests/service/tls_files.h"

namespace httplib {
class Server;
}

namespace assent::service::testing {

class HttpFront {
 public:
  // tls: https. tells_status: false leaves the status call out.
  explicit HttpFront(v1::Participant::Service& service, const TlsFiles* tls = nullptr, bool tells_status = true);
  ~HttpFront();
  HttpFront(const HttpFront&) = delete;
  HttpFront& operator=(const HttpFront&) = delete;

  [[nodiscard]] std::string target() const;

 private:
  const bool tls_;
  std::unique_ptr<httplib::Server> server_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace assent::service::testing
