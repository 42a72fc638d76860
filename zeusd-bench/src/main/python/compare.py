"""`zeusd-bench/run compare`: measures daemons side by side and prints a table in Markdown."""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

from rows import NAMES, SETUPS, Effort, GET_POWER, named
from servers import BenchError, FakeDriver, Load, Server, free_tcp_address, output
from table import facts, number, table

# Longer than a thread waits for its turn on a machine that is merely busy with this.
STALL_SECONDS = 0.5
MAX_REPEATS = 30


def say(text):
    print(text, file=sys.stderr, flush=True)


class StallWatch(threading.Thread):
    """Notices when the whole machine stands still, as a virtual one does that its host pauses: then a
    thread that only sleeps wakes up far too late. What was measured meanwhile is nobody's doing."""

    def __init__(self):
        super().__init__(daemon=True)
        self.longest = 0
        self.start()

    def run(self):
        while True:
            start = time.monotonic()
            time.sleep(0.02)
            self.longest = max(self.longest, time.monotonic() - start)

    def take_longest(self):
        """The longest time without a wake-up since this was asked last."""
        longest, self.longest = self.longest, 0
        return longest


class Launcher:
    """Starts the servers, each with a socket and files of its own in one scratch folder."""

    def __init__(self, native_dir, fake_nvml_dir, scratch):
        self.native_dir, self.fake_nvml_dir, self.scratch = native_dir, fake_nvml_dir, scratch
        self.started = 0
        self.key = os.path.join(scratch, "signing.key")
        with open(os.open(self.key, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write("0123456789abcdef0123456789abcdef\n")

    def daemon(self, executable, setup):
        """A daemon that is ready."""
        address = self._address(setup)
        command, headers = [executable, "serve", "--enable", setup.groups], []
        command += ["--mode", "tcp", "--tcp-bind-address"] if setup.is_tcp else ["--mode", "uds", "--socket-path"]
        command += [address]
        if setup.has_auth:
            command += ["--signing-key-path", self.key]
            issue = ["token", "issue", "--signing-key-path", self.key, "--user", "bench"]
            token = output(executable, *issue, "--scope", "gpu-read", "--expires", "1h")
            headers = ["Authorization: Bearer " + token]
        return self._start(command, setup, address, headers)

    def echo(self, setup, response_bytes):
        """The floor: an echo server that is ready, whose responses have so many bytes."""
        address = self._address(setup)
        command = [os.path.join(self.native_dir, "echo"), address, str(int(response_bytes))]
        return self._start(command, setup, address, [])

    def _address(self, setup):
        self.started += 1
        return free_tcp_address() if setup.is_tcp else os.path.join(self.scratch, f"{self.started}.sock")

    def _start(self, command, setup, address, headers):
        files = os.path.join(self.scratch, str(self.started))
        driver = FakeDriver(self.fake_nvml_dir, files + ".state", setup.gpus, setup.power)
        server = Server(command, driver, address, files + ".log", headers)
        if setup.call_micros:
            driver.delay_calls(setup.call_micros)
        return server


class Comparison:
    """Measures rows: the servers run at the same time, one of them is under load, in turns A B A B."""

    def __init__(self, launcher, load, effort, contenders):
        self.launcher, self.load, self.effort, self.contenders = launcher, load, effort, contenders
        self.stalls = StallWatch()
        self.repeats = 0
        self.measured = {}  # by row's name and column, a list of measurements
        self.failures = {}

    def run(self, rows):
        for setup in SETUPS:
            together = [row for row in rows if row.setup is setup]
            if setup.in_new_process:
                for row in together:
                    self._measure_new_processes(row)
            elif together:
                self._measure_together(setup, together)

    def _measure_new_processes(self, row):
        for turn in range(1, self.effort.turns + 1):
            for column, executable in self.contenders.items():
                done = False
                while not done:
                    with self.launcher.daemon(executable, row.setup) as server:
                        self._warm_up(row, column, server)
                        done = self._measure(row, turn, column, server)

    def _measure_together(self, setup, rows):
        with contextlib.ExitStack() as stack:
            servers = {
                column: stack.enter_context(self.launcher.daemon(executable, setup))
                for column, executable in self.contenders.items()
            }
            if any(row.has_floor for row in rows):
                response = self.load.run(servers["A"], "serial", GET_POWER, "-n", 1)
                servers["floor"] = stack.enter_context(self.launcher.echo(setup, response["bytes"]))
            for row in rows:
                self._take_turns(row, {c: s for c, s in servers.items() if c != "floor" or row.has_floor})

    def _take_turns(self, row, servers):
        for column, server in servers.items():
            self._warm_up(row, column, server)
            server.await_quiet()
        for turn in range(1, self.effort.turns + 1):
            for column, server in servers.items():
                done = False
                while not done:
                    done = self._measure(row, turn, column, server)
                    server.await_quiet()

    def _warm_up(self, row, column, server):
        try:
            row.workload.warm_up(self.load, self.effort, server)
        except BenchError as e:
            self._fail(row, column, e)

    def _measure(self, row, turn, column, server):
        """False if it is to be done once more: the machine stood still."""
        place = row.name, column
        if place in self.failures:
            return True
        self.stalls.take_longest()
        problem = None
        try:
            measurement = row.workload.measure(self.load, self.effort, server)
        except BenchError as e:
            problem = e
        stalled = self.stalls.take_longest()
        if stalled >= STALL_SECONDS and self.repeats < MAX_REPEATS:
            self.repeats += 1
            say(f"{row.name}, turn {turn}, {column}: once more, the machine stood still for {stalled:.1f} s")
            return False
        if problem:
            self._fail(row, column, problem)
            return True
        self.measured.setdefault(place, []).append(measurement)
        shown = [f"{f.title} {number(f.value(measurement))} {f.unit}" for f in row.figures]
        say(f"{row.name}, turn {turn}, {column}: {', '.join(shown)}")
        return True

    def _fail(self, row, column, why):
        """What the server has in this row by now does not count."""
        self.measured.pop((row.name, column), None)
        self.failures[row.name, column] = f"{row.name}, {column}: {why}"
        say(self.failures[row.name, column])


@contextlib.contextmanager
def wakeful_cpus(program):
    """Keeps the CPUs from sleeping meanwhile; awake.c says what that is good for."""
    process = subprocess.Popen([program])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def positive(kind):
    """The type of an option that is a number above 0."""

    def parse(text):
        value = kind(text)
        if value <= 0:
            raise ValueError
        return value

    parse.__name__ = "positive number"
    return parse


def options():
    parser = argparse.ArgumentParser(
        prog="zeusd-bench/run compare",
        allow_abbrev=False,
        description="Measures daemon A, and daemon B if there is one, on the same fake GPUs, in turns A B A B, and"
        " prints a table of medians, with the least and the greatest of the turns. The rows set-power-limit and"
        " slow-driver need root, as daemons do that change GPU settings.",
    )
    add = parser.add_argument
    add("--a", metavar="EXECUTABLE", required=True, help="daemon A (if left out: the image made of this checkout)")
    add(
        "--b",
        metavar="EXECUTABLE",
        help="daemon B (if left out: the newest zeusd 0.5 of crates.io, built once, if cargo is there)",
    )
    add("--alone", action="store_true", help="measure A alone")
    add(
        "--rows",
        metavar="ROW[,ROW...]",
        action="append",
        help=f"only these: names, or their beginnings ({', '.join(NAMES)})",
    )
    add("--turns", metavar="N", type=positive(int), default=5, help="turns of each daemon (%(default)s)")
    add("--seconds", metavar="S", type=positive(float), default=2, help="how long one turn of requests takes (%(default)s)")
    add(
        "--stream-seconds",
        metavar="S",
        type=positive(float),
        default=4,
        help="how long one turn of streams or slow driver calls takes (%(default)s)",
    )
    add("--warm-up", metavar="N", type=positive(int), default=20_000, help="requests before a row's first turn (%(default)s)")
    add(
        "--load-niceness",
        metavar="N",
        type=int,
        default=0,
        help="niceness of the load generator, on top of our own (%(default)s); -10 keeps the daemons from"
        " delaying it where cores are few",
    )
    add(
        "--keep-awake",
        action="store_true",
        help="let no CPU sleep meanwhile: for virtual machines, where waking one takes longer than answering a"
        " request",
    )
    add("--native-dir", required=True, help=argparse.SUPPRESS)  # both are set by zeusd-bench/run
    add("--fake-nvml-dir", required=True, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    try:
        chosen.rows = named(",".join(chosen.rows or NAMES).split(","))
    except ValueError as e:
        parser.error(f"--rows: {e}")
    return chosen


def compare(chosen):
    """Returns the exit status."""
    contenders = {"A": chosen.a}
    if chosen.b and not chosen.alone:
        contenders["B"] = chosen.b
    about = facts(contenders) + ("\n- no CPU slept" if chosen.keep_awake else "")
    awake = wakeful_cpus(os.path.join(chosen.native_dir, "awake")) if chosen.keep_awake else contextlib.nullcontext()
    with tempfile.TemporaryDirectory(prefix="zeusd-bench") as scratch, awake:
        comparison = Comparison(
            Launcher(chosen.native_dir, chosen.fake_nvml_dir, scratch),
            Load(os.path.join(chosen.native_dir, "load"), chosen.load_niceness),
            Effort(chosen.turns, chosen.seconds, chosen.stream_seconds, chosen.warm_up),
            contenders,
        )
        comparison.run(chosen.rows)
    print(f"{about}\n\n{table(comparison.measured, chosen.rows)}")
    for failure in comparison.failures.values():
        say(failure)
    return 1 if comparison.failures else 0


def main():
    """Exit status: 0, 1 if something could not be measured, 2 for a wrong command line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are ended, too
    try:
        return compare(options())
    except BenchError as e:
        say(f"compare: {e}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
