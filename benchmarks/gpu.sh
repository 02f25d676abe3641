#!/bin/sh
# benchmarks/gpu.py on a bare machine with one NVIDIA GPU, in eight minutes at most, preparation
# included. Options go on to it (--tiny: the same in small, on the CPU).
#
# Uses the first Python that has torch and torchvision: $PYTHON, .venv, python3. Packages that a
# night needs and that are not there come from the wheels in the folder $WHEELS, or else from a
# package registry, if there is one; without them those parts are left out, and a row says so.
# Where no Python has torch, an environment is made. Nothing is written into the checkout but
# benchmarks/results/gpu.*, and with $OUT set not even that.
set -u
cd "$(dirname "$0")/.."
began=$(date +%s)
limit=${LIMIT_S:-480}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tiny=
for option; do [ "$option" = --tiny ] && tiny=--tiny; done

say() { echo "[$(($(date +%s) - began)) s] $*" >&2; }

# Whether this Python has torch, and, but for --tiny, a GPU that it can use.
fits() {
    if [ -n "$tiny" ]; then
        probe='import sys, importlib.util as u
sys.exit(0 if u.find_spec("torch") and u.find_spec("torchvision") else 1)'
    else
        probe='import sys, torch, torchvision; sys.exit(0 if torch.cuda.is_available() else 1)'
    fi
    "$1" -c "$probe" >/dev/null 2>&1
}

install() {
    if command -v uv >/dev/null 2>&1; then
        timeout "$1" uv pip install --quiet --python "$python" --target "$scratch/site" $2
    else
        timeout "$1" "$python" -m pip install --quiet --retries 0 --timeout 10 \
            --disable-pip-version-check --target "$scratch/site" $2
    fi
}

python=
for candidate in ${PYTHON:-} .venv/bin/python python3; do
    if fits "$candidate"; then
        python=$(command -v "$candidate")
        break
    fi
    say "$candidate: no torch and torchvision there, or no GPU that they can use"
done
export PYTHONPATH="$scratch/site${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1

if [ -z "$python" ]; then
    say "making an environment with torch and torchvision"
    python3 -m venv "$scratch/venv" && python=$scratch/venv/bin/python || exit 1
    install 240 'torch torchvision numpy' || { say "they are not to be had here"; exit 1; }
    fits "$python" || { say "torch is there now, but finds no GPU"; exit 1; }
fi
say "using $python: $("$python" --version)"

missing=$("$python" -m benchmarks.gpu --missing)
if [ -n "$missing" ] && [ -n "${WHEELS:-}" ]; then
    "$python" -m pip install --quiet --no-index --no-deps --no-compile \
        --disable-pip-version-check --target "$scratch/site" "$WHEELS"/*.whl
    say "wheels of $WHEELS: done with $?"
    missing=$("$python" -m benchmarks.gpu --missing)
fi
if [ -n "$missing" ]; then
    say "missing: $missing"
    install 60 "$missing" || say "not to be had here: parts that need them are left out"
fi

prepared=$(($(date +%s) - began))
say "prepared"
"$python" -m benchmarks.gpu --prepared-s "$prepared" --limit-s "$((limit - prepared))" "$@"
code=$?
say "done with $code"
exit $code
