# Sourced by the launchers of a checkout, which set $root to its folder: a JDK, and builds when needed.

# A JDK of 22 or newer. The file "release" tells the version without starting anything.
fits() {
  [ -x "$1/bin/java" ] && [ -r "$1/release" ] &&
    version=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release") &&
    [ -n "$version" ] && [ "$version" -ge 22 ]
}

find_jdk() {
  on_path=$(command -v java || true)
  [ -z "$on_path" ] || on_path=$(dirname "$(dirname "$(readlink -f "$on_path")")")
  for jdk in "${JAVA_HOME:-}" "$on_path" /usr/lib/jvm/* /usr/java/* /opt/*jdk* \
    "${HOME:-}"/.sdkman/candidates/java/* "${HOME:-}"/.jdks/*; do
    if fits "$jdk"; then
      printf '%s\n' "$jdk"
      return
    fi
  done
  echo "zeusd: no JDK of 22 or newer found; install one, or set JAVA_HOME to it" >&2
  exit 1
}

# What the command zeusd is built from, within $root.
sources="pom.xml headers"
for module in zeusd-ffm zeusd-core zeusd-server zeusd-cli; do
  sources="$sources $module/pom.xml $module/src/main"
done

is_stale() { # stamp, sources
  # The sources are words.
  [ ! -e "$1" ] ||
    [ -n "$(cd "$root" && find $2 -newer "$1" -print 2>/dev/null | head -n 1)" ]
}

build() { # stamp, Maven's options...
  command -v mvn >/dev/null || {
    echo "zeusd: mvn not found; install Maven 3.8 or newer to build this checkout" >&2
    exit 1
  }
  echo "zeusd: building (the first build downloads libraries) ..." >&2
  stamp=$1
  shift
  # The time before the build counts: what is edited meanwhile belongs to the next one.
  touch "$stamp.new"
  (cd "$root" && mvn -q -B -Dstyle.color=never -DskipTests -Dformat.mode=--dry-run "$@" package) >&2
  mv "$stamp.new" "$stamp"
}

# Builds if a source is newer than the stamp, a file that the last build left.
build_if_stale() { # stamp, sources, Maven's options...
  wanted=$1
  from=$2
  shift 2
  is_stale "$wanted" "$from" || return 0
  locks=$root/zeusd-cli/target
  mkdir -p "$locks" "$(dirname "$wanted")"
  # One build at a time; whoever waited finds it done. Without flock (not on Linux) they may meet.
  exec 9>"$locks/.lock"
  ! command -v flock >/dev/null || flock 9
  ! is_stale "$wanted" "$from" || build "$wanted" "$@"
  exec 9>&-
}
