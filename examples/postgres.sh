#!/usr/bin/env bash
# One sync into PostgreSQL, a table a stream, with its state kept in a file between runs.
#
#   examples/postgres.sh [STATE_FILE]
#
# Both programs have an environment of their own:
#
#   python3 -m venv tap && tap/bin/pip install .
#   python3 -m venv target && target/bin/pip install --no-deps --require-hashes -r locks/postgres.lock
#
# The tap's settings come from the environment or from TAP_CONFIG, as sync.sh has it; where PostgreSQL is,
# from the variables that psql takes too:
#
#   export INCIDENT_API_KEY=... PGHOST=localhost PGUSER=loader PGPASSWORD=... PGDATABASE=warehouse
#   PATH=$PWD/tap/bin:$PWD/target/bin:$PATH examples/postgres.sh state.json
#   psql -c 'SELECT reference, name, created_at FROM incident.incidents ORDER BY created_at DESC LIMIT 10'
#
# Other settings of the target's, such as TARGET_POSTGRES_SSL_ENABLE, go into the environment as well.
set -euo pipefail
for program in tap-incident target-postgres; do
  command -v "$program" >/dev/null || {
    echo "postgres.sh: $program is not on the PATH; $0 says at its beginning how to install it" >&2
    exit 2
  }
done
export TARGET_POSTGRES_HOST=${PGHOST:-localhost} TARGET_POSTGRES_PORT=${PGPORT:-5432}
export TARGET_POSTGRES_USER=${PGUSER:?is not set} TARGET_POSTGRES_PASSWORD=${PGPASSWORD:?is not set}
export TARGET_POSTGRES_DATABASE=${PGDATABASE:-$PGUSER}
export TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA=${TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA:-incident}
# PostgreSQL has no NUL characters in texts: one would end the load. In its place comes U+FFFD.
export TARGET_POSTGRES_SANITIZE_NULL_TEXT_CHARACTERS=${TARGET_POSTGRES_SANITIZE_NULL_TEXT_CHARACTERS:-true}
# The target's columns have no time zone, and PostgreSQL would write moments in the server's.
export PGTZ=UTC
exec "${BASH_SOURCE%/*}/sync.sh" "${1:-state.json}" target-postgres --config ENV
