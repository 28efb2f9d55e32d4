#!/usr/bin/env bash
# The whole recipe: trains both formats, exports, compiles, puts the 4-bit model into the package and measures both.
# HALFBYTE_DATA is the folder of the corpora (README.md). Interrupted, the same command goes on.
set -euo pipefail
cd "$(dirname "$0")/../.."
runs="${1:-runs/en-voice}"

for format in w4a8 float32; do
  halfbyte train recipes/en-voice/config.yaml --run "$runs/$format-leg1" quantization.default=$format
  halfbyte train recipes/en-voice/config.yaml --run "$runs/$format" --from "$runs/$format-leg1/result" \
    quantization.default=$format loop.epochs=4 optimizer.peak_rate=6e-4 optimizer.warmup_steps=200 seed=2
  halfbyte export "$runs/$format/result" -o "$runs/$format/onnx" --card recipes/en-voice/card.json
  halfbyte compile "$runs/$format/onnx" -o "$runs/$format/en-voice.hb"
  halfbyte info "$runs/$format/en-voice.hb"
done
cp "$runs/w4a8/en-voice.hb" src/halfbyte/assets/en-voice.hb
python tools/half_checkpoint.py "$runs/w4a8/result" models/en-voice
python bench/evaluate.py w4a8="$runs/w4a8/en-voice.hb" float32="$runs/float32/en-voice.hb"
python tools/readme_table.py
