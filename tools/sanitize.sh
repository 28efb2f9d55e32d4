#!/usr/bin/env bash
# Kernels on every instruction set, and streams on two threads, under sanitizers: address with undefined
# behaviour, then thread. Any finding fails. Arguments choose: address, thread (default: both), and python: the
# Python module, training's kernels with it, under the tests that call it most (needs what `make test` installs).
set -euo pipefail
cd "$(dirname "$0")/.."

voice=src/halfbyte/assets/en-voice.hb
integer_only=tests/golden/tones-integer.hb
recordings=(tests/data/*.wav src/halfbyte/assets/demo.wav)
export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1

build() { # name, flags, what to build
  cmake -S . -B "build/$1" -G Ninja -DCMAKE_BUILD_TYPE=None "${@:3}" \
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

# Beside the module lies the package, so that `import halfbyte` finds this one. Python keeps its memory to the end, and
# what tests of memory count is the sanitizers' own.
python_module() { # folder
  local package="$PWD/$1/package" found
  rm -rf "$package"
  mkdir "$package"
  cp -r src/halfbyte "$package/"
  rm -f "$package"/halfbyte/_core.*.so
  cp "$1"/_core.*.so "$package/halfbyte/"
  found=$(PYTHONPATH="$package" python -c 'import importlib.util; print(importlib.util.find_spec("halfbyte").origin)')
  if [ "$found" != "$package/halfbyte/__init__.py" ]; then
    echo "python would import $found; install only what halfbyte needs, not halfbyte itself" >&2
    return 1
  fi
  LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
    ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0" PYTHONPATH="$package" \
    python -m pytest -q -p no:cacheprovider --ignore=tests/engine/test_memory.py \
    tests/quant tests/models tests/kernels tests/integer tests/engine
}

mkdir -p build
[ "$#" -gt 0 ] || set -- address thread
for name in "$@"; do
  flags="-fsanitize=$name"
  [ "$name" = thread ] || flags="-fsanitize=address,undefined -fno-sanitize-recover=all"
  if [ "$name" = python ]; then
    build python "$flags" -DPython_EXECUTABLE="$(command -v python)"
    python_module build/python
    echo "$name: nothing found"
    continue
  fi
  build "$name" "$flags" -DHALFBYTE_PYTHON=OFF -DHALFBYTE_CHECKS=ON
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
