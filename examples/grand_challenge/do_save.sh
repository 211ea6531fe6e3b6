#!/usr/bin/env bash
# Save the image for the upload. Usage: do_save.sh [2025|2026]
set -euo pipefail
interface=${1:-2025}
here=$(cd "$(dirname "$0")" && pwd)
file=$here/hnseg-task1-${interface}_$(date +%Y%m%d_%H%M%S).tar.gz
docker save "hnseg-task1-$interface" | gzip -c >"$file"
ls -lh "$file"
if [ "$(stat -c %s "$file")" -gt 10000000000 ]; then
    echo "the platform takes at most 10 GB" >&2
    exit 1
fi
