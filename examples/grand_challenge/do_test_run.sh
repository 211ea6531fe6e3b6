#!/usr/bin/env bash
# Run the image as the platform does: no network, /input read-only, a fresh /tmp, 16 GB. Usage: do_test_run.sh CT PET [2025|2026]
# CT and PET are image files; .mha as on the platform, or anything else that ITK reads.
set -euo pipefail
ct=$(realpath "${1:?usage: do_test_run.sh CT PET [2025|2026]}")
pet=$(realpath "${2:?usage: do_test_run.sh CT PET [2025|2026]}")
interface=${3:-2025}
here=$(cd "$(dirname "$0")" && pwd)
test=$here/test

rm -rf "$test"
mkdir -p "$test/input/images/ct" "$test/input/images/pet" "$test/output"
cp "$ct" "$test/input/images/ct/"
cp "$pet" "$test/input/images/pet/"
echo '{"Age": 61, "Gender": 1}' >"$test/input/ehr.json"
chmod -R a+rX "$test/input"
chmod 777 "$test/output"

gpus=()
if docker info --format '{{json .Runtimes}}' | grep -q nvidia; then gpus=(--gpus all); fi
docker volume create hnseg-test-tmp >/dev/null
trap 'docker volume rm hnseg-test-tmp >/dev/null' EXIT
# The platform's /tmp is empty and writable by everyone.
docker run --rm --user 0 --entrypoint chmod --volume hnseg-test-tmp:/tmp "hnseg-task1-$interface" 1777 /tmp
time docker run --rm --platform linux/amd64 --network none --memory 16g --shm-size 8g "${gpus[@]}" \
    --volume "$test/input:/input:ro" --volume "$test/output:/output" --volume hnseg-test-tmp:/tmp \
    "hnseg-task1-$interface"
find "$test/output" -type f -exec ls -l {} +
