#!/usr/bin/env bash
# From a corpus as unpacked, or a folder of recordings, to a model for the device, by the recipe in recipes/RECIPE:
#   recipes/run.sh RECIPE CORPUS RUN [key=value ...]
# RECIPE/config.yaml is the configuration, card.json what the file says about itself, settings.sh what differs from the
# defaults below. Interrupted, the same command goes on.
set -euo pipefail
if [ $# -lt 3 ]; then
  echo "usage: recipes/run.sh RECIPE CORPUS RUN [key=value ...]" >&2
  exit 2
fi
recipe="$(cd "$(dirname "$0")/$1" && pwd)" name="$1" corpus="$2" run="$3"
shift 3

prepare_options="" test_split=test card=""
[ ! -f "$recipe/settings.sh" ] || . "$recipe/settings.sh"
[ ! -f "$recipe/card.json" ] || card="$recipe/card.json"

halfbyte prepare "$corpus" -o "$run/data" $prepare_options
halfbyte train "$recipe/config.yaml" --run "$run/train" data.root="$run/data" "$@"
halfbyte export "$run/train/result" -o "$run/onnx" ${card:+--card "$card"}
halfbyte compile "$run/onnx" -o "$run/$name.hb"
halfbyte info "$run/$name.hb"
halfbyte eval "$run/$name.hb" "$run/data/$test_split.jsonl"
