#!/bin/sh
# The suite for a GPU: results compared with torch in f64, then times, into bench/results/<gpu>/*.json.
#
#   bench/gpu_suite.sh make PROGRAMS [CHIP]   compiles the programs of all cases, for sm_90a or CHIP; needs no GPU
#   bench/gpu_suite.sh run PROGRAMS           measures them in ten minutes; needs no compiler but one for C++:
#                                             torch for CUDA, numpy, ml_dtypes, typer, rich, cmake, scikit-build-core
#   bench/gpu_suite.sh run                    compiles and measures, where there are both
#
# ONLY="dense moe" chooses parts of bench/gpu.toml whose names hold one of these words; PYTHON another interpreter than
# that of .venv, if there is one, else python3.
# On a machine that this file has not seen before, `run` builds libpit_runtime into build/gpu_suite.
set -eu
cd "$(dirname "$0")/.."
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python3
    if [ -x .venv/bin/python ]; then PYTHON=.venv/bin/python; fi
fi
ONLY=${ONLY:-}

usage() {
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

suite() {
    "$PYTHON" -m bench.subset --table gpu --no-figures --only "$ONLY" "$@"
}

build_runtime() {
    if "$PYTHON" -c "from pit_mlir.runtime.library import library; library()" 2>/dev/null; then return; fi
    echo "building libpit_runtime" >&2
    cmake -S . -B build/gpu_suite -DCMAKE_BUILD_TYPE=Release >build/gpu_suite.log 2>&1 &&
        cmake --build build/gpu_suite >>build/gpu_suite.log 2>&1 || { cat build/gpu_suite.log >&2; exit 1; }
    PIT_RUNTIME_LIBRARY=$(find "$PWD/build/gpu_suite" -name 'libpit_runtime.so' | head -n 1)
    export PIT_RUNTIME_LIBRARY
}

case "${1:-} $#" in
"make 2" | "make 3")
    mkdir -p "$2"
    echo "cuda:${3:-sm_90a}" >"$2/target"
    suite --target "$(cat "$2/target")" --programs "$2" --make --minutes 60
    ;;
"run 1" | "run 2")
    mkdir -p build
    build_runtime
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
    suite --target "$([ $# -eq 1 ] && echo cuda || cat "$2/target")" ${2:+--programs "$2"} --minutes 9
    ;;
*) usage ;;
esac
