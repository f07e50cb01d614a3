#!/usr/bin/env bash
# One sync into a Singer target, with its state kept in a file between runs.
#
#   examples/sync.sh STATE_FILE TARGET [ARGUMENT...]
#   INCIDENT_API_KEY=... examples/sync.sh state.json target-duckdb --config target.json
#
# The tap's settings come from TAP_CONFIG, a file, or else from the environment (INCIDENT_API_KEY ...);
# TAP_CATALOG, a file, says which streams and columns. A target prints a state when it has stored what
# belongs to it, so the last one printed is kept even if the sync fails afterwards.
set -euo pipefail
state=$1
shift
[ -s "$state" ] || echo '{}' >"$state"
printed=$(mktemp)
keep_state() {
  tail -n 1 "$printed" >"$state.next"
  if [ -s "$state.next" ]; then mv "$state.next" "$state"; else rm "$state.next"; fi
  rm "$printed"
}
trap keep_state EXIT
tap-incident --config "${TAP_CONFIG:-ENV}" ${TAP_CATALOG:+--catalog "$TAP_CATALOG"} --state "$state" |
  "$@" >"$printed"
