#!/usr/bin/env python3
"""Builds and runs the programs of this folder as a stranger would: elsewhere, against installed artifacts.

Usage: docs/embedding/check.py        after `mvn -Partifacts verify`

Artifacts are put where `mvn install` would put them, but into a local repository that is gone afterwards.
The programs run on the class path and on the module path, with the fake driver of the tests; what they
print is shown and compared with what that driver does.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VERSION = re.search(r"<version>(.*)</version>", (ROOT / "pom.xml").read_text()).group(1)
LIBRARIES = ["ffm", "core", "server", "client", "testkit"]
MOST_LINES = 15
README = (HERE / "README.md").read_text()


def main():
    for program in sorted(HERE.glob("src/*/java/example/*.java")):
        lines = [line for line in program.read_text().splitlines() if line.strip()]
        expect(len(lines) <= MOST_LINES, f"{program.name} has {len(lines)} lines")
        link = f"({program.relative_to(HERE)})"
        expect(link in README, f"README.md does not name {program.name}")
        shown = README.split(link)[1].split("```java\n")[1].split("```")[0]
        other = {line.strip() for line in shown.splitlines()} - {line.strip() for line in lines}
        expect(not other, f"README.md shows what is not in {program.name}: {other}")
    print(f"ok: README.md shows the programs; none has more than {MOST_LINES} lines")
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        local = work / "repository"
        link_tree(Path.home() / ".m2/repository", local)
        install(local / "dev/zeusd")
        project = work / "project"
        shutil.copytree(HERE, project, ignore=shutil.ignore_patterns("target"))
        java_home = subprocess.check_output([ROOT / "zeusd-cli/src/checkout/find-jdk", "22"], text=True).strip()
        environment = os.environ | {"JAVA_HOME": java_home}
        subprocess.run(
            ["mvn", "-B", "-q", f"-Dmaven.repo.local={local}", "package"], cwd=project, env=environment, check=True
        )
        report = (project / "target/surefire-reports/example.DeterministicTest.txt").read_text()
        expect("Tests run: 1, Failures: 0, Errors: 0, Skipped: 0" in report, report)
        print("ok: a project elsewhere is built and tested")
        java = Path(java_home) / "bin/java"
        run_all([java, "--enable-native-access=ALL-UNNAMED", "-cp", "target/classes:target/lib/*", "example."], project)
        print("ok: the programs on the class path")
        run_all([java, "--enable-native-access=dev.zeusd.ffm", "-p", "target/classes:target/lib", "-m", "example/example."], project)
        print("ok: the programs on the module path")


def link_tree(source, target):
    """The same files at another place, and no bytes more; what is written there later is not shared."""
    subprocess.run(["cp", "-al", source, target], check=True)
    shutil.rmtree(target / "dev/zeusd", ignore_errors=True)


def install(repository):
    for module in ["parent", *LIBRARIES]:
        name = f"zeusd-{module}"
        folder = repository / name / VERSION
        folder.mkdir(parents=True)
        home = ROOT if module == "parent" else ROOT / name
        shutil.copy(home / "pom.xml", folder / f"{name}-{VERSION}.pom")
        if module != "parent":
            for kind in ["", "-sources", "-javadoc"]:
                jar = f"{name}-{VERSION}{kind}.jar"
                expect((home / "target" / jar).exists(), f"no {name}/target/{jar}: run mvn -Partifacts verify")
                shutil.copy(home / "target" / jar, folder)


def run_all(launch, project):
    """With a driver of four GPUs, which draw 75, 85, 95 and 105 W, with a power limit of 300 W."""
    state = project / "driver.state"
    state.unlink(missing_ok=True)
    environment = os.environ | {
        "LD_LIBRARY_PATH": str(ROOT / "zeusd-ffm/target/fake-nvml"),
        "FAKE_NVML_STATE": str(state),
    }

    def start(program, **options):
        command = [*launch[:-1], launch[-1] + program]
        return subprocess.Popen(
            command, cwd=project, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
        )

    def output_of(program):
        out, err = start(program).communicate(timeout=120)
        print(f"{program}:\n{out}{err}", end="")
        return out

    said = output_of("PrintPower")
    expect(all(f"{gpu} NVIDIA Fake GPU: {75000 + 10000 * gpu} mW\n" in said for gpu in range(4)), said)
    said = output_of("EnergyOfBlock")
    joules = [float(number) for number in re.findall(r"GPU \d: ([\d.]+) J", said)]
    seconds = float(re.search(r" in PT([\d.]+)S", said).group(1))
    # Each device is read some time before the second that is slept, and some time after it.
    watts = [75 + 10 * gpu for gpu in range(4)]
    expect(all(0.99 * w <= j <= 1.01 * w * seconds for w, j in zip(watts, joules)), said)
    expect(len(joules) == 4, said)
    said = output_of("LimitForBlock")
    expect(re.fullmatch(r"by lease \d+ of process \d+: 200000 mW\nafter it: 300000 mW\n", said), said)
    with start("ServerInProcess", stdin=subprocess.PIPE) as server:
        url = server.stdout.readline().strip()
        deadline = time.monotonic() + 60
        said = ""
        # Like the daemon, it does not wait for the driver.
        while '"3":' not in said and time.monotonic() < deadline:
            said = get(url)
        print(f"ServerInProcess:\n{url}\n{said}")
        server.stdin.close()
        expect(server.wait(30) == 0, server.stderr.read())
    expect('"power_mw":{"0":75000,"1":85000,"2":95000,"3":105000}' in said, said)


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.read().decode()


def expect(holds, otherwise):
    if not holds:
        sys.exit(f"check.py: {otherwise}")


if __name__ == "__main__":
    main()
