"""What a measurement runs: a server on its fake driver, and the load on it."""

import os
import socket
import struct
import subprocess
import time

START_SECONDS = 60
STOP_SECONDS = 5
QUIET_SECONDS = 0.1
QUIET_LIMIT_SECONDS = 5
# On top of what a run is meant to take; a daemon that answers nothing for so long has failed.
PATIENCE_SECONDS = 120

# In the fake driver's control file: fake_nvml.c says how it is laid out.
FIRST_SLOT, SLOT_BYTES, FIRST_CALL, CALL_BYTES, DELAY_OFFSET = 4096, 4096, 2048, 32, 4
DEVICE_CALLS = range(5, 21)  # those that are made on a device that has been found


class BenchError(Exception):
    """A measurement that could not be made; the message says why."""


def output(*command):
    """What a program prints."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except OSError as e:
        raise BenchError(f"cannot run {command[0]}: {e.strerror}") from e
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)} failed: {done.stdout.strip()}")
    return done.stdout.strip()


class FakeDriver:
    """The fake NVML of one daemon.

    power is constant, or counting: then every reading differs from the one before."""

    def __init__(self, library_dir, state, gpus=4, power="constant"):
        self.state, self.gpus = state, gpus
        self.environment = {
            "LD_LIBRARY_PATH": library_dir,
            "FAKE_NVML_STATE": state,
            "FAKE_NVML_GPUS": str(gpus),
            "FAKE_NVML_POWER": power,
        }

    def delay_calls(self, micros):
        """From now on, every call on a GPU takes this long; calls that wait already end by it, too."""
        with open(self.state, "r+b") as file:
            for gpu in range(self.gpus):
                for call in DEVICE_CALLS:
                    file.seek(FIRST_SLOT + gpu * SLOT_BYTES + FIRST_CALL + call * CALL_BYTES + DELAY_OFFSET)
                    file.write(struct.pack("<I", micros))


class Server:
    """A running server, a daemon or the echo server, that can be connected to; leaving it ends it.

    address is a socket's path or host and port, headers what its requests need."""

    def __init__(self, command, driver, address, log, headers=()):
        self.driver, self.address, self.log, self.headers = driver, address, log, headers
        environment = {**os.environ, **driver.environment, "NO_COLOR": "1"}
        try:
            with open(log, "wb") as said:
                self.process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        except OSError as e:
            raise BenchError(f"cannot run {command[0]}: {e.strerror}") from e
        try:
            self._await_listening()
        except BaseException:
            self.close()
            raise

    def _await_listening(self):
        deadline = time.monotonic() + START_SECONDS
        while not self._can_connect():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"does not listen at {self.address}: {self.last_words()}")
            time.sleep(0.001)

    def _can_connect(self):
        is_path = self.address.startswith("/")
        with socket.socket(socket.AF_UNIX if is_path else socket.AF_INET) as client:
            try:
                if is_path:
                    client.connect(self.address)
                else:
                    # From another one of our own addresses: a client that gets the very port that it
                    # connects to, before the server listens there, would be connected with itself.
                    client.bind(("127.0.0.2", 0))
                    host, port = self.address.split(":")
                    client.connect((host, int(port)))
                return True
            except OSError:
                return False

    @property
    def pid(self):
        return self.process.pid

    def last_words(self):
        """The last lines that it said, cut where they are long."""
        with open(self.log, encoding="latin-1") as said:
            return "\n".join(line[:200] for line in said.read().splitlines()[-5:])

    def await_quiet(self):
        """Waits until it has nothing more to do, such as compiling, or closing streams: that would be
        counted as somebody else's noise."""
        deadline = time.monotonic() + QUIET_LIMIT_SECONDS
        before, now = None, self._cpu_ticks()
        while now != before and time.monotonic() < deadline:
            time.sleep(QUIET_SECONDS)
            before, now = now, self._cpu_ticks()

    def _cpu_ticks(self):
        """Of 10 ms; what is reported, the load generator reads exactly."""
        try:
            with open(f"/proc/{self.pid}/stat") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:  # it has ended
            return 0
        return int(fields[11]) + int(fields[12])

    def close(self):
        """Ends it; one that does not end is killed."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def free_tcp_address():
    """A TCP address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % probe.getsockname()[1]


def parse(line):
    """The key=value pairs that the load generator printed."""
    try:
        return {key: float(value) for key, value in (pair.split("=") for pair in line.split())}
    except ValueError as e:
        raise BenchError(f"the load generator printed: {line}") from e


class Load:
    """The load generator, load.c, which describes the modes and options.

    niceness is added to the generator's own, as `nice -n` does; 0: none."""

    def __init__(self, program, niceness=0):
        self.command = ["nice", "-n", str(niceness), program] if niceness else [program]

    def start(self, server, mode, request, *options):
        """Starts it on a server."""
        command = [*self.command, "-p", str(server.pid)]
        for header in server.headers:
            command += ["-H", header]
        command += [*map(str, options), mode, server.address, request]
        try:
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        except OSError as e:
            raise BenchError(f"cannot run {command[0]}: {e.strerror}") from e

    def run(self, server, mode, request, *options):
        """Runs it on a server and returns what it found."""
        return self.result(self.start(server, mode, request, *options), server)

    @staticmethod
    def result(process, server):
        """What it found, at its end."""
        try:
            found, problem = process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            raise BenchError(f"no end of the load after {PATIENCE_SECONDS} s") from None
        finally:
            process.kill()
        if process.returncode != 0:
            raise BenchError(f"{problem.strip()}\n{server.last_words()}")
        return parse(found)
