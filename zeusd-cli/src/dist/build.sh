#!/bin/sh
# Makes the self-contained image: build.sh IMAGE_DIR FAKE_NVML_DIR, in zeusd-cli/, with the jlink
# runtime already in IMAGE_DIR/lib/runtime. Called by mvn -Pdist package.
set -eu
image=$1
fake_nvml=$2
lib=$image/lib

version=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$lib/runtime/release")
if [ "$version" -lt 25 ]; then
  echo "the image needs a JDK of 25 or newer for its AOT cache; this one is $version" >&2
  exit 1
fi

mkdir -p "$image/bin"
cp -r target/app "$lib/app"
rm -f "$lib/app/.built" "$lib/app/.lock" "$lib/app/.built.new"
cp src/dist/jvm.options "$lib/"
cp ../LICENSE ../README.md ../CHANGELOG.md "$image/"

# The JVM does not notice when a jar changed under its AOT cache and would run the old code. So the
# cache carries the jars' hash in its name, and the launcher asks for that very name.
hash=$(cd "$lib/app" && find . -name '*.jar' | sort | xargs cat | sha256sum | cut -c1-16)
sed "s/@AOT_HASH@/$hash/" src/dist/bin/zeusd >"$image/bin/zeusd"
chmod 755 "$image/bin/zeusd"

cache=$lib/zeusd-$hash.aot
log=target/aot-training.log
# By the path that the class path has later on, which is checked, too: the jars' own folder.
LD_LIBRARY_PATH=$fake_nvml FAKE_NVML_POWER=counting timeout 120 "$lib/runtime/bin/java" "@$lib/jvm.options" \
  "-XX:AOTCacheOutput=$cache" -cp "$lib/app/zeusd.jar" dev.zeusd.cli.AotTraining >"$log" 2>&1 || {
  cat "$log" >&2
  exit 1
}

# AOTMode=on makes a cache that cannot be used an error: it has to be good where it is, ...
"$lib/runtime/bin/java" -XX:AOTMode=on "@$lib/jvm.options" "-XX:AOTCache=$cache" \
  -jar "$lib/app/zeusd.jar" --version
# ... and somewhere else, through a link, too.
elsewhere=$(mktemp -d)
trap 'rm -rf "$elsewhere"' EXIT
# With the jars' times, which the JVM compares.
cp -a "$image" "$elsewhere/image"
ln -s image/bin/zeusd "$elsewhere/zeusd"
JDK_JAVA_OPTIONS=-XX:AOTMode=on "$elsewhere/zeusd" --version 2>&1 | grep -q '^zeusd '
