#!/bin/sh
# Builds this checkout once more, in another folder, with another umask and time zone, and compares the
# two images and tarballs: every file is to have the same bytes, mode and time, but for the AOT caches.
# Usage: reproducible.sh IMAGE_DIR
#
# An AOT cache is a snapshot of a JVM that ran the daemon: its threads, and with them the order of
# things in memory, are never twice the same. The names and times of their files are compared.
set -eu
image=$(cd "$1" && pwd -P)
root=$(cd "$(dirname "$0")/.." && pwd -P)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

mkdir "$work/another-folder"
(cd "$root" && git ls-files -z --cached --others --exclude-standard |
  xargs -0 cp --parents -t "$work/another-folder")
(
  cd "$work/another-folder"
  umask 077
  TZ=Asia/Kathmandu mvn -B -q -Pdist -DskipTests package >"$work/log" 2>&1
) || {
  cat "$work/log" >&2
  exit 1
}
again=$work/another-folder/zeusd-cli/target/dist/${image##*/}

bytes() { # of the image's files
  (cd "$1" && find . -type f ! -name '*.aot' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
}
bytes "$image" >"$work/bytes"
bytes "$again" >"$work/bytes-again"
diff "$work/bytes" "$work/bytes-again" || {
  echo "reproducible.sh: files of two builds differ" >&2
  exit 1
}
listing() { # of the tarball beside the image: mode, owner, size, time, name; the AOT cache's size not
  tar -tvzf "$(echo "$1"/../../zeusd-*.tar.gz)" --full-time >"$2"
  sed -i '/\.aot$/s/  *[0-9]* / /' "$2"
}
listing "$image" "$work/list"
listing "$again" "$work/list-again"
diff "$work/list" "$work/list-again" || {
  echo "reproducible.sh: the tarballs of two builds differ" >&2
  exit 1
}
echo "the same in two builds: $(wc -l <"$work/bytes") files of the image, and mode, owner and time of the" \
  "tarball's $(wc -l <"$work/list") entries"
for cache in "$again"/lib/*.aot; do
  cmp -s "$image/lib/${cache##*/}" "$cache" || echo "not the same: the AOT cache lib/${cache##*/}"
done
