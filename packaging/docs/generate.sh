#!/bin/sh
# Makes the man pages and the bash completion from the command itself, so that they cannot disagree
# with it. Usage: generate.sh DIST_DIR OUT_DIR
#
# DIST_DIR is the unpacked image (`mvn -Pdist package`); OUT_DIR gets man1/zeusd*.1 and
# completions/zeusd. Needs asciidoctor (Debian package of that name) and Maven, for picocli-codegen.
set -eu
dist=$(cd "$1" && pwd -P)
mkdir -p "$2"
out=$(cd "$2" && pwd -P)
here=$(cd "$(dirname "$0")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)

command -v asciidoctor >/dev/null || {
  echo "generate.sh: asciidoctor not found; on Debian: apt-get install asciidoctor" >&2
  exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The generator of the very picocli that is in the image.
picocli=$(echo "$dist"/lib/app/lib/picocli-*.jar)
version=${picocli##*/picocli-}
version=${version%.jar}
(cd "$root" && mvn -q -B -Dstyle.color=never -N dependency:copy \
  -Dartifact="info.picocli:picocli-codegen:$version" -DoutputDirectory="$work/codegen")

java="$dist/lib/runtime/bin/java"
"$java" -cp "$dist/lib/app/zeusd.jar:$work/codegen/picocli-codegen-$version.jar" \
  picocli.codegen.docgen.manpage.ManPageGenerator -d "$work/adoc" 'dev.zeusd.cli.Zeusd$WithAllCommands'

# `help` needs no page; what the command cannot know about itself is in more.adoc.
rm "$work"/adoc/zeusd*-help.adoc
sed -i 's/^xref:zeusd\(-[a-z]*\)\{0,1\}-help\.adoc\[\(.*\)\]::/\2::/' "$work"/adoc/*.adoc
# picocli breaks lines within _<ID>[,<ID>...]_, and asciidoctor takes a bracket before an underscore for a role
# of what follows.
sed -zi 's/,_\n *_ *</,</g; s/\[,\(<[A-Z]*>\)\.\.\.\]_/{startsb},\1...{endsb}_/g' "$work"/adoc/*.adoc
cat "$here/more.adoc" >>"$work/adoc/zeusd.adoc"
rm -rf "$out/man1" "$out/completions"
mkdir "$out/man1" "$out/completions"
asciidoctor --failure-level WARN -b manpage -D "$out/man1" "$work"/adoc/*.adoc
# An underscore that emphasises nothing: the synopsis is mangled.
for page in "$out"/man1/*.1; do
  if sed -n '/^\.SH "SYNOPSIS"/,/^\.SH "DESC/p' "$page" | grep _; then
    echo "generate.sh: the synopsis of $page is mangled, see above" >&2
    exit 1
  fi
done

"$java" -cp "$dist/lib/app/zeusd.jar" picocli.AutoComplete -f -n zeusd \
  -o "$work/completion" 'dev.zeusd.cli.Zeusd$WithAllCommands'

# picocli offers the names of the enum constants (GPU_READ). The command takes them as gpu-read, and
# not all of them: keep those that it takes.
command="" # of the lines that follow
while IFS= read -r line; do
  case $line in
    'function _picocli_zeusd_serve()'*) command=serve ;;
    'function _picocli_zeusd_token_issue()'*) command='token issue' ;;
    *_option_args=\(*\)*'# --'*' values')
      option=${line##*# }
      option=${option% values}
      values=""
      for value in $(echo "$line" | sed 's/.*(\(.*\)).*/\1/; s/"//g' | tr 'A-Z_' 'a-z-'); do
        # shellcheck disable=SC2086 # "token issue" is two words
        if "$dist/bin/zeusd" $command "$option" "$value" --help >/dev/null 2>&1; then
          values="$values \"$value\""
        fi
      done
      [ -n "$values" ] || {
        echo "generate.sh: zeusd $command takes no value of $option from: $line" >&2
        exit 1
      }
      line="${line%%(*}(${values# }) # $option values"
      ;;
  esac
  printf '%s\n' "$line"
done <"$work/completion" >"$out/completions/zeusd"
# The date of generation is the only thing in it that differs from build to build.
sed -i '/^# .*[Gg]enerated.*on /d; /^#.*Date: /d' "$out/completions/zeusd"
