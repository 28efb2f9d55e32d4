#!/usr/bin/env bash
# Whisper tiny.en to a streaming W4A8 recogniser: distilled into chunks in float, then in 4 bits, then trained with texts.
#   recipes/en-voice/whisper.sh MODEL_FOLDER TEXTS [RUNS]
# MODEL_FOLDER holds Whisper as CTranslate2 runs it, TEXTS/en_*.txt.xz the texts that the vocabulary is cut for;
# HALFBYTE_DATA is the folder of the corpora. Interrupted, the same command goes on.
set -euo pipefail
cd "$(dirname "$0")/../.."
whisper=$1 texts=$2 runs=${3:-runs/whisper}
mkdir -p "$runs"
python recipes/en-voice/distil.py "$whisper/model.bin" "$runs/float" --steps 3700
python recipes/en-voice/distil.py "$whisper/model.bin" "$runs/w4a8" --from "$runs/float/student.safetensors" \
  --format w4a8 --steps 400
[ -e "$runs/start" ] ||
  python recipes/en-voice/start.py "$whisper" "$runs/w4a8/student.safetensors" "$texts" "$runs/start"
halfbyte train recipes/en-voice/whisper.yaml --run "$runs/texts" --from "$runs/start" quantization.default=w4a8
halfbyte export "$runs/texts/result" -o "$runs/onnx" --card recipes/en-voice/card.json
halfbyte compile "$runs/onnx" -o "$runs/en-voice.hb"
