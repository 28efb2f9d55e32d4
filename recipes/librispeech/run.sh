#!/usr/bin/env bash
# From LibriSpeech as unpacked to a model for the device:
#   recipes/librispeech/run.sh .../LibriSpeech RUN [key=value ...]
# Interrupted, the same command goes on.
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "usage: recipes/librispeech/run.sh .../LibriSpeech RUN [key=value ...]" >&2
  exit 2
fi
recipe="$(cd "$(dirname "$0")" && pwd)"
corpus="$1" run="$2"
shift 2

halfbyte prepare "$corpus" -o "$run/data" --lower-case
halfbyte train "$recipe/config.yaml" --run "$run/train" data.root="$run/data" "$@"
halfbyte export "$run/train/result" -o "$run/onnx"
halfbyte compile "$run/onnx" -o "$run/librispeech.hb"
halfbyte eval "$run/librispeech.hb" "$run/data/test-clean.jsonl"
