#include "server/service_tls.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <utility>

namespace assent {
namespace {

constexpr const char* trusted_by_the_machine = "/etc/ssl/certs/ca-certificates.crt";

Result<std::string> read_pem(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in.is_open() || in.bad()) return fail(ErrorCode::io, fmt::format("{} cannot be read", file));
  if (text.find("-----BEGIN ") == std::string::npos) {
    return fail(ErrorCode::malformed, fmt::format("{} holds nothing in PEM (-----BEGIN ...)", file));
  }
  return text;
}

}  // namespace

Result<ServiceTls> read_service_tls(std::string ca_file, std::string cert_file, std::string key_file) {
  if (cert_file.empty() != key_file.empty()) {
    return fail(ErrorCode::malformed,
                "a certificate needs its key, and a key its certificate: give both files or none");
  }
  ServiceTls tls;
  const bool named = !ca_file.empty();
  tls.ca_file = named ? std::move(ca_file) : trusted_by_the_machine;
  auto ca = read_pem(tls.ca_file);
  if (!ca && named) return fail(ca.error());
  if (ca) tls.ca = std::move(*ca);
  if (cert_file.empty()) return tls;
  auto cert = read_pem(cert_file);
  if (!cert) return fail(cert.error());
  auto key = read_pem(key_file);
  if (!key) return fail(key.error());
  tls.cert_file = std::move(cert_file);
  tls.key_file = std::move(key_file);
  tls.cert = std::move(*cert);
  tls.key = std::move(*key);
  return tls;
}

}  // namespace assent
