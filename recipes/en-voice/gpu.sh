#!/usr/bin/env bash
# The next leg of en-voice on a machine with a GPU and no network, lent for minutes: files travel in parts.
#
#   recipes/en-voice/gpu.sh pack PARTS                # here: corpora, start and wheels as parts of 20 MB (PART)
#   recipes/en-voice/gpu.sh unpack PART               # there, once for each part
#   recipes/en-voice/gpu.sh train [key=value ...]     # there: build, train, weights in pieces of 15 MB under $OUT
#   recipes/en-voice/gpu.sh join PIECES FOLDER        # here: the checkpoint that the pieces make
#
# pack reads HALFBYTE_DATA, and START, the checkpoint folder to start from (of start.py or an earlier leg). train takes any setting of
# recipes/en-voice/whisper.yaml; the machine brings torch, lightning, safetensors, sentencepiece, cmake, nanobind and
# scikit-build-core. A dry run on a processor, in a minute or two: the same commands here, with
#   train loop.accelerator=cpu data.train=[an4/train.jsonl] data.dev=[wuw2/dev.jsonl] data.batch_s=20 loop.epochs=1
set -euo pipefail
cd "$(dirname "$0")/../.."
data=${GPU_DATA:-build/gpu}
out=${OUT:-runs/gpu}
python=${PYTHON:-python3}
corpora=(an4 asterisk_en common_voice kathleen librispeech librispeech_clean5 ljspeech noise_esc50 speech_commands
  speechocean762 vctk_p239 wuw2)
wheels=(cattrs soxr soundfile cffi pycparser)

pack() {
  local parts=$1 wheelhouse
  mkdir -p "$parts"
  wheelhouse=$(mktemp -d)
  mkdir -p "$wheelhouse/wheels"
  "$python" -m pip download -q --no-deps --only-binary=:all: --python-version "${REMOTE_PYTHON:-3.12}" \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
    -d "$wheelhouse/wheels" "${wheels[@]}"
  cp -r "$START" "$wheelhouse/start"
  tar -C "$wheelhouse" -cf "$wheelhouse/rest.tar" wheels start
  # Manifests name train and dev alone; audio of test splits stays here.
  "$python" - "$wheelhouse/list" "${corpora[@]}" <<'PY'
import json, os, sys
from pathlib import Path

root = Path(os.environ["HALFBYTE_DATA"])
names = []
for corpus in sys.argv[2:]:
    for split in ("train", "dev"):
        manifest = root / corpus / f"{split}.jsonl"
        if manifest.exists():
            lines = manifest.read_text(encoding="utf-8").splitlines()
            audio = [f"{corpus}/{json.loads(line)['audio_filepath']}" for line in lines]
            names += [f"{corpus}/{split}.jsonl", *dict.fromkeys(audio)]
Path(sys.argv[1]).write_text("\n".join(names) + "\n", encoding="utf-8")
PY
  tar -C "$HALFBYTE_DATA" -cf - -T "$wheelhouse/list" | cat - "$wheelhouse/rest.tar" |
    split -b "${PART:-20M}" -d - "$parts/part-"
  rm -r "$wheelhouse"
  ls -l "$parts"
}

unpack() {
  mkdir -p "$data"
  cat "$1" >>"$data/all.tar"
}

train() {
  # The parts hold two archives, one behind the other.
  [ ! -e "$data/all.tar" ] || { tar -C "$data" --ignore-zeros -xf "$data/all.tar" && rm "$data/all.tar"; }
  [ -e "$data/site" ] || "$python" -m pip install -q --no-index --no-deps --target "$data/site" "$data"/wheels/*.whl
  [ -e "$data/site/halfbyte" ] ||
    "$python" -m pip install -q --no-index --no-deps --no-build-isolation --target "$data/site" .
  export PYTHONPATH="$data/site" HALFBYTE_DATA="$data"
  "$python" -c 'import torch; print(torch.__version__, torch.cuda.is_available())'
  "$python" -m halfbyte train recipes/en-voice/whisper.yaml --run "$data/run" --from "$data/start" \
    data.cache="$data/cache" data.batch_s=240 data.workers=12 loop.epochs=4 loop.checkpoint_steps=100 "$@"
  mkdir -p "$out"
  "$python" tools/small_checkpoint.py int8 "$data/run/result" "$data/small"
  tar -C "$data/small" -cf - . | split -b 15M -d - "$out/weights-"
  cp "$data/run/metrics.jsonl" "$out/"
}

join() {
  mkdir -p "$2"
  cat "$1"/weights-* | tar -C "$2" -xf -
}

case "${1:-}" in
  pack | unpack | train | join) "$@" ;;
  *) sed -n '2,13s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
