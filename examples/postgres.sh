#!/usr/bin/env bash
# Run one sync into PostgreSQL, one table per stream, and keep its state in a file.
#
#   examples/postgres.sh [STATE_FILE]
#
# The tap and the target need separate environments:
#
#   python3 -m venv tap && tap/bin/pip install .
#   python3 -m venv target && target/bin/pip install --no-deps --require-hashes -r locks/postgres.lock
#
# The tap's settings come from the environment or from TAP_CONFIG, see sync.sh. The connection to PostgreSQL comes
# from the environment variables of psql:
#
#   export INCIDENT_API_KEY=... PGHOST=localhost PGUSER=loader PGPASSWORD=... PGDATABASE=warehouse
#   PATH=$PWD/tap/bin:$PWD/target/bin:$PATH examples/postgres.sh state.json
#   psql -c 'SELECT reference, name, created_at FROM incident.incidents ORDER BY created_at DESC LIMIT 10'
#
# Set other target settings, for example TARGET_POSTGRES_SSL_ENABLE, in the environment too.
set -euo pipefail
for program in tap-incident target-postgres; do
  command -v "$program" >/dev/null || {
    echo "postgres.sh: $program is not on the PATH. The first lines of $0 describe how to install it" >&2
    exit 2
  }
done
export TARGET_POSTGRES_HOST=${PGHOST:-localhost} TARGET_POSTGRES_PORT=${PGPORT:-5432}
export TARGET_POSTGRES_USER=${PGUSER:?is not set} TARGET_POSTGRES_PASSWORD=${PGPASSWORD:?is not set}
export TARGET_POSTGRES_DATABASE=${PGDATABASE:-$PGUSER}
export TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA=${TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA:-incident}
# PostgreSQL text cannot contain NUL characters. Without this setting the load fails; with it they become U+FFFD.
export TARGET_POSTGRES_SANITIZE_NULL_TEXT_CHARACTERS=${TARGET_POSTGRES_SANITIZE_NULL_TEXT_CHARACTERS:-true}
# The target's timestamp columns have no time zone. With PGTZ=UTC PostgreSQL stores UTC, not the server's time.
export PGTZ=UTC
exec "${BASH_SOURCE%/*}/sync.sh" "${1:-state.json}" target-postgres --config ENV
