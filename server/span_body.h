// What both ways of exporting do with bytes: compress them, and read the files that TLS needs.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "server/trace_options.h"

namespace assent {

// In the format of gzip; nullopt when it cannot be done (no memory).
[[nodiscard]] std::optional<std::string> gzipped(const std::string& text);

// Of the options' files, as PEM; what is not named is empty.
struct TlsFiles {
  std::string authorities;
  std::string certificate;
  std::string key;
};
// io, with the file's name, when one cannot be read.
[[nodiscard]] Result<TlsFiles> read_tls_files(const TraceOptions& options);

}  // namespace assent
