# cmake -DDIST=dir -DOUT=file.cc -P embed.cmake: dashboard/dist as the table of dashboard/assets.h.
cmake_minimum_required(VERSION 3.25)
file(GLOB_RECURSE files RELATIVE ${DIST} ${DIST}/*)
list(REMOVE_ITEM files built_from.txt)
list(SORT files)
if(NOT "index.html" IN_LIST files)
  message(FATAL_ERROR "${DIST} has no index.html: run scripts/build-dashboard.sh")
endif()

set(type_html "text/html; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_svg "image/svg+xml")

set(arrays "")
set(rows "")
set(number 0)
foreach(file ${files})
  get_filename_component(extension ${file} LAST_EXT)
  string(SUBSTRING ${extension} 1 -1 extension)
  if(NOT DEFINED type_${extension})
    message(FATAL_ERROR "dashboard/embed.cmake does not know the content type of ${file}")
  endif()
  file(READ ${DIST}/${file} hex HEX)
  file(SHA256 ${DIST}/${file} digest)
  string(SUBSTRING ${digest} 0 16 digest)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  set(immutable false)
  if(file MATCHES "^assets/")
    set(immutable true)
  endif()
  string(APPEND arrays "constexpr unsigned char file_${number}[] = {\n    ${bytes}};\n")
  string(APPEND rows "    {\"/${file}\", \"${type_${extension}}\", \"\\\"${digest}\\\"\", text_of(file_${number}), ${immutable}},\n")
  math(EXPR number "${number} + 1")
endforeach()

file(WRITE ${OUT}.new "// Made by dashboard/embed.cmake from dashboard/dist.
#include <array>
#include <cstddef>

#include \"dashboard/assets.h\"

namespace assent {
namespace {

${arrays}
template <std::size_t size>
std::string_view text_of(const unsigned char (&bytes)[size]) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

std::span<const DashboardAsset> dashboard_assets() {
  static const std::array<DashboardAsset, ${number}> table{{
${rows}  }};
  return table;
}

}  // namespace assent
")
file(COPY_FILE ${OUT}.new ${OUT} ONLY_IF_DIFFERENT)
file(REMOVE ${OUT}.new)
