#include "storage/data_directory.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <optional>

#include "base/digest.h"

namespace assent {
namespace {

constexpr std::string_view file_name = "identity";
constexpr std::string_view unfinished_name = "identity.tmp";
constexpr std::string_view first_line = "assent data directory";
// 1 has no line "disk", 2 none "generation", 3 none "loops"; they are written still where those would say nothing.
constexpr std::uint64_t format_version = 4;
constexpr std::uint64_t loops_max = 64;
constexpr std::uint64_t file_bytes_max = 64ULL << 10U;

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return std::nullopt;
}

std::optional<std::string> unquoted(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::nullopt;
  text = text.substr(1, text.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') return std::nullopt;
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    if (++i == text.size()) return std::nullopt;
    if (text[i] == '"' || text[i] == '\\') {
      out += text[i];
      continue;
    }
    if (text[i] != 'x' || text.size() - i < 3) return std::nullopt;
    const auto high = hex_digit(text[i + 1]);
    const auto low = hex_digit(text[i + 2]);
    if (!high || !low) return std::nullopt;
    out += static_cast<char>(*high * 16 + *low);
    i += 2;
  }
  return out;
}

// The rest of the next line when it begins with the word; takes the line off.
std::optional<std::string_view> take_line(ByteView& text, std::string_view word) {
  const std::size_t end = text.find('\n');
  if (end == ByteView::npos || !text.starts_with(word)) return std::nullopt;
  const std::string_view rest = text.substr(word.size(), end - word.size());
  text.remove_prefix(end + 1);
  return rest;
}

tl::unexpected<Error> damaged() {
  return fail(
      ErrorCode::corruption,
      "the file \"identity\" of the data directory is damaged; restore it, or let the node join again with an empty "
      "data directory and --rejoin");
}

std::string described(const DirectoryIdentity& identity) {
  return fmt::format("node {} of cluster {}", quoted(identity.node), quoted(identity.cluster));
}

Result<void> refuse_unmarked_data(Disk& disk) {
  for (const std::string_view folder : {"wal", "snapshots"}) {
    auto names = disk.list(folder);
    if (!names) return fail(std::move(names.error()));
    if (names->empty()) continue;
    return fail(
        ErrorCode::refused,
        fmt::format("the data directory holds data in {}/ but no file \"identity\" that says whose it is; restore "
                    "that file, or name an empty directory",
                    folder));
  }
  return {};
}

std::uint64_t format_of(const DirectoryIdentity& identity) {
  if (identity.loops != 1) return 4;
  if (identity.generation != 0) return 3;
  return identity.disk != 0 ? 2 : 1;
}

// "word 17" as the next line; takes it off.
std::optional<std::uint64_t> take_number(ByteView& text, std::string_view word) {
  const auto line = take_line(text, word);
  if (!line) return std::nullopt;
  std::uint64_t number = 0;
  const auto [end, bad] = std::from_chars(line->data(), line->data() + line->size(), number);
  if (bad != std::errc{} || end != line->data() + line->size()) return std::nullopt;
  return number;
}

}  // namespace

Result<void> replace_directory_identity(Disk& disk, const DirectoryIdentity& identity) {
  if (auto removed = disk.remove(unfinished_name); !removed && removed.error().code != ErrorCode::not_found)
    return removed;
  auto file = disk.open(unfinished_name, 0);
  if (!file) return fail(std::move(file.error()));
  auto written = disk.write_durably(*file, 0, encode_directory_identity(identity));
  disk.close(*file);
  if (!written) return written;
  if (auto renamed = disk.rename(unfinished_name, file_name); !renamed) return renamed;
  return disk.sync_directory("");
}

std::uint64_t identity_number(const DirectoryIdentity& identity) {
  std::string text = identity.cluster;
  text += '\0';
  text += identity.node;
  return xxh3(text);
}

Bytes encode_directory_identity(const DirectoryIdentity& identity) {
  std::string text = fmt::format("{}\nformat {}\ncluster {}\nnode {}\n", first_line, format_of(identity),
                                 quoted(identity.cluster), quoted(identity.node));
  if (format_of(identity) >= 2) text += fmt::format("disk {}\n", identity.disk);
  if (format_of(identity) >= 3) text += fmt::format("generation {}\n", identity.generation);
  if (format_of(identity) >= 4) text += fmt::format("loops {}\n", identity.loops);
  const std::uint64_t checksum = xxh3(text);
  text += fmt::format("checksum {:016x}\n", checksum);
  return text;
}

Result<DirectoryIdentity> decode_directory_identity(ByteView text) {
  const std::size_t checksum_line_bytes = std::string_view("checksum 0123456789abcdef\n").size();
  if (text.size() < checksum_line_bytes) return damaged();
  ByteView sealed = text.substr(0, text.size() - checksum_line_bytes);
  if (text.substr(sealed.size()) != fmt::format("checksum {:016x}\n", xxh3(sealed))) return damaged();
  const auto title = take_line(sealed, first_line);
  const auto format = take_line(sealed, "format ");
  if (!title || !title->empty() || !format || format->empty()) return damaged();
  if (*format != "1" && *format != "2" && *format != "3" && *format != fmt::format("{}", format_version)) {
    return fail(
        ErrorCode::unsupported,
        fmt::format("the data directory is of format {}, and this program knows formats up to {}; use the program "
                    "that wrote it, or a newer one",
                    *format, format_version));
  }
  const auto cluster_line = take_line(sealed, "cluster ");
  const auto node_line = take_line(sealed, "node ");
  const auto disk = *format == "1" ? std::optional<std::uint64_t>(0) : take_number(sealed, "disk ");
  const auto generation =
      *format == "3" || *format == "4" ? take_number(sealed, "generation ") : std::optional<std::uint64_t>(0);
  const auto loops = *format == "4" ? take_number(sealed, "loops ") : std::optional<std::uint64_t>(1);
  if (!cluster_line || !node_line || !disk || !generation || !loops || !sealed.empty()) return damaged();
  if (*loops < 1 || *loops > loops_max) return damaged();
  auto cluster = unquoted(*cluster_line);
  auto node = unquoted(*node_line);
  if (!cluster || !node) return damaged();
  DirectoryIdentity identity{std::move(*cluster), std::move(*node), *disk, *generation, *loops};
  if (fmt::format("{}", format_of(identity)) != *format) return damaged();
  return identity;
}

Result<DirectoryIdentity> read_directory_identity(Disk& disk) {
  auto text = disk.read(file_name, 0, file_bytes_max);
  if (!text) return fail(std::move(text.error()));
  return decode_directory_identity(*text);
}

Result<DirectoryIdentity> claim_data_directory(Disk& disk, const DirectoryIdentity& identity) {
  auto found = read_directory_identity(disk);
  if (!found && found.error().code == ErrorCode::not_found) {
    if (auto unmarked = refuse_unmarked_data(disk); !unmarked) return fail(std::move(unmarked.error()));
    if (auto written = replace_directory_identity(disk, identity); !written) return fail(std::move(written.error()));
    return identity;
  }
  if (!found) return fail(std::move(found.error()));
  if (found->cluster != identity.cluster || found->node != identity.node) {
    return fail(ErrorCode::refused,
                fmt::format("the data directory belongs to {}, and this process is {}; name the right directory, or an "
                            "empty one",
                            described(*found), described(identity)));
  }
  if (identity.disk != 0 && found->disk == 0) {
    return fail(ErrorCode::refused,
                "--rejoin is for a node that lost its data directory, and this one is still here; start the node "
                "without --rejoin, or name an empty directory");
  }
  if (identity.generation != 0 && found->generation != identity.generation) {
    return fail(ErrorCode::refused,
                fmt::format("the data directory is of generation {}, and --generation says {}; leave the flag away, or "
                            "name an empty directory",
                            found->generation, identity.generation));
  }
  if (identity.loops != found->loops) {
    return fail(ErrorCode::refused,
                fmt::format("the data directory was made with node.loops {}, and the configuration says {}: groups "
                            "would be looked for in the wrong log. Start with node.loops {}, or take the node out of "
                            "its groups and let it join with an empty directory (docs/OPERATIONS.md)",
                            found->loops, identity.loops, found->loops));
  }
  // The rename may have been seen before a crash and not be durable yet.
  if (auto kept = disk.sync_directory(""); !kept) return fail(std::move(kept.error()));
  return found;
}

}  // namespace assent
