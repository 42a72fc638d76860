#!/bin/sh
# Checks the unit: systemd accepts it, and its exposure is at most 3.0. Needs no running systemd.
set -eu
cd "$(dirname "$0")"
limit=3.0

command -v systemd-analyze >/dev/null || {
  echo "check.sh: systemd-analyze not found; on Debian: apt-get install systemd" >&2
  exit 1
}

# In a root of its own, where everything that the unit calls is there.
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/usr/bin" "$root/usr/lib/zeusd/systemd" "$root/etc/systemd/system" "$root/usr/lib/systemd"
cp wait-until-listening socket-link "$root/usr/lib/zeusd/systemd/"
mkdir "$root/bin"
printf '#!/bin/sh\n' >"$root/usr/bin/zeusd"
cp "$root/usr/bin/zeusd" "$root/bin/sh"
chmod 755 "$root/usr/bin/zeusd" "$root/bin/sh"
cp -r /lib/systemd/system "$root/usr/lib/systemd/system"
cp zeusd.service "$root/etc/systemd/system/"
verified=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --root="$root" --man=no \
  --recursive-errors=no zeusd.service 2>&1) || {
  echo "$verified" >&2
  exit 1
}
if echo "$verified" | grep -q 'zeusd\.service'; then
  echo "$verified" >&2
  exit 1
fi
echo "systemd-analyze verify: nothing to say"

exposure=$(LC_ALL=C systemd-analyze security --offline=true --no-pager ./zeusd.service |
  sed -n 's/.*Overall exposure level for [^:]*: *\([0-9][0-9]*\.[0-9]\).*/\1/p')
if [ -z "$exposure" ]; then
  echo "check.sh: systemd-analyze security gave no number" >&2
  exit 1
fi
echo "exposure: $exposure (at most $limit)"
awk -v is="$exposure" -v limit="$limit" 'BEGIN { exit !(is <= limit) }' || {
  echo "check.sh: above $limit; see: systemd-analyze security --offline=true packaging/systemd/zeusd.service" >&2
  exit 1
}
