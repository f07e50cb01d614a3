#!/usr/bin/env bash
# Run one sync into a Singer target and keep its state in a file.
#
#   examples/sync.sh STATE_FILE TARGET [ARGUMENT...]
#   INCIDENT_API_KEY=... examples/sync.sh state.json target-duckdb --config target.json
#
# TAP_CONFIG: the tap's config file. Default: the settings come from the environment (INCIDENT_API_KEY ...).
# TAP_CATALOG: a catalog file that selects streams and columns. Default: the default streams.
#
# A target prints a state after it has stored the records that the state covers. Every state is written to
# STATE_FILE at once, so STATE_FILE is valid however the sync ends.
#
# SIGTERM, SIGINT and SIGHUP stop the tap; the target then has 20 seconds to store the records it has received.
# A second signal stops both. STATE_FILE.lock prevents two syncs from using one state; it is not deleted.
set -euo pipefail
set -m # the pipeline gets its own process group, so that Ctrl-C reaches it only through stop()
[ $# -ge 2 ] || { echo "usage: sync.sh STATE_FILE TARGET [ARGUMENT...]" >&2; exit 2; }
state=$1
shift

# The lock belongs to the open file. It is held until this script and all its children have exited.
exec 9>"$state.lock"
python3 -c '
import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(f"sync.sh: another sync with {sys.argv[1]} is running; wait until it ends or use another state file")
except OSError as error:
    sys.exit(f"sync.sh: {sys.argv[1]}.lock: cannot be locked: {error.strerror}")
' "$state"

run_target() { # without the tap's API key
  unset INCIDENT_API_KEY TAP_INCIDENT_API_KEY
  exec "$@"
}

keep_states() {
  trap '' HUP INT TERM
  # Only a complete line with a JSON object is a state.
  exec python3 -c '
import json, os, sys
state = sys.argv[1]
for line in sys.stdin.buffer:
    try:
        is_state = line.endswith(b"\n") and isinstance(json.loads(line), dict)
    except ValueError:
        is_state = False
    if is_state:
        try:
            with open(state + ".next", "wb") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            os.replace(state + ".next", state)
        except OSError as error:
            sys.exit(f"sync.sh: {state}: cannot be written: {error.strerror}")
' "$state"
}

received=""
stop() { # SIGNAL
  tap=$(jobs -p %1) || exit 1
  if [ -z "$received" ]; then
    received=$1
    kill -s "$received" "$tap" || true
    { sleep 20 && kill -- "-$tap"; } 9>&- &
    timer=$!
    disown
  else
    kill -- "-$tap" || true
  fi
} 2>/dev/null
for signal in HUP INT TERM; do trap "stop $signal" "$signal"; done

[ -s "$state" ] || echo '{}' >"$state"
tap-incident --config "${TAP_CONFIG:-ENV}" ${TAP_CATALOG:+--catalog "$TAP_CATALOG"} --state "$state" </dev/null |
  run_target "$@" | keep_states &
last=$!
ended=0
wait %1 || ended=$?
while kill -0 "$last" 2>/dev/null; do wait %1 || ended=$?; done # a signal interrupts wait
if [ -n "$received" ]; then
  kill -- "-$timer" 2>/dev/null || true
  ended=$((128 + $(kill -l "$received")))
fi
exit "$ended"
