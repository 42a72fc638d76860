#!/usr/bin/env python3
"""Runs the commands of all pages (README.md, docs/*.md and those in PLACES) from the text itself.

Usage: docs/run-commands.py [--built] [PAGE...]   as root; all pages, if none is named
       docs/run-commands.py --print PAGE WORDS    prints the block whose first command contains WORDS

--built takes what ./zeusd has built here along, which saves a minute; not for CI.

Every block marked `sh` or `console` is run in order, in a copy of this checkout: what git knows, nothing
built. Around it is an overlay of this machine's files with a network of its own, which are gone
afterwards; so `sudo` and /etc/zeusd do no harm. There is a driver in it: the fake one of the tests.

- A daemon is waited for until it listens, and ends with the next one or the page.
- `curl -N` is stopped after some seconds.
- What a `console` block shows has to come, in form: numbers may differ, names and structure not. A line
  "..." stands for more of it.
- Whatever else ends with a status other than 0 fails, unless the block shows an error.

What cannot be run so, or takes too long, is in OTHERWISE below, each with what is done instead.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACES = ["packaging/README.md", "conformance/README.md", "headers/README.md"]
PAGES = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md")), *PLACES]
CLONE = "/srv/zeusd"
PATIENCE_S = 600
STREAM_S = 4


def in_ci(command, text):
    """Done by .ci/run itself: it names the script, or the goal of Maven."""
    script = text or shlex.split(command)[0]
    return None if script in (ROOT / ".ci/run").read_text() else f".ci/run does not say: {script}"


def maven(command, _):
    """Maven knows the profiles and takes the options; no tests."""
    words = [word for word in shlex.split(command) if word not in ("verify", "package")]
    said = shell(" ".join(map(shlex.quote, words)) + " -B -N validate")
    return f"Maven says: {said.stdout}" if said.returncode or "does not exist" in said.stdout else None


def guest(_, text):
    """Run from this text in the Debian that packaging/systemd/boot-test.sh boots."""
    return None if text in (ROOT / "packaging/systemd/boot-test.sh").read_text() else f"no {text} in boot-test.sh"


def syntax(command, _):
    """bash reads it."""
    said = shell(f"bash -n -c {shlex.quote(command)}")
    return None if said.returncode == 0 else said.stdout


def packages(command, _):
    """Asks apt whether it could."""
    words = shlex.split(command)
    said = shell(" ".join(words[:2]) + " --simulate " + " ".join(words[2:]))
    return None if said.returncode == 0 else said.stdout


def benchmark(command, _):
    """Its options and the benchmarks that it names are in the sources."""
    sources = shell("cat zeusd-bench/run $(find zeusd-bench/src/main -name '*.java' -o -name '*.py')").stdout
    options = [f'"{word}"' for word in shlex.split(command) if word.startswith("--")]
    names = shlex.split(command)[2:] if " jmh" in command else []
    unknown = [word for word in options + names if word not in sources]
    return f"not in the sources: {unknown}" if unknown else None


# (page, the beginning of the command, what is done instead, its argument, why)
OTHERWISE = [
    ("docs/development.md", "mvn verify -Psoak", maven, None, "an hour; every build has it in short form"),
    ("docs/development.md", "mvn verify -Dtest", maven, None, "every build has all tests"),
    ("docs/development.md", "mvn -N initialize", syntax, None, "every build checks the format"),
    ("docs/development.md", "mvn verify", in_ci, "mvn -B -Pdist,artifacts verify", "the first step of CI, 10 minutes"),
    ("docs/reliability.md", "mvn verify -Psoak", maven, None, "an hour; every build has it in short form"),
    ("docs/development.md", "zeusd-bench/run", benchmark, None, "minutes, on a machine that does nothing else"),
    ("docs/performance.md", "zeusd-bench/run", benchmark, None, "minutes, on a machine that does nothing else"),
    ("packaging/README.md", "mvn -Pdist package", in_ci, "mvn -B -Pdist,artifacts verify", "CI's, and README's without tests"),
    ("packaging/README.md", "apt-get install", packages, None, "is installed already"),
    ("packaging/README.md", "packaging/sbom-check.py", in_ci, None, "a step of CI"),
    ("packaging/README.md", "packaging/reproducible.sh", in_ci, None, "a step of CI, minutes"),
    ("packaging/README.md", "packaging/systemd/check.sh", in_ci, None, "a step of CI"),
    ("packaging/README.md", "packaging/systemd/boot-test.sh", in_ci, None, "a step of CI"),
    ("packaging/README.md", "packaging/deb/test.sh", in_ci, None, "a step of CI"),
    ("packaging/README.md", "packaging/docker-check.sh", in_ci, None, "a step of CI"),
    ("packaging/README.md", "packaging/kubernetes/check.py", in_ci, None, "a step of CI"),
    ("packaging/README.md", "packaging/prometheus/check.py", in_ci, None, "a step of CI"),
    ("packaging/README.md", "packaging/tls/check.py", in_ci, None, "a step of CI"),
    ("packaging/README.md", "packaging/web/openapi-check.py", in_ci, None, "a step of CI"),
    ("conformance/README.md", "conformance/run", in_ci, None, "a step of CI, minutes"),
    *[
        ("headers/README.md", start, syntax, None, "jextract is in no registry")
        for start in ("apt-get", "git clone", "$JAVA_HOME", "cp ", "mkdir ", "rm ")
    ],
    ("packaging/README.md", "sudo apt install ./zeusd.deb", guest, "sudo apt install", "needs systemd"),
    ("packaging/README.md", "systemctl status zeusd", guest, "sudo apt install", "needs systemd"),
    ("packaging/README.md", "curl --unix-socket", guest, "sudo apt install", "needs systemd"),
    ("packaging/README.md", "sudo tar", guest, "sudo tar", "needs systemd"),
    ("packaging/README.md", "sudo ln", guest, "sudo tar", "needs systemd"),
    ("packaging/README.md", "sudo cp", guest, "sudo tar", "needs systemd"),
    ("packaging/README.md", "sudo install -D", guest, "sudo tar", "needs systemd"),
    ("packaging/README.md", "sudo systemctl", guest, "sudo tar", "needs systemd"),
]

# (page, the beginning of the command): what the text around it takes for granted.
AS_NOBODY = [("docs/operations.md", "./zeusd serve\n")]
WITH_TOKENS = [("docs/api.md", 'curl -H "Authorization: Bearer')]


class Failure(Exception):
    """A command did not do what the text says."""


# --- The text


def blocks(page):
    """The runnable blocks of a page: (line, kind, lines)."""
    kind, found = None, []
    for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
        fence = re.match(r"```(\w*)$", line.strip())
        if fence and kind is None:
            kind = fence[1] or "text"
            found.append((number, kind, []))
        elif fence:
            kind = None
        elif kind is not None:
            found[-1][2].append(line)
    return [block for block in found if block[1] in ("sh", "console")]


def commands(kind, lines):
    """(command, expected output or None), each."""
    found, rest = [], list(lines)
    while rest:
        line = rest.pop(0)
        if kind == "console" and not line.startswith("$ "):
            found[-1][1].append(line)
            continue
        command = line.removeprefix("$ ") if kind == "console" else line
        while command.endswith("\\"):
            command = command[:-1] + " " + rest.pop(0).strip()
        here_document = re.search(r"<<'?(\w+)'?$", command)
        while here_document and not command.endswith("\n" + here_document[1]):
            command += "\n" + rest.pop(0)
        if command.strip() and not command.startswith("#"):
            found.append((re.sub(r"\s+#\s.*$", "", command).strip(), [] if kind == "console" else None))
    return found


def form(line):
    """What has to be the same in a line of output."""
    text = line.rstrip()
    head = re.match(r"(data: )?(?=[{\[])", text)
    if head:
        try:
            return (head[1], shape(json.loads(text[head.end():])))
        except ValueError:
            pass
    return re.sub(r"\d[\d.,:TZ+-]*", "0", re.sub(r"\b[0-9a-f]{12,}\b", "HASH", text))


def shape(value):
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    if isinstance(value, bool) or value is None:
        return value
    return form(value) if isinstance(value, str) else "number"


def check_output(expected, output, is_stream):
    wanted = [form(line) for line in expected]
    came = [form(line) for line in output.splitlines()]
    if is_stream:
        missing = [each for each in wanted if each not in came and each not in ("...", "", ":")]
        foreign = [each for each in came if each not in wanted and each not in ("", ":")]
        same = came and not missing and not foreign
    elif "..." in wanted:
        wanted = wanted[: wanted.index("...")]
        same = came[: len(wanted)] == wanted
    else:
        same = came == wanted
    if not same:
        raise Failure("the text shows\n  " + "\n  ".join(expected) + "\nbut it said\n  " + output.replace("\n", "\n  "))


# --- The machine


def shell(command, prefix="", timeout=PATIENCE_S):
    """Runs a command where the last one left off: folder and variables are kept."""
    state = "/tmp/run-commands.state"
    script = f"""
        [ ! -e {state} ] || . {state}
        set -a
        {command}
        status=$?
        {{ export -p | grep -v ' \\(BASHOPTS\\|SHELLOPTS\\|UID\\|EUID\\|PPID\\)='; printf 'cd %q\\n' "$PWD"; }} >{state}
        exit $status"""
    process = subprocess.Popen(
        [*shlex.split(prefix), "bash", "-c", script], cwd=CLONE, stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output = process.communicate(timeout=timeout)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output = process.communicate()[0]
        return subprocess.CompletedProcess(command, 124, output)
    return subprocess.CompletedProcess(command, process.returncode, output)


class Daemon:
    """A `zeusd serve` of a page."""

    def __init__(self, command):
        self.log = tempfile.NamedTemporaryFile(mode="w+", prefix="daemon")
        self.process = subprocess.Popen(
            ["bash", "-c", f"[ ! -e /tmp/run-commands.state ] || . /tmp/run-commands.state; {command.rstrip('& ')}"],
            cwd=CLONE, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        deadline = time.monotonic() + PATIENCE_S
        while "listening at" not in self.said():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failure("does not listen, but says\n" + self.said())
            time.sleep(0.1)

    def said(self):
        return Path(self.log.name).read_text()

    def stop(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(60)


class Page:
    def __init__(self, name):
        self.name = name
        self.daemon = None
        self.ran = self.compared = 0
        self.otherwise = []

    def is_in(self, table, command):
        return any(self.name == page and (command + "\n").startswith(start) for page, start in table)

    def start(self, command):
        self.stop()
        self.daemon = Daemon(command)

    def stop(self):
        if self.daemon:
            self.daemon.stop()
        self.daemon = None

    def run(self):
        """Runs all commands; says how many did not do what the text says."""
        Path("/tmp/run-commands.state").unlink(missing_ok=True)
        failed = 0
        for number, kind, lines in blocks(self.name):
            for command, expected in commands(kind, lines):
                try:
                    self.run_command(command, expected)
                except Failure as failure:
                    failed += 1
                    print(f"FAILED: {self.name}, the block at line {number}:\n$ {command}\n{failure}", flush=True)
        self.stop()
        state = f"FAILED: {failed} commands" if failed else "ok"
        print(f"{state}: {self.name}: {self.ran} commands run, of {self.compared} the output compared", flush=True)
        for command, how, why in self.otherwise:
            print(f"    not run: {command} ({why}); instead: {how}", flush=True)
        return failed

    def run_command(self, command, expected):
        for page, start, instead, argument, why in OTHERWISE:
            if page == self.name and command.startswith(start):
                problem = instead(command, argument)
                if problem:
                    raise Failure(problem)
                self.otherwise.append((command, instead.__doc__.splitlines()[0], why))
                return
        self.ran += 1
        is_nobody = self.is_in(AS_NOBODY, command)
        if re.search(r"\bzeusd serve\b", command) and "--help" not in command and not is_nobody:
            self.start(command)
            return
        plain = "./zeusd serve --mode tcp --simulate"
        with_tokens = self.is_in(WITH_TOKENS, command)
        if with_tokens:
            shell("head -c 32 /dev/zero >/tmp/a-key; chmod 600 /tmp/a-key")
            self.start(plain + " --signing-key-path /tmp/a-key")
            shell("ZEUSD_TOKEN=$(./zeusd token issue --signing-key-path /tmp/a-key --user alice"
                  " --scope gpu-read,gpu-control,cpu-read --expires 7d)")
        is_stream = "curl -N" in command
        said = shell(
            re.sub(r"curl(?= )", f"curl -sS{' --max-time ' + str(STREAM_S) if is_stream else ''}", command),
            "setpriv --reuid 65534 --regid 65534 --clear-groups" if is_nobody else "")
        if with_tokens:
            self.start(plain)
        shows_error = expected and any(line.startswith("error: ") for line in expected)
        if said.returncode != (1 if shows_error else 0) and not (is_stream and said.returncode in (28, 124)):
            raise Failure(f"ended with {said.returncode}:\n{said.stdout}")
        if expected is not None:
            self.compared += 1
            output = said.stdout.replace("curl: (28) Operation timed out", "") if is_stream else said.stdout
            output = "\n".join(line for line in output.splitlines() if not line.startswith(" after ")) if is_stream else output
            check_output(expected, output, is_stream)


def check_options():
    """What else is written of zeusd's command line has to be taken by it: with --help nothing runs."""
    found, failed = [], 0
    sources = [*PAGES, "packaging/Dockerfile", "packaging/docs/more.adoc", "packaging/systemd/zeusd.default",
               "packaging/prometheus/prometheus.yml"]
    for source in [*sources, *(str(p.relative_to(ROOT)) for p in ROOT.glob("packaging/kubernetes/*.yaml"))]:
        text = re.sub(r"\\\n#? *", " ", (ROOT / source).read_text())
        found += [(source, "serve " + options) for options in re.findall(r'^#?ZEUSD_OPTS="(.*)"$', text, re.M)]
        if source.endswith(".md"):
            text = "\n".join(re.findall(r"`([^`\n]+)`", text))
        found += [
            (source, line)
            for line in re.findall(r"^[# ]*(?:[\w./:-]+ .*)?zeusd ((?:serve|token issue)(?: .*)?)$", text, re.M)
        ]
    for source, line in found:
        words = [word for word in shlex.split(line.split(")")[0]) if word not in ("...", "&")]
        said = shell(" ".join(map(shlex.quote, ["./zeusd", *words, *([] if "--help" in words else ["--help"])])))
        if said.returncode:
            failed += 1
            print(f"FAILED: {source}: zeusd {line}\n{said.stdout}", flush=True)
    if not failed:
        print(f"ok: {len(found)} other command lines of zeusd that are written somewhere", flush=True)
    return failed


def make_machine():
    """An overlay of this one, with a copy of the checkout in it, for this process and its children."""
    folder = tempfile.mkdtemp(prefix="run-commands")
    script = f"""
        set -e
        mount --make-rprivate /
        mount -t tmpfs none {folder}
        cd {folder}
        mkdir up work root
        mount -t overlay overlay -o lowerdir=/,upperdir=up,workdir=work root
        mount -t proc proc root/proc
        mount --rbind /dev root/dev
        mount --rbind /sys root/sys
        mount -t tmpfs none root/run
        mount -t tmpfs none root/tmp
        ip link set lo up 2>/dev/null || ifconfig lo up
        mkdir -p root{CLONE}
        (cd {ROOT} && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t {folder}/root{CLONE})
        if [ "$1" = --built ]; then
          shift
          mkdir root{CLONE}/zeusd-cli/target
          cp -a {ROOT}/zeusd-cli/target/app root{CLONE}/zeusd-cli/target/
          touch root{CLONE}/zeusd-cli/target/app/.built
        fi
        (cd root{CLONE}/zeusd-ffm && sh src/test/c/build.sh {folder}/root/usr/lib)
        [ -e root/usr/bin/sudo ] || {{ printf '#!/bin/sh\\nexec "$@"\\n' >root/usr/bin/sudo; chmod 755 root/usr/bin/sudo; }}
        exec chroot root /usr/bin/env -u JAVA_HOME python3 {CLONE}/docs/run-commands.py --inside "$@"
    """
    # Killed, this ends what is inside, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "sh", "-c", script, "sh"]
    try:
        status = subprocess.run(command + sys.argv[1:]).returncode
    finally:
        os.rmdir(folder)
    sys.exit(status)


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["--print"]:
        page, words = arguments[1:]
        [lines] = [lines for _, _, lines in blocks(page) if lines and words in lines[0]]
        print("\n".join(lines))
        return
    if arguments[:1] != ["--inside"]:
        make_machine()
    subprocess.run(["ldconfig"], check=True)
    failed = sum(Page(page).run() for page in arguments[1:] or PAGES) + check_options()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
