#!/bin/sh
# Boots a small Debian with a real systemd, installs the package in it and lets guest-test.sh try the
# service. Usage: boot-test.sh ZEUSD.deb ZEUSD.tar.gz
#
# As root. Needs systemd-container and debootstrap, cc for two fake NVMLs, and, the first time, the
# network: the Debian, 200 MB, is kept in ${XDG_CACHE_HOME:-~/.cache}/zeusd-ci. Where a machine cannot
# boot it at all, this says so and is content, unless ZEUSD_CI_NEEDS_SYSTEMD is set.
set -eu
deb=$(readlink -f "$1")
tarball=$(readlink -f "$2")
here=$(cd "$(dirname "$0")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/zeusd-ci
work=$(mktemp -d)
nspawn=""
cleanup() {
  if [ -n "$nspawn" ]; then
    kill -s TERM "$nspawn" 2>/dev/null || true
    wait "$nspawn" 2>/dev/null || true
  fi
  ! mountpoint -q "$work/guest" || umount "$work/guest"
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

skip() {
  echo "################################################################################" >&2
  echo "# SKIPPED: the service was NOT tried under a real systemd: $*" >&2
  echo "################################################################################" >&2
  [ -z "${ZEUSD_CI_NEEDS_SYSTEMD:-}" ] || exit 1
  exit 0
}

[ "$(id -u)" = 0 ] || skip "not root"
for command in systemd-nspawn debootstrap nsenter; do
  command -v $command >/dev/null || skip "$command is not installed"
done

# --- The Debian. A temporary name until it is complete.
base=$cache/bookworm-1
if [ ! -e "$base" ]; then
  mkdir -p "$cache"
  rm -rf "$base.new"
  # Stricter on signatures than a machine without Debian's keys allows; packages it installs by itself.
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,curl bookworm "$base.new" \
    >"$work/debootstrap" 2>&1 || {
    tail -n 5 "$work/debootstrap" >&2
    skip "debootstrap failed"
  }
  rm -rf "$base.new"/var/cache/apt/archives/*.deb "$base.new"/var/lib/apt/lists/*
  mv "$base.new" "$base"
fi

mkdir "$work/up" "$work/overlay" "$work/guest"
mount -t overlay overlay -o "lowerdir=$base,upperdir=$work/up,workdir=$work/overlay" "$work/guest" ||
  skip "no overlay file system"

# --- What the guest needs, in /opt/test.
opt=$work/guest/opt/test
mkdir -p "$opt/fake-nvml" "$opt/hanging-nvml"
(cd "$root/zeusd-ffm" && sh src/test/c/build.sh "$opt/fake-nvml")
echo '#include <unistd.h>
int nvmlInit_v2(void) { for (;;) sleep(1000); }
const char *nvmlErrorString(int result) { (void)result; return "?"; }' >"$work/hanging.c"
cc -shared -fPIC -Wl,-soname,libnvidia-ml.so.1 -o "$opt/hanging-nvml/libnvidia-ml.so.1" "$work/hanging.c"
cp "$deb" "$opt/zeusd.deb"
cp "$tarball" "$opt/"
# What the README tells to do, from its own text.
"$root/docs/run-commands.py" --print packaging/README.md 'sudo apt install' >"$opt/install-package"
"$root/docs/run-commands.py" --print packaging/README.md 'sudo tar' >"$opt/install-tarball"
cp "$here/guest-test.sh" "$opt/"
# A later version of the same.
dpkg-deb -R "$deb" "$work/later"
sed -i 's/^Version: .*/&+later/' "$work/later/DEBIAN/control"
dpkg-deb --root-owner-group -Znone --build "$work/later" "$opt/later.deb" >/dev/null
rm -r "$work/later"

# --- Its start. A service manager of our own above it, if there is one, is to know nothing of it.
systemd-nspawn --quiet --boot -D "$work/guest" --machine="zeusd-test-$$" --register=no --keep-unit \
  --private-network --console=pipe </dev/null >"$work/console" 2>&1 &
nspawn=$!
guest() {
  leader=$(cat "/proc/$nspawn/task/$nspawn/children")
  # shellcheck disable=SC2086 # a number and a space
  nsenter --all -t $leader env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"
}
tries=120
until guest systemctl is-system-running 2>/dev/null | grep -q -e running -e degraded; do
  tries=$((tries - 1))
  if [ $tries -eq 0 ] || ! kill -0 $nspawn 2>/dev/null; then
    tail -n 20 "$work/console" >&2
    skip "systemd does not boot here"
  fi
  sleep 0.5
done
echo "ok: $(guest systemctl --version | head -n 1) runs"
guest sh /opt/test/guest-test.sh
