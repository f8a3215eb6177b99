#!/usr/bin/env bash
# Installs the Debian packages that Convoy needs, and those named, where this machine lacks them. Nothing to do: says nothing.
set -euo pipefail

packages=(
  git g++ make cmake ninja-build pkg-config
  libdnnl-dev ocl-icd-opencl-dev opencl-headers  # oneDNN, and what its CMake file asks for
  libboost-context-dev  # the simulator's fibers
  libfmt-dev nlohmann-json3-dev libcli11-dev
  libjpeg62-turbo-dev libstb-dev zlib1g-dev
  libgloo-dev  # ranks on hosts
  libgtest-dev
  libzstd-dev  # the PTX in programs
)
packages+=("$@")

if ! command -v dpkg-query >/dev/null; then
  echo "setup: this is not a Debian machine; install by its own means: ${packages[*]}" >&2
  exit 2
fi

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

install="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" -eq 0 ]; then
  as_root=()
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then  # or it asks
  as_root=(sudo)
else
  echo "setup: packages are missing. As root, run:" >&2
  echo "  $install" >&2
  exit 2
fi

echo "setup: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { "${as_root[@]}" apt-get update && "${as_root[@]}" apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "setup: installing failed (whole log: $log)" >&2
  exit 1
fi
rm -f "$log"
