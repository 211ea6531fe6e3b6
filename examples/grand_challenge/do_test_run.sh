#!/usr/bin/env bash
# Run the image as the platform does: no network, /input read-only, a fresh /tmp, 16 GB. Usage: do_test_run.sh CT PET [2025|2026]
# CT and PET are image files; .mha as on the platform, or anything else that ITK reads.
set -euo pipefail
ct=$(realpath "${1:?usage: do_test_run.sh CT PET [2025|2026]}")
pet=$(realpath "${2:?usage: do_test_run.sh CT PET [2025|2026]}")
interface=${3:-2025}
here=$(cd "$(dirname "$0")" && pwd -P)
test=$here/test

for file in "$ct" "$pet"; do
    case $file in
        "$test"/input/images/ct/* | "$test"/input/images/pet/*) ;; # of the last run; copied below
        "$test"/*) echo "$file lies in $test, which is replaced; move it elsewhere" >&2; exit 1 ;;
    esac
done
# The new folder is whole before the old one goes: CT and PET may lie in the old one.
new=$(mktemp -d "$here/.test-XXXXXX")
trap 'rm -rf "$new"' EXIT
mkdir -p "$new/input/images/ct" "$new/input/images/pet" "$new/output"
cp "$ct" "$new/input/images/ct/"
cp "$pet" "$new/input/images/pet/"
echo '{"Age": 61, "Gender": 1}' >"$new/input/ehr.json"
chmod -R a+rX "$new"
chmod 777 "$new/output"
rm -rf "$test"
mv "$new" "$test"

gpus=()
if docker info --format '{{json .Runtimes}}' | grep -q nvidia; then gpus=(--gpus all); fi
docker volume create hnseg-test-tmp >/dev/null
trap 'docker volume rm hnseg-test-tmp >/dev/null; rm -rf "$new"' EXIT
# The platform's /tmp is empty and writable by everyone.
docker run --rm --user 0 --entrypoint chmod --volume hnseg-test-tmp:/tmp "hnseg-task1-$interface" 1777 /tmp
time docker run --rm --platform linux/amd64 --network none --memory 16g --shm-size 8g "${gpus[@]}" \
    --volume "$test/input:/input:ro" --volume "$test/output:/output" --volume hnseg-test-tmp:/tmp \
    "hnseg-task1-$interface"
find "$test/output" -type f -exec ls -l {} +
