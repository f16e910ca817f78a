#!/usr/bin/env bash
# clang-format and clang-tidy over the project's own files; exits 1 on any finding. `scripts/lint.sh FILE...` looks at those.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
packages+=(clang-format clang-tidy)
install_packages
[ -f "$build/compile_commands.json" ] || (cd "$root" && cmake --preset "$preset") >&2
build_targets assent_api_proto assent_participant_proto assent_rpc_status_messages assent_wire_proto assent_peer_proto assent_rpc_details_messages assent_health_proto assent_reflection_proto

cd "$root"
if [ $# -gt 0 ]; then files=("$@"); else mapfile -t files < <(git ls-files '*.cc' '*.h'); fi
clang-format --dry-run -Werror "${files[@]}"
sources=()
for file in "${files[@]}"; do
  # What this build does not compile (the yardsticks have scripts of their own) clang cannot read.
  [[ $file == *.cc ]] && grep -q "\"file\": \".*/$file\"" "$build/compile_commands.json" && sources+=("$file")
done
# GCC's precompiled headers mean nothing to clang: a database without them, beside the real one.
tidy=$build/tidy
mkdir -p "$tidy"
sed -E 's# -Winvalid-pch -include [^ ]*cmake_pch\.hxx##' "$build/compile_commands.json" >"$tidy/compile_commands.json"
printf '%s\n' "${sources[@]}" | xargs -P "$(nproc)" -n 4 clang-tidy -p "$tidy" --quiet
