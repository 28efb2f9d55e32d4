#!/usr/bin/env bash
# From AISHELL-1 as unpacked to a model for the device:
#   recipes/aishell/run.sh .../data_aishell RUN [key=value ...]
# Interrupted, the same command goes on.
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "usage: recipes/aishell/run.sh .../data_aishell RUN [key=value ...]" >&2
  exit 2
fi
recipe="$(cd "$(dirname "$0")" && pwd)"
corpus="$1" run="$2"
shift 2

halfbyte prepare "$corpus" -o "$run/data"
halfbyte train "$recipe/config.yaml" --run "$run/train" data.root="$run/data" "$@"
halfbyte export "$run/train/result" -o "$run/onnx"
halfbyte compile "$run/onnx" -o "$run/aishell.hb"
halfbyte eval "$run/aishell.hb" "$run/data/test.jsonl"
