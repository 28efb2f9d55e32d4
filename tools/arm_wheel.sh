#!/usr/bin/env bash
# Builds a wheel for 64-bit Arm Linux on an x86 machine and runs it in Debian's userland under qemu:
#   tools/arm_wheel.sh [FOLDER]
# FOLDER (build/arm-wheel) gets the wheel and, in root/, Debian 12 for arm64, fetched by apt without touching this
# machine's packages. Needs g++-aarch64-linux-gnu, qemu-user and apt.
set -euo pipefail
cd "$(dirname "$0")/.."
folder="$(mkdir -p "${1:-build/arm-wheel}" && cd "${1:-build/arm-wheel}" && pwd)" root="$folder/root"
python="${PYTHON:-python3}"

if [ ! -x "$root/usr/bin/python3.11" ]; then
  mkdir -p "$folder"/apt/{state/lists/partial,cache/archives/partial}
  touch "$folder/apt/state/status"
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  echo "deb [signed-by=$keys] http://deb.debian.org/debian bookworm main" >"$folder/apt/sources.list"
  cat >"$folder/apt/apt.conf" <<END
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
Dir::State "$folder/apt/state";
Dir::State::status "$folder/apt/state/status";
Dir::Cache "$folder/apt/cache";
Dir::Etc::sourcelist "$folder/apt/sources.list";
Dir::Etc::sourceparts "-";
END
  export APT_CONFIG="$folder/apt/apt.conf"
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends --download-only python3-pip libpython3.11-dev
  for package in "$folder"/apt/cache/archives/*.deb; do dpkg-deb -x "$package" "$root"; done
  unset APT_CONFIG
fi

# What says "for Arm" to scikit-build-core: the wheel's tag and the module's suffix.
_PYTHON_HOST_PLATFORM=linux-aarch64 SETUPTOOLS_EXT_SUFFIX=.cpython-311-aarch64-linux-gnu.so \
  "$python" -m pip wheel --quiet --no-deps -w "$folder" . \
  -C cmake.define.CMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64-linux-gnu.cmake" \
  -C cmake.define.Python_INCLUDE_DIR="$root/usr/include/python3.11" \
  -C cmake.define.CMAKE_CXX_FLAGS="-idirafter $root/usr/include" \
  -C build-dir="$folder/build"

arm() { qemu-aarch64 -L "$root" -E PYTHONPATH="$folder/installed" "$root/usr/bin/python3.11" "$@"; }
rm -rf "$folder/installed"
arm -m pip install --quiet --no-index --no-deps --target "$folder/installed" "$folder"/halfbyte-*_aarch64.whl
arm -c 'import halfbyte, platform; print("halfbyte", halfbyte.__version__, "on", platform.machine())'
arm -m halfbyte info
arm -m halfbyte transcribe --stream --stats src/halfbyte/assets/demo.wav
