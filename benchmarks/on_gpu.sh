#!/usr/bin/env bash
# What a GPU is good for, in eight minutes: the endpoint on CUDA beside bare inference, then a training.
#
#   benchmarks/on_gpu.sh --prepare                       # once, anywhere: environments from the lock files, the model
#   benchmarks/on_gpu.sh --dataset NEU-DET.zip --pretrained efficientnet-lite2-9656183e.pth
#
# Each figure is a line of OUT/lines.jsonl as soon as it is known, and OUT/table.md is written after each part, so that
# a run that is cut off keeps what it has. A part that fails or takes too long does not stop the next one.
set -uo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
usage: benchmarks/on_gpu.sh [--minutes 8] [--out build/gpu] [--device cuda|cpu] [--parts check,serve,train]
                            [--dataset FILE] [--pretrained FILE] [--model FILE]
                            [--python PROGRAM] [--train-python PROGRAM] [--prepare] [--toy]

  --minutes N       for all parts together, what is not prepared included
  --model FILE      a model.tar.gz to serve, instead of D-FINE-small at 640 px with random weights
  --python P        an interpreter that has requirements/serve-gpu.txt, instead of installing it
  --train-python P  an interpreter that has requirements/train.txt
  --prepare         install and export only; needs no GPU, but a package index
  --toy             the smallest of everything, to try the script itself
TEXT
}

MINUTES=8 OUT=build/gpu DEVICE=cuda PARTS=check,serve,train DATASET= PRETRAINED= MODEL= PYTHON= TRAIN_PYTHON= PREPARE= TOY=
refuse() { echo "on_gpu.sh: $1" >&2; echo "           $2" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case "$1" in
    --prepare) PREPARE=1; shift ;;
    --toy) TOY=1; shift ;;
    --help | -h) usage; exit 0 ;;
    --minutes | --out | --device | --parts | --dataset | --pretrained | --model | --python | --train-python)
      [ $# -ge 2 ] || refuse "$1 needs a value" "benchmarks/on_gpu.sh --help lists the options."
      name=${1#--} name=${name//-/_}
      printf -v "${name^^}" '%s' "$2"; shift 2 ;;
    *) refuse "there is no option $1" "benchmarks/on_gpu.sh --help lists the options." ;;
  esac
done
[[ $MINUTES =~ ^[0-9]+(\.[0-9]+)?$ ]] || refuse "--minutes $MINUTES is no number" "Such as --minutes 8."
[[ $DEVICE =~ ^(cuda|cpu)$ ]] || refuse "--device $DEVICE is neither cuda nor cpu" "Without a GPU: --device cpu."
[[ $PARTS =~ ^(check|serve|train)(,(check|serve|train))*$ ]] || refuse "--parts $PARTS" "They are check, serve and train."
for file in "$DATASET" "$PRETRAINED" "$MODEL"; do
  [ -z "$file" ] || [ -e "$file" ] || refuse "there is no file $file" "Give a path that exists."
done

SECONDS=0
TOTAL=$(awk "BEGIN { printf \"%d\", $MINUTES * 60 }")
ENVIRONMENTS=build/gpu-environments
mkdir -p "$OUT" "$ENVIRONMENTS"
export ORT_DISABLE_TELEMETRY=1 PYTHONUNBUFFERED=1
left() { echo $((TOTAL - SECONDS > 1 ? TOTAL - SECONDS : 1)); }
has() { [[ ,$PARTS, == *",$1,"* ]]; }
say() { echo "[$SECONDS s] $*" >&2; }

# An environment from a lock file, with hashes required; one that is complete is kept.
environment() { # NAME REQUIREMENTS
  local folder=$ENVIRONMENTS/$1
  if [ ! -e "$folder/.done" ]; then
    say "installing requirements/$2 into $folder ..."
    python3 -m venv --clear "$folder" &&
      "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "requirements/$2" &&
      touch "$folder/.done"
  fi
}

REQUIREMENTS=$([ "$DEVICE" = cuda ] && echo serve-gpu.txt || echo serve.txt)
pids=()
if [ -z "$PYTHON" ]; then PYTHON=$ENVIRONMENTS/${REQUIREMENTS%.txt}/bin/python; environment "${REQUIREMENTS%.txt}" "$REQUIREMENTS" & pids+=($!); fi
if [ -z "$TRAIN_PYTHON" ]; then TRAIN_PYTHON=$ENVIRONMENTS/train/bin/python; environment train train.txt & pids+=($!); fi
for pid in "${pids[@]}"; do wait "$pid" || say "an environment is not complete: see above"; done

runs() { "$1" -c "" 2>/dev/null; }
if ! runs "$PYTHON"; then
  echo "on_gpu.sh: $PYTHON does not run" >&2
  echo "           Give an interpreter that has requirements/$REQUIREMENTS: --python PROGRAM." >&2
  exit 1
fi
note() { "$PYTHON" -m benchmarks.gpu.lines "$OUT" --note "$1" "$2" || true; }
if [ -z "$MODEL" ]; then
  MODEL=$ENVIRONMENTS/dfine_small-640.tar.gz
  if [ -n "$TOY" ]; then
    MODEL=models/starter/model.tar.gz
  elif has serve && [ ! -e "$MODEL" ]; then
    say "exporting D-FINE-small at 640 px ..."
    "$TRAIN_PYTHON" -m benchmarks.gpu.model --out "$MODEL" || note endpoint "the model could not be exported"
  fi
fi
[ -z "$PREPARE" ] || { say "ready"; exit 0; }

# A part in the seconds that it has; ten more, and it is killed.
part() { # NAME SECONDS COMMAND...
  local name=$1 most=$2 status=0
  shift 2
  say "$name, for at most $most s ..."
  timeout --kill-after=10 "$((most + 5))" "$@" || status=$?
  [ "$status" -ne 124 ] && [ "$status" -ne 137 ] || note "$name" "it took more than $most s"
  "$PYTHON" -m benchmarks.gpu.lines "$OUT" || true
  return "$status"
}

FAILED=0
if has check; then
  part check 60 "$PYTHON" -m benchmarks.gpu.check --out "$OUT" --device "$DEVICE" || { say "see $OUT/table.md"; exit 1; }
fi
if has serve; then
  # The training gets the larger half of what is left.
  budget=$(left); has train && budget=$((budget * 2 / 5))
  toy=(); [ -z "$TOY" ] || toy=(--each 0.2 --batches 1 2)
  part serve "$budget" "$PYTHON" -m benchmarks.gpu.serve --model "$MODEL" --out "$OUT" --device "$DEVICE" --seconds "$budget" "${toy[@]}" || FAILED=1
fi
if has train; then
  runs "$TRAIN_PYTHON" || note train "$TRAIN_PYTHON does not run: --train-python PROGRAM"
  budget=$(($(left) > 20 ? $(left) - 10 : $(left)))
  more=(); [ -z "$TOY" ] || more+=(--toy)
  [ -z "$DATASET" ] || more+=(--dataset "$DATASET")
  [ -z "$PRETRAINED" ] || more+=(--pretrained "$PRETRAINED")
  part train "$budget" "$TRAIN_PYTHON" -m benchmarks.gpu.train --out "$OUT" --device "$DEVICE" --seconds "$budget" "${more[@]}" || FAILED=1
fi
say "done: $OUT/table.md"
cat "$OUT/table.md"
exit $FAILED
