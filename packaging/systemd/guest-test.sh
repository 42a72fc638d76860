#!/bin/sh
# What boot-test.sh runs in the Debian that it has booted: the package and its service, as an
# administrator meets them.
set -eu
cd /opt/test
export DEBIAN_FRONTEND=noninteractive

fail() {
  echo "FAILED: $*" >&2
  systemctl status --no-pager --lines=0 zeusd >&2 || true
  journalctl --no-pager -u zeusd -n 30 >&2 || true
  exit 1
}
ok() {
  echo "ok: $*"
}
is() { # property of the unit, value
  value=$(systemctl show -P "$1" zeusd)
  [ "$value" = "$2" ] || fail "$1 is $value, not $2"
}
main_pid() {
  systemctl show -P MainPID zeusd
}
answers() { # path
  curl -sSf --max-time 10 --unix-socket "${socket:-/var/run/zeusd.sock}" "http://localhost$1"
}
until_is() { # property, value; within half a minute
  tries=300
  until [ "$(systemctl show -P "$1" zeusd)" = "$2" ]; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || fail "$1 does not become $2, but is $(systemctl show -P "$1" zeusd)"
    sleep 0.1
  done
}
until_gpus_are_there() { # it listens before NVML is open
  tries=100
  until answers /discover | grep -q '"gpu_ids":\[0,1,2,3\]'; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || fail "no GPUs: $(answers /discover)"
    sleep 0.1
  done
}
options() { # for the next start
  sed -i "s|^ZEUSD_OPTS=.*|ZEUSD_OPTS=\"$*\"|" /etc/default/zeusd
}
nvml() { # folder of the library that the next start finds
  mkdir -p /etc/systemd/system/zeusd.service.d
  printf '[Service]\nEnvironment=LD_LIBRARY_PATH=/opt/test/%s\n' "$1" >/etc/systemd/system/zeusd.service.d/nvml.conf
  systemctl daemon-reload
}

touch /etc/hosts
printf '#!/bin/sh\nexec "$@"\n' >/usr/local/bin/sudo
chmod 755 /usr/local/bin/sudo
find / -xdev -path /opt/test -prune -o -path /proc -prune -o -path /var/log -prune -o -print | sort >/tmp/before

# --- Installed, it runs, now and after each boot.
nvml fake-nvml
export SYSTEMD_PAGER=""
sh -eu install-package >/tmp/said 2>&1 || {
  cat /tmp/said >&2
  fail "the commands of packaging/README.md"
}
is ActiveState active
is UnitFileState enabled
until_gpus_are_there
answers '/gpu/get_power?gpu_ids=0' | grep -q '"power_mw":{"0":' || fail "no power"
curl -sSf --max-time 10 -X POST --unix-socket /var/run/zeusd.sock \
  'http://localhost/gpu/set_power_limit?gpu_ids=0&power_limit_mw=250000&block=true' || fail "no limit set"
[ "$(readlink /run/zeusd.sock)" = /run/zeusd/zeusd.sock ] || fail "/run/zeusd.sock is no link to the socket"
[ "$(stat -c %a /run/zeusd/zeusd.sock)" = 666 ] || fail "mode of the socket"
ok "installed as packaging/README.md says: enabled, started, GPUs are there, a limit can be set"

# --- What it may do is what the unit says, also of the running process.
pid=$(main_pid)
[ "$(awk '/^CapEff/ { print $2 }' "/proc/$pid/status")" = 0000000000200000 ] ||
  fail "capabilities: $(grep Cap "/proc/$pid/status")"
for file in /etc/x /usr/x /var/x /run/x; do
  ! nsenter -t "$pid" -m sh -c "echo >$file" 2>/dev/null || fail "the service can write $file"
done
[ "$(stat -c %a:%u /var/lib/zeusd)" = 700:0 ] || fail "the state directory: $(stat /var/lib/zeusd)"
nsenter -t "$pid" -m sh -c 'echo >/var/lib/zeusd/x && rm /var/lib/zeusd/x' || fail "the service cannot keep its state"
[ "$(awk '/^Max core/ { print $5 $6 }' "/proc/$pid/limits")" = 00 ] || fail "it may leave its memory in a file"
nsenter -t "$pid" -m sh -c 'echo >/var/log/zeusd/x && rm /var/log/zeusd/x' || fail "the service cannot keep an audit log"
ok "one capability, nothing to write to but its socket's folder, its state and its logs, no core files"

# --- Signals, restart, reload.
systemctl kill -s HUP zeusd
systemctl reload zeusd || fail "reload"
sleep 1
[ "$(main_pid)" = "$pid" ] || fail "SIGHUP ended it"
answers /time >/dev/null || fail "no answer after SIGHUP"
ok "SIGHUP and reload leave it running"
systemctl restart zeusd || fail "restart"
[ "$(main_pid)" != "$pid" ] || fail "not restarted"
answers /time >/dev/null || fail "restart returned before it listened"
is ExecMainStatus 0
pid=$(main_pid)
kill -9 "$pid"
until_is NRestarts 1
until_is ActiveState active
answers /time >/dev/null || fail "no answer after kill -9"
ok "restart, and again after kill -9"

# --- The configuration file: another socket, an audit log.
cp /etc/zeusd/zeusd.toml /tmp/shipped.toml
printf 'socket-path = "/run/zeusd/other.sock"\naudit-log = "/var/log/zeusd/audit.log"\n' >/etc/zeusd/zeusd.toml
systemctl restart zeusd || fail "restart with another socket"
[ "$(readlink /run/zeusd.sock)" = /run/zeusd/other.sock ] || fail "the link does not lead to the file's socket"
until_gpus_are_there
curl -sSf --max-time 10 -X POST --unix-socket /var/run/zeusd.sock \
  'http://localhost/gpu/set_power_limit?gpu_ids=0&power_limit_mw=240000&block=true' || fail "no limit set"
grep -q '"new":{"power_limit_mw":240000},"outcome":"done"' /var/log/zeusd/audit.log || fail "not in the audit log"
[ "$(stat -c %a:%U /var/log/zeusd/audit.log)" = 640:root ] || fail "mode of the audit log"
printf 'audit-log = "journal"\n' >/etc/zeusd/zeusd.toml
systemctl restart zeusd || fail "restart with the journal"
[ "$(readlink /run/zeusd.sock)" = /run/zeusd/zeusd.sock ] || fail "the link does not lead back"
until_gpus_are_there
curl -sSf --max-time 10 -X POST --unix-socket /var/run/zeusd.sock \
  'http://localhost/gpu/set_power_limit?gpu_ids=0&power_limit_mw=230000&block=true' || fail "no limit set"
tries=100
until journalctl --no-pager -o cat --output-fields=ZEUSD_AUDIT ZEUSD_PATH=/gpu/set_power_limit ZEUSD_PEER_UID=0 |
  grep -q '"new":{"power_limit_mw":230000}'; do
  tries=$((tries - 1))
  [ $tries -gt 0 ] || fail "not in the journal with its fields"
  sleep 0.1
done
mv /tmp/shipped.toml /etc/zeusd/zeusd.toml
ok "the file's socket is where the link leads; the audit log is a file, or fields of the journal"

# --- On several sockets: started is when all of them are there.
options --mode uds,tcp
systemctl restart zeusd || fail "restart with two modes"
answers /time >/dev/null || fail "no answer on the Unix socket"
curl -sSf --max-time 10 http://127.0.0.1:4938/time >/dev/null || fail "no answer on TCP"
options
systemctl restart zeusd || fail "restart with one mode"
ok "on several sockets, its start is over when it listens at all of them"

# --- Drop-ins.
drop_ins() { # names; none: as it is shipped
  find /etc/systemd/system/zeusd.service.d -type l -delete
  for name in "$@"; do
    ln -s "/usr/lib/zeusd/systemd/$name.conf" /etc/systemd/system/zeusd.service.d/
  done
  systemctl daemon-reload
  systemctl restart zeusd || fail "restart with drop-ins: $*"
  until_gpus_are_there
  pid=$(main_pid)
}
sets_devices() {
  nsenter -t "$pid" -m test -w /sys/devices
}
# In this guest /sys is read-only for everybody, which on a machine it is not.
mount -o remount,rw /sys/devices
mount -o remount,rw,bind /sys/devices
drop_ins
systemctl show -P DeviceAllow zeusd | grep -q 'char-226 rw' || fail "no AMD nodes: $(systemctl show -P DeviceAllow zeusd)"
! sets_devices || fail "the service may write to /sys/devices"
drop_ins amd-settings
sets_devices || fail "the service may not write to /sys/devices: $(grep ' /sys' "/proc/$pid/mountinfo")"
! nsenter -t "$pid" -m test -w /sys/kernel || fail "the service may write to all of /sys"
ok "amd-settings.conf: settings in /sys/devices, and nothing else of /sys"
drop_ins socket-owner
[ "$(awk '/^CapEff/ { print $2 }' "/proc/$pid/status")" = 0000000000200009 ] || fail "capabilities: $(grep Cap "/proc/$pid/status")"
options --socket-uid 65534 --socket-permissions 600
systemctl restart zeusd || fail "restart with another owner"
[ "$(stat -c %a:%u /run/zeusd/zeusd.sock)" = 600:65534 ] || fail "the socket: $(stat /run/zeusd/zeusd.sock)"
options
ok "socket-owner.conf: the socket is somebody else's"
for group in render video; do
  getent group $group >/dev/null || groupadd -r $group
done
drop_ins read-only amd-read-only
for group in render video; do
  grep -qw "Groups:.*$(getent group $group | cut -d : -f 3)" "/proc/$pid/status" || fail "not of $group: $(grep Groups "/proc/$pid/status")"
done
drop_ins read-only
[ "$(awk '/^Uid/ { print ($2 != 0) }' "/proc/$pid/status")" = 1 ] || fail "it is root"
[ "$(awk '/^CapEff/ { print $2 }' "/proc/$pid/status")" = 0000000000000004 ] || fail "capabilities: $(grep Cap "/proc/$pid/status")"
answers '/gpu/get_power?gpu_ids=0' | grep -q '"power_mw":{"0":' || fail "no power"
answers /discover | grep -q '"enabled_api_groups":\["gpu-read","cpu-read"\]' || fail "groups: $(answers /discover)"
drop_ins
[ "$(stat -c %a:%u /var/lib/zeusd/)" = 700:0 ] || fail "the state directory: $(stat /var/lib/zeusd/)"
ok "read-only.conf, also with amd-read-only.conf: a user of its own, one capability, and back"

# --- The end.
pid=$(main_pid)
systemctl stop zeusd
is ActiveState inactive
is Result success
is ExecMainStatus 0
[ ! -e "/proc/$pid" ] || fail "it still runs"
left=$(find /run /tmp /var/tmp /var/run/ -name '*zeus*' -o -name '.z*' | grep -v '^/run/systemd' || true)
[ -z "$left" ] || fail "left after stop: $left"
ok "stop ends it with 0 and leaves nothing"

# --- Starts that fail. What will not get better by itself is not tried again; the rest is.
options --bogus
! systemctl start zeusd 2>/dev/null || fail "started with --bogus"
until_is ActiveState failed
is ExecMainStatus 2
is NRestarts 0
journalctl --no-pager -p err -u zeusd | grep -q 'error: .*--bogus' || fail "no error in the journal"
ok "a wrong option: final, said in the journal as an error"
options --mode tcp --tcp-bind-address gpu01.invalid:4938
systemctl reset-failed zeusd
! systemctl start zeusd 2>/dev/null || fail "started at a name that does not resolve"
until_is NRestarts 2
journalctl --no-pager -p err -u zeusd | grep -q 'error: .*gpu01.invalid' || fail "no error in the journal"
echo '127.0.0.1 gpu01.invalid' >>/etc/hosts
until_is ActiveState active
curl -sSf --max-time 10 http://127.0.0.1:4938/time >/dev/null || fail "no answer on TCP"
sed -i '/gpu01.invalid/d' /etc/hosts
ok "a name that does not resolve is tried again until it does"
options
nvml hanging-nvml
start=$(date +%s)
systemctl restart zeusd || fail "does not start with an NVML that hangs"
took=$(($(date +%s) - start))
answers /time >/dev/null || fail "no answer with an NVML that hangs"
[ $took -le 12 ] || fail "$took seconds until it listened with an NVML that hangs"
systemctl stop zeusd
is ExecMainStatus 0
ok "an NVML that hangs when it is opened: listens after $took s, and stops"
nvml fake-nvml

# --- The package comes and goes.
systemctl start zeusd
pid=$(main_pid)
dpkg -i later.deb >/dev/null
[ "$(main_pid)" != "$pid" ] || fail "an upgrade did not restart it"
answers /time >/dev/null || fail "no answer after the upgrade"
systemctl stop zeusd
dpkg -i --force-downgrade zeusd.deb >/dev/null 2>&1
is ActiveState inactive
is UnitFileState enabled
ok "an upgrade restarts it if it runs, and leaves it stopped if it was"
systemctl start zeusd
pid=$(main_pid)
dpkg -r zeusd >/dev/null 2>&1
[ ! -e "/proc/$pid" ] || fail "removed, and still running"
[ ! -e /run/zeusd.sock ] || fail "removed, and its link is left"
dpkg -i zeusd.deb >/dev/null
is UnitFileState enabled
is ActiveState active
answers /time >/dev/null || fail "no answer after removal and installation"
systemctl disable --quiet --now zeusd
dpkg -r zeusd >/dev/null 2>&1
dpkg -i zeusd.deb >/dev/null
is UnitFileState disabled
is ActiveState inactive
ok "dpkg -r, -i: enabled stays enabled, and disabled disabled"
dpkg -i later.deb >/dev/null
is UnitFileState disabled
is ActiveState inactive
systemctl enable --quiet --now zeusd
dpkg -P zeusd >/dev/null 2>&1
rm -r /etc/systemd/system/zeusd.service.d
find / -xdev -path /opt/test -prune -o -path /proc -prune -o -path /var/log -prune -o -print | sort >/tmp/after
left=$(comm -13 /tmp/before /tmp/after | grep -v -e '^/tmp/' -e '^/var/lib/\(apt\|dpkg\)' -e '^/var/cache/apt' -e '^/var/lib/systemd/\(timers\|linger\|coredump\)' -e '^/var/tmp' || true)
[ -z "$left" ] || fail "left after dpkg -P: $left"
ok "dpkg -P leaves nothing"

# --- Without the package.
nvml fake-nvml
sh -eu install-tarball >/tmp/said 2>&1 || {
  cat /tmp/said >&2
  fail "the commands of packaging/README.md"
}
is ActiveState active
is UnitFileState enabled
grep -q '"gpu_ids":\[' /tmp/said || fail "its last command said no devices: $(cat /tmp/said)"
until_gpus_are_there
grep -q '/usr/lib/zeusd/lib/zeusd-.*\.aot' "/proc/$(main_pid)/maps" || fail "its AOT cache is not used"
ok "the tarball, installed as packaging/README.md says"
