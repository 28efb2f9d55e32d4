#!/usr/bin/env bash
# From a folder of recordings with a CSV file to a model for the device:
#   recipes/words/run.sh RECORDINGS RUN [key=value ...]
# Interrupted, the same command goes on.
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "usage: recipes/words/run.sh RECORDINGS RUN [key=value ...]" >&2
  exit 2
fi
recipe="$(cd "$(dirname "$0")" && pwd)"
recordings="$1" run="$2"
shift 2

halfbyte prepare "$recordings" -o "$run/data"
halfbyte train "$recipe/config.yaml" --run "$run/train" data.root="$run/data" "$@"
halfbyte export "$run/train/result" -o "$run/onnx" --card "$recipe/card.json"
halfbyte compile "$run/onnx" -o "$run/words.hb"
halfbyte info "$run/words.hb"
halfbyte eval "$run/words.hb" "$run/data/test.jsonl"
