# Sourced by the launchers of a checkout, which set $root to its folder and $jdk to what find-jdk found
# there: builds what is needed.

# What the command zeusd is built from, within $root.
sources="pom.xml headers"
for module in zeusd-ffm zeusd-core zeusd-client zeusd-server zeusd-cli; do
  sources="$sources $module/pom.xml $module/src/main"
done

is_stale() { # stamp, sources
  # The sources are words.
  [ ! -e "$1" ] ||
    [ -n "$(cd "$root" && find $2 -newer "$1" -print 2>/dev/null | head -n 1)" ]
}

# Maven's log in a few lines: what is being done, and what went wrong. Without the escape codes that
# Maven writes even when its output is no terminal.
retell() {
  awk '
    function say(text) {
      print "zeusd: " text
      fflush()
    }
    { gsub(/\033\[[0-9;]*[A-Za-z]/, "") }
    /Downloaded from .*\.jar/ && files++ % 50 == 0 { say("  downloading libraries (" files ") ...") }
    /^\[INFO\] Building zeusd.*\]$/ { say("  " $3 " " $NF " ...") }
    /^\[ERROR\]/ {
      sub(/^\[ERROR\] */, "")
      if (!/^$|Help 1\]|full stack trace|full debug logging|For more information about|you can resume|mvn <args>/)
        say($0)
    }'
}

build() { # stamp, Maven's options...
  command -v mvn >/dev/null || {
    echo "zeusd: mvn not found; install Maven 3.8 or newer to build this checkout" >&2
    exit 1
  }
  stamp=$1
  shift
  log=$root/zeusd-cli/target/build.log
  echo "zeusd: building this checkout, once; this takes a minute or two ..." >&2
  # The time before the build counts: what is edited meanwhile belongs to the next one.
  touch "$stamp.new"
  # On the JDK that was found: JAVA_HOME may name nothing.
  {
    (cd "$root" && JAVA_HOME=$jdk mvn -B -Dstyle.color=never -DskipTests -Dformat.mode=--dry-run "$@" package) ||
      mv "$stamp.new" "$stamp.failed"
  } 2>&1 | tee "$log" | retell >&2
  if [ -e "$stamp.failed" ]; then
    rm "$stamp.failed"
    grep -q '^\[ERROR\]' "$log" || tail -n 5 "$log" >&2
    echo "zeusd: the build failed; the whole log is in $log" >&2
    exit 1
  fi
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
