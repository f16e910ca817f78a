// A certificate of 127.0.0.1 that signs itself, with its key, in files of a folder of their own.
#pragma once

#include <string>

namespace assent::service::testing {

class TlsFiles {
 public:
  TlsFiles();
  ~TlsFiles();
  TlsFiles(const TlsFiles&) = delete;
  TlsFiles& operator=(const TlsFiles&) = delete;

  [[nodiscard]] std::string cert() const { return folder_ + "/cert.pem"; }  // also of who signed it
  [[nodiscard]] std::string key() const { return folder_ + "/key.pem"; }
  [[nodiscard]] static std::string read(const std::string& file);

 private:
  std::string folder_;
};

}  // namespace assent::service::testing
