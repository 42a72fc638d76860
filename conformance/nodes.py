"""What a test needs around a client: a fake GPU driver, a RAPL tree, daemons."""

from __future__ import annotations

import mmap
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import zeus
from zeus.utils.zeusd import ZeusdConfig

OURS = os.environ["CONFORMANCE_OURS"]
PEER = os.environ["CONFORMANCE_PEER"]
IS_PEER = os.environ["CONFORMANCE_DAEMON"] == "peer"
DAEMON = PEER if IS_PEER else OURS
SNAPSHOT = tuple(int(n) for n in zeus.__version__.split(".")[:2]) < (0, 16)
RAPL_AT_SYS = os.environ.get("CONFORMANCE_RAPL")

CONSTANT, COUNTING = 0, 2
GPUS = 4
INVALID_ARGUMENT, NOT_SUPPORTED, NO_PERMISSION, GPU_IS_LOST = 2, 3, 4, 15
GET_FIELD_VALUES, SET_POWER_LIMIT, SET_PERSISTENCE_MODE = 8, 12, 16
SETTERS = (12, 16, 17, 18, 19, 20)


class FakeNvml:
    """The control file of zeusd-ffm/src/test/c/fake_nvml.c, which holds the table of its layout."""

    def __init__(self, path: Path) -> None:
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 131072)

    def _at(self, gpu: int, offset: int) -> int:
        return 4096 + gpu * 4096 + offset

    def get(self, gpu: int, offset: int, kind: str = "I") -> int:
        return struct.unpack_from("<" + kind, self._map, self._at(gpu, offset))[0]

    def set(self, gpu: int, offset: int, value: int, kind: str = "I") -> None:
        struct.pack_into("<" + kind, self._map, self._at(gpu, offset), value)

    def power(self, gpu: int, mw: int, source: int = CONSTANT) -> None:
        self.set(gpu, 264, mw, "Q")
        self.set(gpu, 304, 0, "Q")
        self.set(gpu, 260, source)

    def energy(self, gpu: int, mj: int) -> None:
        self.set(gpu, 328, mj, "Q")
        self.set(gpu, 320, 1)

    def limit(self, gpu: int) -> int:
        return self.get(gpu, 336)

    def persistence(self, gpu: int) -> bool:
        return self.get(gpu, 352) == 1

    def gpu_clocks(self, gpu: int) -> tuple[int, int]:
        return self.get(gpu, 356), self.get(gpu, 360)

    def mem_clocks(self, gpu: int) -> tuple[int, int]:
        return self.get(gpu, 364), self.get(gpu, 368)

    def fail(self, gpu: int, call: int, error: int) -> None:
        self.set(gpu, 2048 + call * 32, error)

    def calls(self, call: int) -> int:
        return sum(self.get(gpu, 2048 + call * 32 + 8, "Q") for gpu in range(GPUS))

    def writes(self) -> int:
        return sum(self.calls(call) for call in SETTERS)

    def reset(self) -> None:
        """Back to the driver's defaults; power changes with every reading, as on a busy GPU."""
        for gpu in range(GPUS):
            for call in range(21):
                self.fail(gpu, call, 0)
            for offset, value in ((320, 0), (336, 300000), (352, 0), (356, 0), (360, 0), (364, 0), (368, 0)):
                self.set(gpu, offset, value)
            self.power(gpu, 100000 * (gpu + 1), COUNTING)


class RaplTree:
    """A powercap folder whose counters a thread advances by the clock: two packages, one with DRAM."""

    MAX_UJ = 262143328850
    ZONES = {  # zone: name, watts
        "intel-rapl:0": ("package-0", 50.0),
        "intel-rapl:0/intel-rapl:0:0": ("core", 30.0),
        "intel-rapl:0/intel-rapl:0:1": ("dram", 8.0),
        "intel-rapl:1": ("package-1", 70.0),
    }

    def __init__(self, path: Path, factor: float = 1.0) -> None:
        self.path = path
        self.watts = {zone: watts * factor for zone, (_, watts) in self.ZONES.items()}
        self._start = time.monotonic()
        self._stop = threading.Event()
        self._shift = dict.fromkeys(self.ZONES, 100_000_000_000)
        self._fds = {}
        for zone, (name, _) in self.ZONES.items():
            folder = path / zone
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "name").write_text(name + "\n")
            (folder / "max_energy_range_uj").write_text(f"{self.MAX_UJ}\n")
            self._fds[zone] = os.open(folder / "energy_uj", os.O_CREAT | os.O_WRONLY)
        self._write()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def energy_uj(self, zone: str) -> int:
        """The counter as it is now, wraps not compensated."""
        elapsed = time.monotonic() - self._start
        return int(self._shift[zone] + self.watts[zone] * elapsed * 1e6) % self.MAX_UJ

    def wrap_in(self, zone: str, seconds: float) -> None:
        """Moves the counter forward, so that it wraps after that time."""
        self._shift[zone] += self.MAX_UJ - self.energy_uj(zone) - int(self.watts[zone] * seconds * 1e6)
        self._write()

    def _write(self) -> None:
        # In place, as sysfs files are: a daemon may keep them open. Of one width, so nothing is cut.
        for zone, fd in self._fds.items():
            os.pwrite(fd, b"%012d\n" % self.energy_uj(zone), 0)

    def _run(self) -> None:
        while not self._stop.wait(0.002):
            self._write()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for fd in self._fds.values():
            os.close(fd)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Daemon:
    """One zeusd process on a port or socket of its own."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        transport: str = "tcp",
        rapl: RaplTree | None = None,
        state: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.transport = transport
        self.port = free_port()
        self.socket = folder / "zeusd.sock"
        self.state = state or folder / "nvml"
        self._log = folder / "log"
        self.args = [DAEMON, "serve"]
        if transport == "tcp":
            self.args += ["--mode", "tcp", "--tcp-bind-address", f"127.0.0.1:{self.port}"]
        else:
            self.args += ["--socket-path", str(self.socket), "--socket-permissions", "666"]
        if not IS_PEER:
            self.args += ["--state-dir", str(folder / "state")]
            if SNAPSHOT:
                self.args += ["--stream-format", "snapshot"]
            if rapl and str(rapl.path) != RAPL_AT_SYS:  # else it has to find that by itself
                self.args += ["--rapl-dir", str(rapl.path)]
        self.args += options
        self.start()
        self.nvml = FakeNvml(self.state)
        self.nvml.reset()

    def config(self, **options) -> ZeusdConfig:
        if self.transport == "tcp":
            return ZeusdConfig.tcp("127.0.0.1", self.port, **options)
        return ZeusdConfig.uds(str(self.socket), **options)

    @property
    def endpoint(self) -> str:
        return self.config().endpoint

    @property
    def env(self) -> dict[str, str]:
        """What a user sets to make Zeus find this daemon."""
        name = "ZEUSD_HOST_PORT" if self.transport == "tcp" else "ZEUSD_SOCK_PATH"
        return {name: self.endpoint}

    def start(self) -> None:
        env = {**os.environ, "FAKE_NVML_STATE": str(self.state), "FAKE_NVML_GPUS": str(GPUS)}
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(self.args, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise AssertionError(f"{' '.join(self.args)} did not start:\n{self._log.read_text()}")
            time.sleep(0.05)

    def _listens(self) -> bool:
        tcp = self.transport == "tcp"
        with socket.socket(socket.AF_INET if tcp else socket.AF_UNIX) as s:
            return s.connect_ex(("127.0.0.1", self.port) if tcp else str(self.socket)) == 0

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(how)
        self._process.wait(30)
        if IS_PEER:  # it leaves its socket behind, and then does not start
            self.socket.unlink(missing_ok=True)
