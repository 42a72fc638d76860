#!/bin/sh
# Builds the Debian package and tries it in a throw-away root: what is installed and with which modes,
# that the daemon starts from there, with its AOT cache, and that nothing is left after removal.
# Usage: test.sh [--twice] DIST_DIR [OUT.deb]
#
# --twice builds it a second time, too, and compares. Needs root (dpkg), curl, and what build.sh needs.
set -eu
twice=no
if [ "${1:-}" = --twice ]; then
  twice=yes
  shift
fi
dist=$1
here=$(cd "$(dirname "$0")" && pwd -P)
work=$(mktemp -d)
deb=$(realpath -m "${2:-$work/zeusd.deb}") # the tests change folders
root=$work/root
daemon=""
cleanup() {
  [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

fail() {
  echo "FAILED: $*" >&2
  exit 1
}
ok() {
  echo "ok: $*"
}

"$here/build.sh" "$dist" "$deb"
if [ $twice = yes ]; then
  "$here/build.sh" "$dist" "$work/again.deb" >/dev/null
  cmp "$deb" "$work/again.deb" || fail "two builds of one image differ"
  ok "two builds are the same"
fi

# --- Into a root of its own. Nothing but dpkg's own files is there before.
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates" "$root/var/log" "$root/tmp" \
  "$root/etc/systemd/system" "$root/var/lib/systemd"
touch "$root/var/lib/dpkg/status" "$root/etc/hostname" # dpkg takes empty directories away
in_root() {
  dpkg --root="$root" --log="$work/dpkg.log" --force-script-chrootless --force-depends \
    --no-triggers "$@" >"$work/out" 2>&1 || {
    cat "$work/out" >&2
    fail "dpkg $*"
  }
}
files_of_root() {
  (cd "$root" && find . -path ./var/lib/dpkg -prune -o -print | LC_ALL=C sort)
}
files_of_root >"$work/before"
in_root --install "$deb"
ok "installs"

for file in usr/bin/zeusd usr/lib/zeusd/bin/zeusd usr/lib/zeusd/lib/runtime/bin/java \
  usr/lib/zeusd/systemd/socket-link; do
  [ -x "$root/$file" ] || fail "$file is not there or cannot be run"
done
for file in lib/systemd/system/zeusd.service etc/default/zeusd etc/zeusd/zeusd.toml etc/logrotate.d/zeusd \
  usr/lib/zeusd/systemd/read-only.conf usr/lib/zeusd/systemd/socket-owner.conf \
  usr/lib/zeusd/systemd/amd-settings.conf usr/lib/zeusd/systemd/amd-read-only.conf usr/share/man/man1/zeusd.1.gz \
  usr/share/bash-completion/completions/zeusd usr/share/doc/zeusd/copyright \
  usr/share/doc/zeusd/changelog.gz usr/share/doc/zeusd/examples/prometheus/zeusd.alerts.yml \
  usr/share/doc/zeusd/examples/grafana/zeusd-node.json usr/lib/zeusd/sbom.cdx.json; do
  [ -r "$root/$file" ] || fail "$file is not there"
done
dpkg --root="$root" --verify zeusd >"$work/out" 2>&1
[ ! -s "$work/out" ] || fail "dpkg --verify: $(cat "$work/out")"
ok "all files are there"

cd "$root"
bad=$(find etc/default etc/logrotate.d etc/zeusd lib usr ! -type l \( -perm /022 -o -perm /6000 -o ! -user 0 -o ! -group 0 \))
[ -z "$bad" ] || fail "writable for others, setuid, or not root's: $bad"
bad=$(find etc/default etc/zeusd lib usr ! -type l ! -perm -444)
[ -z "$bad" ] || fail "not readable for all: $bad"
bad=$(dpkg-deb --contents "$deb" | awk '$2 != "root/root"')
[ -z "$bad" ] || fail "not root's: $bad"
ok "owners and modes"

dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${Conffiles}' zeusd | grep -q ' /etc/default/zeusd ' ||
  fail "/etc/default/zeusd is no conffile"
dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${Conffiles}' zeusd | grep -q ' /etc/zeusd/zeusd.toml ' ||
  fail "/etc/zeusd/zeusd.toml is no conffile"
ok "conffile"

for page in "$root"/usr/share/man/man1/*.gz; do
  zcat "$page" | grep -q '^\.SH "NAME"' || fail "$page is no man page"
done
words=$(bash -c '. "$1"; COMP_WORDS=(zeusd serve --mode ""); COMP_CWORD=3; COMP_LINE="zeusd serve --mode "
  COMP_POINT=${#COMP_LINE}; _complete_zeusd 2>/dev/null; echo "${COMPREPLY[@]}"' bash \
  "$root/usr/share/bash-completion/completions/zeusd")
[ "$words" = "uds tcp tls" ] || fail "completion of --mode offers: $words"
ok "man pages and completion"

# --- The daemon, by the link in /usr/bin, with nothing of a JDK around.
start() { # options of serve
  env -i PATH=/usr/bin:/bin "$root/usr/bin/zeusd" serve --simulate --state-dir "$work/state" "$@" 2>"$work/log" &
  daemon=$!
  timeout 30 sh -c "until grep -q 'listening at' '$work/log'; do kill -0 $daemon && sleep 0.05; done" ||
    fail "does not start: $(cat "$work/log")"
}
stop() {
  kill "$daemon"
  status=0
  wait "$daemon" || status=$?
  daemon=""
  [ "$status" -eq 0 ] || fail "ended with $status: $(cat "$work/log")"
}
uses_cache() {
  grep -q "$root/usr/lib/zeusd/lib/zeusd-.*\.aot" "/proc/$daemon/maps"
}

[ "$(env -i PATH=/usr/bin:/bin "$root/usr/bin/zeusd" --version)" = \
  "zeusd $(dpkg-deb -f "$deb" Version)" ] || fail "zeusd --version"
mkdir "$work/run"
# As the service has it.
export RUNTIME_DIRECTORY="$work/run"
start --config "$root/etc/zeusd/zeusd.toml" --socket-path "$work/run/zeusd.sock"
# As the service does it: clients go by the link.
"$root/usr/lib/zeusd/systemd/socket-link" make "$daemon" "$work/link.sock"
curl -sSf --max-time 5 --unix-socket "$work/link.sock" http://localhost/time | grep -q timestamp_ms ||
  fail "no answer on the socket"
uses_cache || fail "the AOT cache is not used"
# The JVM of zeusd run is the parent of its command.
cache_of_run() {
  env -i PATH=/usr/bin:/bin "$root/usr/bin/zeusd" run --connect "$work/run/zeusd.sock" -- \
    sh -c 'grep -o "zeusd-.*\.aot" /proc/$PPID/maps | sort -u' 2>/dev/null
}
cache_of_run | grep -q -- '-commands\.aot$' || fail "zeusd run has the AOT cache '$(cache_of_run)'"
stop
"$root/usr/lib/zeusd/systemd/socket-link" remove "$work/link.sock"
[ ! -L "$work/link.sock" ] && [ ! -e "$work/link.sock.made" ] || fail "the link is left"
touch "$work/link.sock"
start --socket-path "$work/run/zeusd.sock"
"$root/usr/lib/zeusd/systemd/socket-link" make "$daemon" "$work/link.sock" 2>/dev/null
"$root/usr/lib/zeusd/systemd/socket-link" remove "$work/link.sock"
[ -f "$work/link.sock" ] || fail "socket-link took a file that is not its own"
rm "$work/link.sock"
ln -s "$work/somebody's.sock" "$work/link.sock"
"$root/usr/lib/zeusd/systemd/socket-link" make "$daemon" "$work/link.sock" 2>/dev/null
"$root/usr/lib/zeusd/systemd/socket-link" remove "$work/link.sock"
[ -L "$work/link.sock" ] || fail "socket-link took a link that is not its own"
rm "$work/link.sock"
stop
ok "the daemon, on a Unix socket, with its AOT cache"

start --mode tcp --tcp-bind-address 127.0.0.1:0
port=$(sed -n 's/.*listening at 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/log")
curl -sSf --max-time 5 "http://127.0.0.1:$port/time" | grep -q timestamp_ms || fail "no answer on TCP"
stop
ok "the daemon, on TCP"

# --- The test of the cache would notice: the JVM refuses the cache of another jar.
jar=$root/usr/lib/zeusd/lib/app/zeusd.jar
touch -r "$jar" "$work/time"
touch "$jar"
start --socket-path "$work/run/zeusd.sock"
! uses_cache || fail "the test of the AOT cache notices nothing"
stop
touch -r "$work/time" "$jar"
ok "a stale AOT cache would be noticed"

# --- And away again.
in_root --remove zeusd
[ -f "$root/etc/default/zeusd" ] || fail "removing took the configuration"
in_root --purge zeusd
files_of_root >"$work/after"
diff "$work/before" "$work/after" || fail "files are left"
ok "nothing is left"
