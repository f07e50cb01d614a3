#!/usr/bin/env bash
# One sync into a Singer target, with its state kept in a file between runs.
#
#   examples/sync.sh STATE_FILE TARGET [ARGUMENT...]
#   INCIDENT_API_KEY=... examples/sync.sh state.json target-duckdb --config target.json
#
# The tap's settings come from TAP_CONFIG, a file, or else from the environment (INCIDENT_API_KEY ...);
# TAP_CATALOG, a file, says which streams and columns. A target prints a state when it has stored what
# belongs to it: each one is kept as it comes, so the last is there however the sync ends.
#
# SIGTERM, SIGINT and SIGHUP end the tap, then the target has 20 seconds to store what it was given; the
# second signal ends both. STATE_FILE.lock stays: it lets one sync at a time use the state.
set -euo pipefail
set -m # the children get a process group of their own: Ctrl-C reaches them by stop alone
[ $# -ge 2 ] || { echo "usage: sync.sh STATE_FILE TARGET [ARGUMENT...]" >&2; exit 2; }
state=$1
shift

# The lock is the open file's, so it is held until this script and all that it started have ended.
exec 9>"$state.lock"
python3 -c '
import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(f"sync.sh: another sync with {sys.argv[1]} is under way; wait for it, or give this one another state")
except OSError as error:
    sys.exit(f"sync.sh: {sys.argv[1]}.lock: cannot be locked: {error.strerror}")
' "$state"

keep_states() {
  trap '' HUP INT TERM
  # A line that was cut off, a blank one and what is no JSON object are no state.
  exec python3 -c '
import json, os, sys
state = sys.argv[1]
for line in sys.stdin.buffer:
    try:
        whole = line.endswith(b"\n") and isinstance(json.loads(line), dict)
    except ValueError:
        whole = False
    if whole:
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

asked=""
stop() { # SIGNAL
  tap=$(jobs -p %1) || exit 1
  if [ -z "$asked" ]; then
    asked=$1
    kill -s "$asked" "$tap" || true
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
  "$@" | keep_states &
last=$!
ended=0
wait %1 || ended=$?
while kill -0 "$last" 2>/dev/null; do wait %1 || ended=$?; done # a signal cuts a wait short
if [ -n "$asked" ]; then
  kill -- "-$timer" 2>/dev/null || true
  ended=$((128 + $(kill -l "$asked")))
fi
exit "$ended"
