#!/bin/sh
# Makes the Debian package from the image. Usage: build.sh DIST_DIR OUT.deb
#
# DIST_DIR is zeusd-cli/target/dist/zeusd-X.Y.Z, made by `mvn -Pdist package`. Needs dpkg-deb, and what
# ../docs/generate.sh needs. Two builds of one image are the same, byte for byte; SOURCE_DATE_EPOCH
# sets the time (by default that of the newest file in the image); DEBFULLNAME and DEBEMAIL name the
# maintainer.
set -eu
dist=$(cd "$1" && pwd -P)
out=$2
here=$(cd "$(dirname "$0")" && pwd -P)
umask 022

for part in bin/zeusd lib/runtime/bin/java lib/app/zeusd.jar systemd/zeusd.service; do
  [ -e "$dist/$part" ] || {
    echo "build.sh: no $part in $dist; make an image with: mvn -Pdist package" >&2
    exit 1
  }
done
version=$("$dist/bin/zeusd" --version)
version=${version#zeusd }
case $(uname -m) in
  x86_64) arch=amd64 ;;
  aarch64) arch=arm64 ;;
  *) arch=$(dpkg --print-architecture) ;;
esac

newest=$(find "$dist" -type f -printf '%T@\n' | sort -n | tail -n 1)
newest=${newest%.*}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$newest}
export SOURCE_DATE_EPOCH
# dpkg-deb sets back what is newer. But the AOT cache knows its jars by their time: after that, the
# JVM would drop the cache, and start slowly without a word.
if [ -n "$(find "$dist/lib/app" "$dist/lib/runtime/lib/modules" -type f -newermt "@$SOURCE_DATE_EPOCH" | head -n 1)" ]; then
  echo "build.sh: files in $dist/lib are newer than SOURCE_DATE_EPOCH ($SOURCE_DATE_EPOCH):" \
    "give them that time before the AOT cache is made, or leave SOURCE_DATE_EPOCH unset" >&2
  exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir "$root"

# Puts a file, with its mode, at a path of the package.
put() { # mode, from, to
  mkdir -p "$root$(dirname "$3")"
  install -m "$1" "$2" "$root$3"
}
put_gzipped() { # from, to
  mkdir -p "$root$(dirname "$2")"
  gzip -9n <"$1" >"$root$2"
}

# The image. Times are kept, for the AOT cache.
mkdir -p "$root/usr/lib" "$root/usr/bin"
cp -a "$dist" "$root/usr/lib/zeusd"
for text in LICENSE README.md CHANGELOG.md; do
  rm -f "$root/usr/lib/zeusd/$text"
done
chmod -R u=rwX,go=rX "$root/usr/lib/zeusd"
ln -s ../lib/zeusd/bin/zeusd "$root/usr/bin/zeusd"

# The service.
mv "$root/usr/lib/zeusd/systemd/zeusd.service" "$work/"
mv "$root/usr/lib/zeusd/systemd/zeusd.default" "$work/"
put 644 "$work/zeusd.service" /lib/systemd/system/zeusd.service
put 644 "$work/zeusd.default" /etc/default/zeusd
mv "$root/usr/lib/zeusd/systemd/zeusd.toml" "$work/"
put 644 "$work/zeusd.toml" /etc/zeusd/zeusd.toml
mv "$root/usr/lib/zeusd/systemd/zeusd.logrotate" "$work/"
put 644 "$work/zeusd.logrotate" /etc/logrotate.d/zeusd

# The documentation.
"$here/../docs/generate.sh" "$dist" "$work/docs"
for page in "$work"/docs/man1/*.1; do
  put_gzipped "$page" "/usr/share/man/man1/${page##*/}.gz"
done
put 644 "$work/docs/completions/zeusd" /usr/share/bash-completion/completions/zeusd
doc=/usr/share/doc/zeusd
put 644 "$here/copyright" "$doc/copyright"
put 644 "$dist/README.md" "$doc/README.md"
put_gzipped "$dist/CHANGELOG.md" "$doc/changelog.gz"
mv "$root/usr/lib/zeusd/examples" "$root$doc/examples"

of_developer() { # name or email, as pom.xml has it
  sed -n "/<developer>/,/<\/developer>/ s:.*<$1>\(.*\)</$1>.*:\1:p" "$here/../../pom.xml"
}
mkdir "$root/DEBIAN"
for script in postinst prerm postrm; do
  install -m 755 "$here/$script" "$root/DEBIAN/$script"
done
printf '%s\n' /etc/default/zeusd /etc/logrotate.d/zeusd /etc/zeusd/zeusd.toml >"$root/DEBIAN/conffiles"
cat >"$root/DEBIAN/control" <<CONTROL
Package: zeusd
Version: $version
Architecture: $arch
Maintainer: ${DEBFULLNAME:-$(of_developer name)} <${DEBEMAIL:-$(of_developer email)}>
Installed-Size: $(du -k -s --apparent-size "$root" | cut -f 1)
Depends: libc6 (>= 2.17), init-system-helpers (>= 1.54)
Section: admin
Priority: optional
Description: daemon that reads and sets the power of GPUs and CPUs
 Lets ordinary programs read the power and energy of GPUs (NVIDIA, AMD, Intel)
 and CPUs (RAPL, hwmon) and change settings of GPUs, which otherwise only root
 may do. Programs talk to it over HTTP, on a Unix socket, TCP or TLS; live power
 comes as a stream of server-sent events. It speaks the protocol of the Zeus
 project's daemon of the same name.
 .
 The package brings its own Java runtime and needs none on the machine.
CONTROL
(cd "$root" && find etc lib usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
chmod 644 "$root/DEBIAN/conffiles" "$root/DEBIAN/control" "$root/DEBIAN/md5sums"

mkdir -p "$(dirname "$out")"
dpkg-deb --root-owner-group --uniform-compression -Zxz --build "$root" "$out" >/dev/null
echo "$out: $(stat -c %s "$out") bytes"
