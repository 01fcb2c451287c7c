#!/usr/bin/env bash
# On a machine with a GPU, Python (PyTorch, jax-cuda13-plugin) and no Node: run.sh all|PART[,PART…] RESULTS
# Parts, each with a limit of its own, together under ten minutes: conformance (every operation against its reference,
# golden runs), b32 and b16 (our step beside open_clip's compiled one). RESULTS/gpu.json holds what came of all parts so far.
# CLIPWRIGHT_XLA_PLUGIN=FILE takes another plugin, e.g. XLA's for CPUs, with CASE_B32, CASE_B16 as smaller cases.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
parts=${1:-all}
results=${2:-results}
[ "$parts" = all ] && parts=conformance,b32,b16
mkdir -p "$results"
results=$(cd "$results" && pwd)
work=${CLIPWRIGHT_WORK:-/tmp/clipwright-gpu}
python=${PYTHON:-python3}
started=$SECONDS

if [ ! -x "$work/node" ]; then
  mkdir -p "$work"
  "$python" - "$here" "$work" <<'PY'
import lzma, pathlib, shutil, sys, tarfile
here, work = map(pathlib.Path, sys.argv[1:])
with lzma.open(here / "node.xz") as packed, open(work / "node", "wb") as out:
    shutil.copyfileobj(packed, out)
(work / "node").chmod(0o755)
with tarfile.open(here / "app.tar.xz") as tar:
    tar.extractall(work, filter="data")
PY
  if [ -d "$here/wheels" ]; then
    "$python" -m pip install -q --no-index --no-deps --no-compile --upgrade --target "$work/site" "$here"/wheels/*.whl
  fi
fi
export PYTHONPATH="$work/site${PYTHONPATH:+:$PYTHONPATH}"
export CLIPWRIGHT_CACHE="$work/cache" CLIPWRIGHT_REQUIRE_XLA=1
if [ -z "${CLIPWRIGHT_XLA_PLUGIN:-}" ]; then
  CLIPWRIGHT_XLA_PLUGIN=$("$python" -c 'import jax_plugins.xla_cuda13 as p, pathlib; print(pathlib.Path(p.__file__).parent / "xla_cuda_plugin.so")')
  export CLIPWRIGHT_XLA_PLUGIN
fi
cd "$work/app"

# part NAME LIMIT COMMAND…: what it prints goes to RESULTS/NAME.out, what it complains of to RESULTS/NAME.err.
part() {
  local name=$1 limit=$2 code=0 begun=$SECONDS
  shift 2
  [[ ",$parts," == *",$name,"* ]] || return 0
  timeout -k 5 "$limit" "$@" >"$results/$name.out" 2>"$results/$name.err" || code=$?
  echo "$code $((SECONDS - begun))" >"$results/$name.code"
  echo "$name: code $code after $((SECONDS - begun)) s" >&2
}

peers() {
  "$work/node" dist/bench/peers.js --json --rounds "${ROUNDS:-1}" --python "$python" ${DEVICE:+--device "$DEVICE"} \
    --plugin "$CLIPWRIGHT_XLA_PLUGIN" --engine xla ${PEERS:---ours bf16 --peer amp_bf16+compile} --case "$1"
}
export -f peers
export work python

part conformance 200 "$work/node" dist/test/run.js engines.conformance train.golden
part b32 170 bash -c 'peers "$1"' - "${CASE_B32:-ViT-B-32:1024:77}"
part b16 190 bash -c 'peers "$1"' - "${CASE_B16:-ViT-B-16:512:77}"
"$python" "$here/summary.py" "$results" "$((SECONDS - started))"
