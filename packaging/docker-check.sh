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
entrypoint=""
mkdir -p "$root/opt" "$root/usr/bin" "$root/run"
while read -r step rest; do
  rest=$(echo "$rest" | sed "s/\${VERSION}/$version/g")
  case $step in
    '' | '#'* | FROM | ENV | EXPOSE | CMD) ;;
    ARG) version=${rest#VERSION=} ;;
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

env -i PATH=/usr/bin:/bin "$root$entrypoint" serve --simulate --socket-path "$root/run/zeusd.sock" 2>"$root/log" &
daemon=$!
tries=100
until [ -S "$root/run/zeusd.sock" ]; do
  tries=$((tries - 1))
  if [ $tries -eq 0 ] || ! kill -0 $daemon 2>/dev/null; then
    fail "does not start: $(cat "$root/log")"
  fi
  sleep 0.1
done
curl -sSf --max-time 5 --unix-socket "$root/run/zeusd.sock" http://localhost/time | grep -q timestamp_ms ||
  fail "no answer"
grep -q "$root/opt/.*\.aot" "/proc/$daemon/maps" || fail "the AOT cache is not used"
kill "$daemon"
wait "$daemon" || fail "ended with $?"
daemon=""
echo "ok: the Dockerfile's steps, and the daemon from there, with its AOT cache"
