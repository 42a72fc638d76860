#!/bin/sh
# Takes the steps of the Dockerfile in a plain folder, for want of a Docker engine, and asks the daemon
# for the time from there. Usage: docker-check.sh TARBALL
#
# It reads the steps from the Dockerfile; one that it does not know is an error, so that it cannot pass
# without having checked it.
set -eu
tarball=$(readlink -f "$1")
here=$(cd "$(dirname "$0")" && pwd -P)
root=$(mktemp -d)
daemon=""
cleanup() {
  [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
  rm -rf "$root"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

version=""
debian=""
environment=""
health=""
entrypoint=""
mkdir -p "$root/opt" "$root/usr/bin" "$root/run"
while read -r step rest; do
  rest=$(echo "$rest" | sed "s/\${VERSION}/$version/g")
  case $step in
    '' | '#'* | EXPOSE | CMD) ;;
    ARG)
      case $rest in
        VERSION=*) version=${rest#VERSION=} ;;
        DEBIAN=*) debian=${rest#DEBIAN=} ;;
        *) fail "unknown step: $step $rest" ;;
      esac
      ;;
    FROM)
      case $(echo "$rest" | sed "s/\${DEBIAN}/$debian/") in
        debian:*-20[0-9][0-9][01][0-9][0-3][0-9]-slim | debian:*@sha256:*) ;;
        *) fail "the base is not a certain image: $rest" ;;
      esac
      ;;
    ENV) environment="$environment $rest" ;;
    HEALTHCHECK) health=$(echo "$rest" | sed -n 's/.*CMD \["\(.*\)"\]$/\1/p') ;;
    ADD)
      [ "${rest% *}" = "${tarball##*/}" ] || fail "the Dockerfile adds ${rest% *}, not ${tarball##*/}"
      tar -xzf "$tarball" -C "$root${rest##* }"
      ;;
    RUN)
      # shellcheck disable=SC2086 # words on purpose
      set -- $rest
      [ "$1 $2 $#" = "ln -s 4" ] || fail "unknown step: $step $rest"
      ln -s "$root$3" "$root$4"
      ;;
    ENTRYPOINT) entrypoint=$(echo "$rest" | sed 's/^\["\(.*\)"\]$/\1/') ;;
    *) fail "unknown step: $step $rest" ;;
  esac
done <"$here/Dockerfile"

case $environment in
  *LANG=*UTF-8*) ;;
  *) fail "no UTF-8 in the environment:$environment" ;;
esac
[ -n "$health" ] || fail "no health check"

start() { # options of serve
  rm -f "$root/log"
  # shellcheck disable=SC2086 # words on purpose
  env -i PATH=/usr/bin:/bin $environment "$root$entrypoint" serve --simulate "$@" 2>"$root/log" &
  daemon=$!
  tries=300
  until grep -qs 'listening at' "$root/log"; do
    tries=$((tries - 1))
    if [ $tries -eq 0 ] || ! kill -0 $daemon 2>/dev/null; then
      fail "does not start: $(cat "$root/log")"
    fi
    sleep 0.1
  done
}
stop() {
  kill "$daemon"
  wait "$daemon" || fail "ended with $?"
  ! "$root$health" $daemon 2>/dev/null || fail "the health check is content without a daemon"
  daemon=""
}

start --mode tcp "--tcp-bind-address=[::]:0"
port=$(sed -n 's/.*listening at .*:\([0-9]*\),.*/\1/p' "$root/log")
for address in 127.0.0.1 '[::1]'; do
  curl -sSf --max-time 5 "http://$address:$port/time" | grep -q timestamp_ms || fail "no answer at $address"
done
stop
start --mode tcp --tcp-bind-address 127.0.0.1:$port
"$root$health" $daemon || fail "the health check by TCP"
stop
start --socket-path "$root/run/zeusd.sock"
"$root$health" $daemon || fail "the health check by the socket"
curl -sSf --max-time 5 --unix-socket "$root/run/zeusd.sock" http://localhost/time | grep -q timestamp_ms ||
  fail "no answer"
grep -q "$root/opt/.*\.aot" "/proc/$daemon/maps" || fail "the AOT cache is not used"
stop
echo "ok: the Dockerfile's steps, and the daemon from there, with its AOT cache"
