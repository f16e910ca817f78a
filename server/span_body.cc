#include "server/span_body.h"

#include <fmt/format.h>
#include <zlib.h>

#include <fstream>
#include <iterator>
#include <limits>

namespace assent {
namespace {

constexpr int window_bits_of_gzip = 15 + 16;
constexpr int memory_level = 8;

}  // namespace

std::optional<std::string> gzipped(const std::string& text) {
  if (text.size() > std::numeric_limits<uInt>::max()) return std::nullopt;
  z_stream stream{};
  const int begun =
      deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, window_bits_of_gzip, memory_level, Z_DEFAULT_STRATEGY);
  if (begun != Z_OK) return std::nullopt;
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // zlib only reads it
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const bool whole = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (!whole) return std::nullopt;
  return out;
}

Result<TlsFiles> read_tls_files(const TraceOptions& options) {
  TlsFiles files;
  for (const auto& [path, to] :
       {std::pair(&options.certificate, &files.authorities), std::pair(&options.client_certificate, &files.certificate),
        std::pair(&options.client_key, &files.key)}) {
    if (path->empty()) continue;
    std::ifstream in(*path, std::ios::binary);
    to->assign(std::istreambuf_iterator<char>(in), {});
    if (!in || to->empty()) return fail(ErrorCode::io, fmt::format("{} cannot be read, or is empty", *path));
  }
  return files;
}

}  // namespace assent
