#!/bin/sh
# Checks the unit, alone and with its drop-ins: systemd accepts it, and its exposure is at most 2.0 (with
# socket-owner.conf 2.5). Needs no running systemd.
set -eu
cd "$(dirname "$0")"

fail() {
  echo "check.sh: $*" >&2
  exit 1
}

command -v systemd-analyze >/dev/null || fail "systemd-analyze not found; on Debian: apt-get install systemd"

# In a root of its own, where everything that the unit calls is there.
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/usr/bin" "$root/usr/lib/zeusd/systemd" "$root/etc/systemd/system" "$root/usr/lib/systemd"
cp socket-link "$root/usr/lib/zeusd/systemd/"
mkdir "$root/bin"
printf '#!/bin/sh\n' >"$root/usr/bin/zeusd"
cp "$root/usr/bin/zeusd" "$root/bin/sh"
chmod 755 "$root/usr/bin/zeusd" "$root/bin/sh"
cp -r /lib/systemd/system "$root/usr/lib/systemd/system"
cp zeusd.service "$root/etc/systemd/system/"

# The unit with drop-ins, or alone.
check() { # limit, drop-ins...
  limit=$1
  shift
  name="zeusd.service${*:+ with $*}"
  rm -rf "$root/etc/systemd/system/zeusd.service.d"
  if [ $# -gt 0 ]; then
    mkdir "$root/etc/systemd/system/zeusd.service.d"
    cp "$@" "$root/etc/systemd/system/zeusd.service.d/"
  fi
  verified=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --root="$root" --man=no \
    --recursive-errors=no zeusd.service 2>&1) || fail "$verified"
  ! echo "$verified" | grep -q 'zeusd\.service' || fail "$verified"
  echo "$name: systemd-analyze verify has nothing to say"
  exposure=$(LC_ALL=C systemd-analyze security --offline=true --no-pager --root="$root" zeusd.service |
    sed -n 's/.*Overall exposure level for [^:]*: *\([0-9][0-9]*\.[0-9]\).*/\1/p')
  [ -n "$exposure" ] || fail "systemd-analyze security gave no number"
  echo "$name: exposure $exposure (at most $limit)"
  awk -v is="$exposure" -v limit="$limit" 'BEGIN { exit !(is <= limit) }' ||
    fail "above $limit; see: systemd-analyze security --offline=true packaging/systemd/zeusd.service"
}
check 2.0
check 2.0 read-only.conf
check 2.5 socket-owner.conf
check 2.0 amd-settings.conf
check 2.0 read-only.conf amd-read-only.conf
