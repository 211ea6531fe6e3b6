#!/usr/bin/env bash
# Build the image. Usage: do_build.sh WORK [2025|2026]
# WORK is a work directory with trained models, or a folder made by `hnseg export`.
set -euo pipefail
work=$(realpath "${1:?usage: do_build.sh WORK [2025|2026]}")
interface=${2:-2025}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}

rm -rf "$here/build"
mkdir "$here/build"
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$here/build" "$root"
grep -v '^torch==' "$root/constraints.txt" >"$here/build/constraints.txt" # torch comes with the base image
"$python" -m hnseg export "$work" "$here/build/model"
docker build --platform linux/amd64 --build-arg INTERFACE="$interface" --tag "hnseg-task1-$interface" "$here"
