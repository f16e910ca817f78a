// How this node proves services whom it calls by TLS, and itself to them. Read once, at the start.
#pragma once

#include <string>

#include "base/result.h"

namespace assent {

struct ServiceTls {
  std::string ca_file;    // who may have signed a service's certificate
  std::string cert_file;  // of this node, for services that want one; empty: none
  std::string key_file;   // with cert_file
  std::string ca;         // what stands in the files, in PEM
  std::string cert;
  std::string key;
};

// ca_file empty: whoever this machine trusts. Error: a file that cannot be read or holds no PEM, a certificate without
// its key.
[[nodiscard]] Result<ServiceTls> read_service_tls(std::string ca_file, std::string cert_file, std::string key_file);

}  // namespace assent
