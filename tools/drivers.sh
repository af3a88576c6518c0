#!/usr/bin/env bash
# Installs the drivers that the tests run, pinned: drivers.sh DEST DRIVER...
#
# Into DEST: Python packages by hash (psycopg2, psycopg3, asyncpg, pg8000, and the cipher library of the independent
# reader), node-postgres by its lock file, the Rust program with tokio-postgres and postgres. JDBC is Debian's package, and so
# are Node and a JDK where there are none. What cannot be installed is an error: name fewer drivers to do without.
set -euo pipefail

cd "$(dirname "$0")/.."
dest=${1:?destination}
shift
mkdir -p "$dest"
sudo=$([ "$(id -u)" = 0 ] || echo sudo)

need() {
  local missing=()
  for package in "$@"; do
    [[ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)" == *"ok installed" ]] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || { echo "not Debian: install the equivalents of ${missing[*]}, then try again" >&2; exit 1; }
  $sudo apt-get update -qq
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

python() {
  local wanted=tests/drivers/requirements.txt
  ! cmp -s $wanted "$dest/python/requirements.txt" || return 0
  rm -rf "$dest/python"
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --only-binary=:all: \
    --require-hashes --target "$dest/python" --requirement $wanted
  cp $wanted "$dest/python/"
}

node() {
  command -v node >/dev/null && command -v npm >/dev/null || need nodejs npm
  mkdir -p "$dest/node"
  cp tests/drivers/node/*.js* "$dest/node/"
  # npm writes the lock file that it has installed last
  ! cmp -s tests/drivers/node/package-lock.json "$dest/node/installed-lock.json" || return 0
  (cd "$dest/node" && npm ci --silent --no-audit --no-fund --ignore-scripts)
  cp tests/drivers/node/package-lock.json "$dest/node/installed-lock.json"
}

rust() {
  CARGO_TARGET_DIR="$dest/rust" CARGO_PROFILE_DEV_DEBUG=0 \
    cargo build --quiet --locked --manifest-path tests/drivers/rust/Cargo.toml
}

jdbc() {
  need libpostgresql-jdbc-java
  # a program of one file is compiled when it is started
  [[ "$(java --list-modules 2>/dev/null || true)" == *jdk.compiler* ]] || need default-jdk-headless
}

python # the reader needs it, whatever the drivers
for driver in "$@"; do
  case $driver in
    psycopg2 | psycopg3 | asyncpg | pg8000) ;;
    node | rust | jdbc) "$driver" ;;
    *) echo "DRIVERS: $driver is none of psycopg3 psycopg2 asyncpg pg8000 node rust jdbc" >&2; exit 1 ;;
  esac
done
