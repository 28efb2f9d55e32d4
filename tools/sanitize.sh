#!/usr/bin/env bash
# Kernels on every instruction set, and streams on two threads, under sanitizers: address with undefined
# behaviour, then thread. Any finding fails. Arguments choose: address, thread (default: both).
set -euo pipefail
cd "$(dirname "$0")/.."

voice=src/halfbyte/assets/en-voice.hb
integer_only=tests/golden/tones-integer.hb
recordings=(tests/data/*.wav src/halfbyte/assets/demo.wav)
export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1

build() { # name, flags
  cmake -S . -B "build/$1" -G Ninja -DCMAKE_BUILD_TYPE=None -DHALFBYTE_PYTHON=OFF -DHALFBYTE_CHECKS=ON \
    -DCMAKE_CXX_FLAGS="-O1 -g1 -fno-omit-frame-pointer $2" >"build/$1.log"
  cmake --build "build/$1"
}

streams() { # program
  for mode in rescoring greedy prefix_beam attention; do
    for chunk_ms in 0 320; do
      for model in "$voice" "$integer_only"; do
        "$1" transcribe "$model" "$mode" "$chunk_ms" 2 "${recordings[@]}"
      done
    done
  done
}

mkdir -p build
[ "$#" -gt 0 ] || set -- address thread
for name in "$@"; do
  flags="-fsanitize=$name"
  [ "$name" = address ] && flags="-fsanitize=address,undefined -fno-sanitize-recover=all"
  build "$name" "$flags"
  program="build/$name/engine_check"
  if [ "$name" = address ]; then
    for isa in $("$program" isas); do
      "$program" kernels "$isa" >/dev/null
      echo "$name: kernels $isa: nothing found"
    done
  fi
  streams "$program" >/dev/null
  echo "$name: streams: nothing found"
done
