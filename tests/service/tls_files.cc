#include "tests/service/tls_files.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include "base/check.h"

namespace assent::service::testing {
namespace {

constexpr long valid_seconds = 24L * 60 * 60;

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* cert) const { X509_free(cert); }
  void operator()(X509_EXTENSION* one) const { X509_EXTENSION_free(one); }
  void operator()(std::FILE* file) const { std::fclose(file); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

void add(X509* cert, int what, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, cert, cert, nullptr, nullptr, 0);
  const Owned<X509_EXTENSION> one(X509V3_EXT_conf_nid(nullptr, &context, what, value));
  ASSENT_CHECK(one && X509_add_ext(cert, one.get(), -1) == 1, "an extension of a certificate");
}

}  // namespace

TlsFiles::TlsFiles() {
  std::string folder = std::filesystem::temp_directory_path() / "assent-tls-XXXXXX";
  ASSENT_CHECK(::mkdtemp(folder.data()) != nullptr, "a folder for certificates");
  folder_ = folder;
  const Owned<EVP_PKEY> key_pair(EVP_EC_gen("P-256"));
  const Owned<X509> certificate(X509_new());
  ASSENT_CHECK(key_pair && certificate, "a key and a certificate");
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -valid_seconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), valid_seconds);
  X509_set_pubkey(certificate.get(), key_pair.get());
  X509_NAME* const name = X509_get_subject_name(certificate.get());
  const auto* const text = reinterpret_cast<const unsigned char*>("assent test");
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  add(certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  add(certificate.get(), NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
  ASSENT_CHECK(X509_sign(certificate.get(), key_pair.get(), EVP_sha256()) > 0, "a signature");
  const Owned<std::FILE> cert_file(std::fopen(cert().c_str(), "w"));
  const Owned<std::FILE> key_file(std::fopen(key().c_str(), "w"));
  ASSENT_CHECK(cert_file && PEM_write_X509(cert_file.get(), certificate.get()) == 1, "the certificate's file");
  ASSENT_CHECK(
      key_file && PEM_write_PrivateKey(key_file.get(), key_pair.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
      "the key's file");
}

TlsFiles::~TlsFiles() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string TlsFiles::read(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace assent::service::testing
