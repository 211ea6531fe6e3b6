#!/usr/bin/env bash
# Build the image. Usage: do_build.sh WORK [2025|2026]
# WORK is a work directory with trained models, or a folder made by `hnseg export`.
set -euo pipefail
work=$(realpath "${1:?usage: do_build.sh WORK [2025|2026]}")
interface=${2:-2025}
here=$(cd "$(dirname "$0")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
python=${PYTHON:-$root/.venv/bin/python}

case $work in
    "$here/build/model") ;; # exported again below
    "$here/build" | "$here/build"/*) echo "$work lies in $here/build, which is replaced; move it elsewhere" >&2; exit 1 ;;
esac
# Everything is made in a new folder first: WORK may be build/model, the models of the image before.
new=$(mktemp -d "$here/.build-XXXXXX")
trap 'rm -rf "$new"' EXIT
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$new" "$root"
grep -v '^torch==' "$root/constraints.txt" >"$new/constraints.txt" # torch comes with the base image
"$python" -m hnseg export "$work" "$new/model"
chmod 755 "$new"
rm -rf "$here/build"
mv "$new" "$here/build"
docker build --platform linux/amd64 --build-arg INTERFACE="$interface" --tag "hnseg-task1-$interface" "$here"
