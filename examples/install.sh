#!/usr/bin/env bash
# Install the tap and a Singer target from a checkout of this repository. Each gets its own environment, ./tap
# and ./target, because their dependencies can conflict.
#
#   examples/install.sh [LOCK_FILE]
#
# LOCK_FILE lists the target's packages. Default: locks/targets.lock (target-duckdb).
set -euo pipefail
root=$(dirname "$0")/..
export PIP_DISABLE_PIP_VERSION_CHECK=1
python3 -m venv tap
python3 -m venv --without-pip target
tap/bin/pip --python target/bin/python install --quiet --no-deps --require-hashes \
  -r "${1:-$root/locks/targets.lock}" &
tap/bin/pip install --quiet --no-deps --require-hashes -r "$root/locks/image.lock"
tap/bin/pip install --quiet --no-deps --no-build-isolation "$root"
wait $!
