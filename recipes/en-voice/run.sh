#!/usr/bin/env bash
# The whole recipe: trains both formats, exports, compiles, puts the 4-bit model into the package and measures both.
# HALFBYTE_DATA is the folder of the corpora (README.md). Interrupted, the same command goes on.
set -euo pipefail
cd "$(dirname "$0")/../.."
runs="${1:-runs/en-voice}"

# Two legs in 4 bits, as it came about, and six in float32; then both formats from those weights, so that they differ in
# nothing else.
config=recipes/en-voice/config.yaml
leg=(loop.epochs=3 optimizer.peak_rate=6e-4 optimizer.warmup_steps=200)
commands_twice='data.train=[speechocean762/train.jsonl, wuw2/train.jsonl, speech_commands/train.jsonl,
  speech_commands/train.jsonl, librispeech/train.jsonl, ljspeech/train.jsonl, noise_esc10/train.jsonl]'
surroundings=(augment.background_chance=0.25 augment.joined_chance=0.15)

train_leg() { # NUMBER FORMAT [key=value ...]
  local number=$1 format=$2
  halfbyte train $config --run "$runs/leg$number-$format" --from "$last" "${leg[@]}" seed="$number" \
    quantization.default="$format" "${@:3}"
  last="$runs/leg$number-$format/result"
}

halfbyte train $config --run "$runs/leg1-w4a8"
last="$runs/leg1-w4a8/result"
train_leg 2 w4a8 loop.average_last=1
train_leg 3 float32 loop.epochs=5
train_leg 4 float32 loop.average_last=1 "$commands_twice"
train_leg 5 float32 loop.epochs=5 optimizer.peak_rate=8e-4 "$commands_twice"
train_leg 6 float32 loop.epochs=4 optimizer.peak_rate=8e-4 "$commands_twice" "${surroundings[@]}"
for number in 7 8; do
  train_leg $number float32 optimizer.peak_rate=8e-4 "$commands_twice" "${surroundings[@]}"
done
float32=$last
for format in float32 w4a8; do
  last=$float32
  train_leg 9 $format optimizer.peak_rate=8e-4 "$commands_twice" "${surroundings[@]}"
  halfbyte export "$last" -o "$runs/$format/onnx" --card recipes/en-voice/card.json
  halfbyte compile "$runs/$format/onnx" -o "$runs/$format/en-voice.hb"
  halfbyte info "$runs/$format/en-voice.hb"
done
cp "$runs/w4a8/en-voice.hb" src/halfbyte/assets/en-voice.hb
python tools/small_checkpoint.py float16 "$runs/leg9-float32/result" models/en-voice-float32
python tools/small_checkpoint.py float16 "$runs/leg9-w4a8/result" models/en-voice
python bench/evaluate.py w4a8="$runs/w4a8/en-voice.hb" float32="$runs/float32/en-voice.hb"
python tools/readme_table.py
