#!/usr/bin/env bash
# Whisper tiny.en to a streaming W4A8 recogniser: the encoder distilled into chunks, the decoder taught our texts, both in
# float; then all of it natively in 4 bits, with the float model as teacher.
#   recipes/en-voice/whisper.sh MODEL_FOLDER TEXTS [RUNS]
# MODEL_FOLDER holds Whisper as CTranslate2 runs it, TEXTS/en_*.txt.xz the texts that the vocabulary is cut for;
# HALFBYTE_DATA is the folder of the corpora. Interrupted, the same command goes on.
set -euo pipefail
cd "$(dirname "$0")/../.."
whisper=$1 texts=$2 runs=${3:-runs/whisper}
mkdir -p "$runs"
python recipes/en-voice/distil.py "$whisper/model.bin" "$runs/float" --steps 3700
[ -e "$runs/start" ] ||
  python recipes/en-voice/start.py "$whisper" "$runs/float/student.safetensors" "$texts" "$runs/start"
halfbyte train recipes/en-voice/whisper.yaml --run "$runs/decoder" --from "$runs/start" \
  model.trainable='[decoder.*,ctc.*]' model.ctc_weight=0.05 optimizer.peak_rate=1e-4
halfbyte train recipes/en-voice/whisper.yaml --run "$runs/texts" --from "$runs/decoder/result" \
  quantization.default=w4a8 distillation.teacher="$runs/decoder/result"
halfbyte export "$runs/texts/result" -o "$runs/onnx" --card recipes/en-voice/card.json
halfbyte compile "$runs/onnx" -o "$runs/en-voice.hb"
