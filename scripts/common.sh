# Sourced by the other scripts: where things are, what they need, how they are built.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
preset=${ASSENT_PRESET:-release}
build=$root/build/$preset
bin=$build/bin

# What two build folders compile alike, is compiled once where there is ccache.
export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$root} CCACHE_NOHASHDIR=1

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# To build all of it, and to run a cluster.
packages=(
  g++ cmake ninja-build ccache mold pkg-config git ca-certificates
  libgrpc++-dev protobuf-compiler protobuf-compiler-grpc libprotobuf-dev
  libsqlite3-dev libexpected-dev libfmt-dev libxxhash-dev libspdlog-dev
  libgoogle-perftools-dev nlohmann-json3-dev libyaml-cpp-dev libcli11-dev
  libgtest-dev libgmock-dev libbenchmark-dev
  libpq-dev libmariadb-dev libcpp-httplib-dev prometheus-cpp-dev zlib1g-dev
  procps
)
# For the tests and examples besides: databases, and what programs in Python and TypeScript need.
service_packages=(
  postgresql mariadb-server
  python3 python3-grpcio python3-protobuf python3-psycopg2 python3-pymysql
  strace iproute2 openssl
)
# Only for pictures and tests of the dashboard in a browser (scripts/screenshots.sh), and promtool for contrib/.
browser_packages=(chromium fonts-dejavu-core)
monitoring_packages=(prometheus)
# What may as well come from elsewhere: npm is part of nodejs in the packages of its makers, and a package in Debian's.
programs=()
service_programs=(node:nodejs npm:npm)

# Installs what is missing from Debian's packages; says so first. Needs root or sudo only when something is missing.
install_packages() {
  local missing=() package program
  for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  for program in "${programs[@]}"; do
    command -v "${program%%:*}" >/dev/null || missing+=("${program#*:}")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "these packages are missing and there is no sudo; as root: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing: ${missing[*]}"
  "${as_root[@]}" apt-get update -q >&2
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
}

# For whoever runs more than a cluster.
want_services() {
  packages+=("${service_packages[@]}")
  programs+=("${service_programs[@]}")
}

# For whoever tests the dashboard in a browser, and what contrib/ has for Prometheus and Grafana.
want_browser() {
  packages+=("${browser_packages[@]}" "${monitoring_packages[@]}")
  programs+=(node:nodejs npm:npm)
}

# configure PRESET; ASSENT_CONFIGURE has further arguments for cmake.
configure() { (cd "$root" && cmake --preset "$1" ${ASSENT_CONFIGURE:-}) >&2; }

# build_targets [TARGET...]: configures once and builds, everything when no target is named.
build_targets() {
  [ -f "$build/build.ninja" ] || configure "$preset"
  ninja -C "$build" "$@" >&2
}
