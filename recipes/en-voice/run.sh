#!/usr/bin/env bash
# The whole recipe: trains both formats, exports, compiles, puts the 4-bit model into the package and measures both.
# HALFBYTE_DATA is the folder of the corpora (README.md). Interrupted, the same command goes on.
set -euo pipefail
cd "$(dirname "$0")/../.."
runs="${1:-runs/en-voice}"

# Two legs in 4 bits; from their weights six more in each format, so that the formats differ in nothing else, but
# that in the last two the 4-bit model learns from the float32 one as well.
config=recipes/en-voice/config.yaml
leg=(loop.epochs=3 optimizer.peak_rate=6e-4 optimizer.warmup_steps=200)
halfbyte train $config --run "$runs/leg1"
halfbyte train $config --run "$runs/leg2" --from "$runs/leg1/result" "${leg[@]}" seed=2 loop.average_last=1
commands_twice='data.train=[speechocean762/train.jsonl, wuw2/train.jsonl, speech_commands/train.jsonl,
  speech_commands/train.jsonl, librispeech/train.jsonl, ljspeech/train.jsonl, noise_esc10/train.jsonl]'
surroundings=(augment.background_chance=0.25 augment.joined_chance=0.15)

for format in float32 w4a8; do
  halfbyte train $config --run "$runs/$format-leg3" --from "$runs/leg2/result" "${leg[@]}" seed=3 loop.epochs=5 \
    quantization.default=$format
  halfbyte train $config --run "$runs/$format-leg4" --from "$runs/$format-leg3/result" "${leg[@]}" seed=4 \
    loop.average_last=1 quantization.default=$format "$commands_twice"
  halfbyte train $config --run "$runs/$format-leg5" --from "$runs/$format-leg4/result" "${leg[@]}" seed=5 loop.epochs=5 \
    optimizer.peak_rate=8e-4 quantization.default=$format "$commands_twice"
  halfbyte train $config --run "$runs/$format-leg6" --from "$runs/$format-leg5/result" "${leg[@]}" seed=6 \
    loop.epochs=4 optimizer.peak_rate=8e-4 quantization.default=$format "$commands_twice" "${surroundings[@]}"
  for number in 7 8; do
    learns_from=()
    [ "$format" = w4a8 ] && learns_from=("distillation.teacher=$runs/float32-leg$number/result")
    halfbyte train $config --run "$runs/$format-leg$number" --from "$runs/$format-leg$((number - 1))/result" "${leg[@]}" \
      seed=$number optimizer.peak_rate=8e-4 quantization.default=$format "$commands_twice" "${surroundings[@]}" \
      ${learns_from[@]+"${learns_from[@]}"}
  done
  halfbyte export "$runs/$format-leg8/result" -o "$runs/$format/onnx" --card recipes/en-voice/card.json
  halfbyte compile "$runs/$format/onnx" -o "$runs/$format/en-voice.hb"
  halfbyte info "$runs/$format/en-voice.hb"
done
cp "$runs/w4a8/en-voice.hb" src/halfbyte/assets/en-voice.hb
python tools/half_checkpoint.py "$runs/w4a8-leg8/result" models/en-voice
python bench/evaluate.py w4a8="$runs/w4a8/en-voice.hb" float32="$runs/float32/en-voice.hb"
python tools/readme_table.py
