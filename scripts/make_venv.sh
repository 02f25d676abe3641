#!/bin/sh
# Make or update the virtual environment named by $1 with everything the project needs, at the
# versions in constraints.txt. Uses uv where it is (or can be had), which is thirty times faster.
set -eu
venv=$1
python=${PYTHON:-python3}
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || { rm -rf "$venv"; exit 1; }

if command -v uv >/dev/null 2>&1; then
    uv=uv
else
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv 2>/dev/null || true
    uv="$venv/bin/uv"
fi

if command -v "$uv" >/dev/null 2>&1; then
    "$uv" pip install --quiet --python "$venv/bin/python" \
        --constraint constraints.txt --editable '.[openvino,onnx,postgres,notify,s3,counting,dev]'
else
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --constraint constraints.txt --editable '.[openvino,onnx,postgres,notify,s3,counting,dev]'
fi
