#!/usr/bin/env bash
# From corpora to a spotter of twenty command words and its figures, in float and in 4 bits:
#   recipes/keyword/run.sh SPEECH RUN [SEED]
# SPEECH holds the corpora (docs/data.md), RUN gets everything. Interrupted, the same command goes on.
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "usage: recipes/keyword/run.sh SPEECH RUN [SEED]" >&2
  exit 2
fi
recipe="$(cd "$(dirname "$0")" && pwd)" speech="$1" run="$2" seed="${3:-1}"
scenes="$run/scenes" own="$run/seed-$seed"

[ -f "$scenes/test-others.jsonl" ] || python "$recipe/scenes.py" "$speech" "$scenes"
export HALFBYTE_DATA="$scenes"

train() {  # NAME [option ...]
  name="$1"
  shift
  halfbyte train "$recipe/config.yaml" --run "$own/$name" data.cache="$run/cache" seed="$seed" "$@"
  halfbyte export "$own/$name/result" -o "$own/$name/onnx"
  halfbyte compile "$own/$name/onnx" -o "$own/$name.hb"
  halfbyte eval "$own/$name.hb" "$scenes/dev-words.jsonl" --negatives "$scenes/dev-others.jsonl" --json > "$own/$name/dev.json"
  python "$recipe/thresholds.py" "$own/$name/result" "$own/$name/dev.json"
  halfbyte export "$own/$name/result" -o "$own/$name/onnx"
  halfbyte compile "$own/$name/onnx" -o "$own/$name.hb"
}

train float32 quantization.default=float32 quantization.weights=absmax model.num_stages=1
train w4a8 --from "$own/float32/result" optimizer.peak_rate=1.0e-3 loop.epochs=5
python "$recipe/../../bench/keywords.py" "$scenes" float32="$own/float32.hb" w4a8="$own/w4a8.hb" --seed "$seed" --plot "$own/det.svg"
