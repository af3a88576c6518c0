#!/usr/bin/env bash
# The demo that `make demo` runs: a private cluster, the passengers of 1912, two sub-processors.
#
# usage: demo.sh start|stop    PG_BIN names the bin directory of a PostgreSQL that has the extension
set -euo pipefail
# the server would inherit them, and doctor() would rightly complain
unset RUST_BACKTRACE RUST_LIB_BACKTRACE

here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd)
: "${PG_BIN:?set PG_BIN, or run this through make demo}"

# Postgres does not run as root: then the user postgres runs it, in a place it can reach
if [ "$(id -u)" = 0 ]; then
  demo=${AIRLOCK_DEMO_DIR:-/var/tmp/pg_airlock-demo}
  as_server() { (cd / && runuser -u postgres -- "$@"); }
else
  demo=${AIRLOCK_DEMO_DIR:-$HOME/.pg_airlock-demo}
  as_server() { "$@"; }
fi
data=$demo/data
mark=$demo/made-by-pg_airlock-demo

stop() {
  [ -e "$demo" ] || return 0
  # nothing but our own directory is ever removed
  [ -f "$mark" ] || { echo "$demo is not the demo's: set AIRLOCK_DEMO_DIR to another place" >&2; exit 1; }
  if [ -f "$data/postmaster.pid" ]; then
    as_server "$PG_BIN/pg_ctl" -D "$data" -m fast -w stop >/dev/null || true
  fi
  rm -rf "$demo"
}

# psql as a role; the statements it sends are shown
play() {
  local role=$1 file=$2
  printf '\n\033[1m── as %s ──\033[0m\n' "$role"
  as_server "$PG_BIN/psql" -X -q -e -P pager=off -h "$demo" -U "$role" -d app < "$here/$file" 2>&1
}

start() {
  stop
  mkdir -p "$demo" && touch "$mark"
  if [ "$(id -u)" = 0 ]; then chown postgres: "$demo"; fi

  as_server "$PG_BIN/initdb" -D "$data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-instructions >/dev/null
  # the root key lies outside the database, readable by the server's user only
  as_server sh -c 'umask 277; head -c 32 /dev/urandom | od -An -v -tx1 | tr -d " \n" > "$1"' sh "$demo/root.key"
  as_server sh -c 'cat >> "$1"' sh "$data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$demo'
unix_socket_permissions = 0777
log_destination = 'stderr'
shared_preload_libraries = 'pg_airlock'
airlock.database = 'app'
airlock.root_key_source = 'file:$demo/root.key'
CONF
  as_server "$PG_BIN/pg_ctl" -D "$data" -l "$demo/log" -w start >/dev/null

  as_server "$PG_BIN/psql" -X -q -v ON_ERROR_STOP=1 -h "$demo" -U postgres -d postgres < "$here/0-roles.sql"
  as_server "$PG_BIN/psql" -X -q -v ON_ERROR_STOP=1 -h "$demo" -U postgres -d app -c 'CREATE EXTENSION pg_airlock' \
    -c 'GRANT airlock_admin, airlock_auditor TO controller'
  as_server "$PG_BIN/psql" -X -q -v ON_ERROR_STOP=1 -h "$demo" -U controller -d app -c "$(cat "$here/1-table.sql")" \
    -c '\copy arrivals FROM pstdin CSV HEADER' -c "$(cat "$here/1-load.sql")" < "$repo/tests/data/passengers.csv"

  play controller 2-encrypt.sql
  play controller 3-scopes.sql
  # the log worker looks for the extension every few seconds; until it has found it, no scoped read passes
  local sound="SELECT NOT EXISTS (SELECT FROM airlock.doctor() WHERE severity = 'error')" tries=0
  until [ "$(as_server "$PG_BIN/psql" -X -At -h "$demo" -U controller -d app -c "$sound")" = t ]; do
    tries=$((tries + 1))
    [ $tries -le 150 ] || { as_server "$PG_BIN/psql" -X -h "$demo" -U controller -d app -c 'SELECT * FROM airlock.doctor()'; exit 1; }
    sleep 0.2
  done
  play harbour_stats 4-harbour_stats.sql
  play insurer 5-insurer.sql
  play harbour_stats 6-outside.sql
  play controller 7-log.sql

  local user=
  if [ "$(id -u)" = 0 ]; then user='runuser -u postgres -- '; fi
  cat <<END

The cluster runs on in $demo. Look around yourself:

  $user$PG_BIN/psql -h $demo -U insurer app          # a sub-processor: SET airlock.purpose = 'claims';
  $user$PG_BIN/psql -h $demo -U harbour_stats app    # the other one
  $user$PG_BIN/psql -h $demo -U controller app       # the owner: TABLE airlock.access_log; TABLE airlock.field_access;

Stop it and remove it:  make demo-stop
END
}

case "${1:-}" in
  start) start ;;
  stop) stop ;;
  *) echo "usage: $0 start|stop" >&2; exit 2 ;;
esac
