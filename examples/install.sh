#!/usr/bin/env bash
# The tap and a target from a checkout of this repository, each into an environment of its own, ./tap and
# ./target: Singer programs often want different versions of the same library.
#
#   examples/install.sh [REQUIREMENTS]
#
# REQUIREMENTS locks the target's packages; without it, requirements-targets.lock is taken.
set -euo pipefail
root=$(dirname "$0")/..
export PIP_DISABLE_PIP_VERSION_CHECK=1
python3 -m venv tap
python3 -m venv --without-pip target
tap/bin/pip --python target/bin/python install --quiet --no-deps --require-hashes \
  -r "${1:-$root/requirements-targets.lock}" &
tap/bin/pip install --quiet --no-deps --require-hashes -r "$root/requirements.lock"
tap/bin/pip install --quiet --no-deps "$root"
wait $!
