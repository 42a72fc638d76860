#!/bin/sh
# Makes the self-contained image: build.sh IMAGE_DIR FAKE_NVML_DIR TIME, in zeusd-cli/, with the jlink
# runtime already in IMAGE_DIR/lib/runtime. TIME is that of all its files. Called by mvn -Pdist package.
set -eu
image=$1
fake_nvml=$2
time=$3
lib=$image/lib

version=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$lib/runtime/release")
if [ "$version" -lt 25 ]; then
  echo "the image needs a JDK of 25 or newer for its AOT cache; this one is $version" >&2
  exit 1
fi

mkdir -p "$image/bin"
cp -r target/app "$lib/app"
rm -f "$lib/app/.built" "$lib/app/.built.new"
# Jars that NewerClassFiles.java has made anew.
for jar in target/newer/*.jar; do
  [ ! -e "$lib/app/lib/${jar##*/}" ] || cp "$jar" "$lib/app/lib/"
done
cp src/dist/jvm.options "$lib/"
cp ../LICENSE ../README.md ../CHANGELOG.md "$image/"
# What a service of it needs, for those who install the tarball.
install -m 755 ../packaging/healthcheck "$lib/"
mkdir "$image/systemd"
cp ../packaging/systemd/zeusd.service ../packaging/systemd/zeusd.default \
  ../packaging/systemd/zeusd.toml ../packaging/systemd/zeusd.logrotate \
  ../packaging/systemd/*.conf "$image/systemd/"
install -m 755 ../packaging/systemd/socket-link "$image/systemd/"
# For those who run Prometheus and Grafana.
mkdir -p "$image/examples/prometheus" "$image/examples/grafana"
cp -r ../packaging/prometheus/prometheus.yml ../packaging/prometheus/zeusd.*.yml ../packaging/prometheus/targets \
  "$image/examples/prometheus/"
cp ../packaging/grafana/*.json "$image/examples/grafana/"

# The SBOM that Maven made of the jars, and in it the Java runtime, which Maven knows nothing of. The
# plugin does nothing when Maven is offline (-o).
property() {
  "$lib/runtime/bin/java" -XshowSettings:properties -version 2>&1 | sed -n "s/^ *$1 = //p"
}
sbom=target/sbom.cdx.json
if [ -e $sbom ]; then
  java=$(property java.runtime.version)
  cat >target/runtime.cdx.json <<COMPONENT
    {
      "type" : "platform",
      "bom-ref" : "java-runtime",
      "publisher" : "$(property java.vendor)",
      "name" : "openjdk",
      "version" : "$java",
      "description" : "lib/runtime, made by jlink; $(grep -o 'MODULES=.*' "$lib/runtime/release" | tr -d '"')",
      "licenses" : [ { "expression" : "GPL-2.0-only WITH Classpath-exception-2.0" } ],
      "cpe" : "cpe:2.3:a:oracle:openjdk:$(property java.version):*:*:*:*:*:*:*",
      "purl" : "pkg:generic/openjdk@$(echo "$java" | sed 's/+/%2B/')"
    },
COMPONENT
  sed '/^  "components" : \[$/r target/runtime.cdx.json' $sbom >"$image/sbom.cdx.json"
  rm $sbom # the next build may be offline
else
  echo "build.sh: Maven was offline and made no SBOM: none in this image" >&2
fi

# The JVM does not notice when a jar changed under its AOT cache and would run the old code. So the
# caches carry the jars' hash in their names, and the launcher asks for that very name.
hash=$(cd "$lib/app" && find . -name '*.jar' | LC_ALL=C sort | xargs cat | sha256sum | cut -c1-16)
sed "s/@AOT_HASH@/$hash/" src/dist/bin/zeusd >"$image/bin/zeusd"
chmod 755 "$image/bin/zeusd"

# Before the caches are made, which know the jars and the runtime by their times.
set_times() {
  find "$image" -exec touch -h -d "$time" {} +
}
set_times

elsewhere=$(mktemp -d)
daemon=
clean_up() {
  # It writes to the folder until it has ended.
  [ -z "$daemon" ] || ! kill "$daemon" || wait "$daemon" || true
  rm -rf "$elsewhere"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

log=target/aot-training.log
# On the class path that it has later on, which is checked, too; so the training, which is no part of the
# image, is loaded by keytool.
train() { # cache, run
  LD_LIBRARY_PATH=$fake_nvml FAKE_NVML_POWER=counting timeout 300 "$lib/runtime/bin/java" "@$lib/jvm.options" \
    "-XX:AOTCacheOutput=$1" -cp "$lib/app/zeusd.jar" sun.security.tools.keytool.Main -list \
    -providerclass dev.zeusd.training.AotTraining -providerarg "$2" -providerpath target/test-classes \
    >"$log" 2>&1 || {
    cat "$log" >&2
    exit 1
  }
}
serve=$lib/zeusd-$hash.aot
commands=$lib/zeusd-$hash-commands.aot
train "$serve" serve
"$image/bin/zeusd" serve --simulate --log-level error --socket-path "$elsewhere/zeusd.sock" \
  --state-dir "$elsewhere/state" 2>"$elsewhere/log" &
daemon=$!
train "$commands" "$elsewhere/zeusd.sock"

set_times

# AOTMode=on makes a cache that cannot be used an error: it has to be good where it is, ...
for cache in "$serve" "$commands"; do
  "$lib/runtime/bin/java" -XX:AOTMode=on "@$lib/jvm.options" "-XX:AOTCache=$cache" \
    -jar "$lib/app/zeusd.jar" --version
done
# ... and somewhere else, through a link, in a folder that no locale is needed for, too; with the jars'
# times, which the JVM compares.
cp -a "$image" "$elsewhere/ü"
ln -s ü/bin/zeusd "$elsewhere/zeusd"
for command in '' serve; do
  env -u LANG -u LC_ALL -u LC_CTYPE JDK_JAVA_OPTIONS=-XX:AOTMode=on "$elsewhere/zeusd" $command --version 2>&1 |
    grep -q '^zeusd '
done
# A command whose cache cannot be used says nothing of it, and runs.
echo none >"$elsewhere/ü/lib/${commands##*/}"
[ "$("$elsewhere/zeusd" --version 2>&1)" = "$("$image/bin/zeusd" --version)" ]
