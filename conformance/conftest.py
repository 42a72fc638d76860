from __future__ import annotations

import base64
import os
import subprocess
import time
from pathlib import Path

import pytest
import zeus

from nodes import DAEMON, IS_PEER, OURS, PEER, RAPL_AT_SYS, Daemon, RaplTree


def pytest_report_header() -> str:
    version = subprocess.run([DAEMON, "--version"], capture_output=True, text=True).stdout.strip()
    return f"zeus {zeus.__version__} from PyPI against {'the Rust' if IS_PEER else 'our'} {version}: {DAEMON}"



def ours_only(reason: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(IS_PEER, reason="not on the Rust zeusd: " + reason)


def wait_for(condition, seconds: float = 30):
    """Waits for a true value and returns it."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return value


def wait_for_value(read, expected: list[float]) -> None:
    """Waits for CPU power of 10 % around that: on a busy machine single readings of the tree are late."""
    wait_for(lambda: read() == pytest.approx(expected, rel=0.1))


class Meter:
    """Checks energy between two requests against the power in the tree, however long they took."""

    def __init__(self, read) -> None:
        self._read = read
        self._begin, self.first, self._after_first = time.monotonic(), read(), time.monotonic()

    def check(self, pick, watts: float, unit: float) -> None:
        """The second request; pick takes the counter from an answer; unit is how many of it are a joule."""
        begin, second, end = time.monotonic(), self._read(), time.monotonic()
        used = (pick(second) - pick(self.first)) / unit
        late = 0.05  # of the thread that writes the tree
        assert watts * (begin - self._after_first - late) <= used <= watts * (end - self._begin + late)


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("node")
    # This process has the same GPUs as the daemons: ZeusdNVIDIAGPU reads through NVML by itself.
    os.environ["FAKE_NVML_STATE"] = str(folder / "nvml")
    return folder


@pytest.fixture(scope="session")
def tree(folder):
    tree = RaplTree(Path(RAPL_AT_SYS or folder / "rapl"))
    yield tree
    tree.close()


@pytest.fixture(scope="session")
def shared(folder, tree):
    """Daemons that live as long as the session: all on the same GPUs and CPUs."""
    daemons = {}

    def get(name: str, *options: str, transport: str = "tcp") -> Daemon:
        if name not in daemons:
            daemons[name] = Daemon(
                folder / name, *options, transport=transport, rapl=tree, state=folder / "nvml"
            )
        daemons[name].nvml.reset()
        return daemons[name]

    yield get
    for daemon in daemons.values():
        daemon.stop()


@pytest.fixture(params=["tcp", "uds"])
def daemon(shared, request) -> Daemon:
    """An open daemon with all groups."""
    return shared(request.param, transport=request.param)


@pytest.fixture
def environment(monkeypatch):
    """Sets what a user would export."""

    def export(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return export


@pytest.fixture
def cpus(tree) -> RaplTree:
    """For cases that need the daemon to see CPUs."""
    if IS_PEER and not RAPL_AT_SYS:
        pytest.skip("the Rust zeusd reads /sys/class/powercap only, and this machine lets us mount nothing there")
    return tree


@pytest.fixture
def cpus_at_sys(tree) -> RaplTree:
    """For cases that need the client to see CPUs."""
    if not RAPL_AT_SYS:
        pytest.skip("the client looks into /sys/class/powercap, and this machine lets us mount nothing there")
    return tree


@pytest.fixture
def start(tmp_path):
    """Starts further daemons, each with GPUs of its own."""
    daemons = []

    def start(*options: str, **kwargs) -> Daemon:
        daemons.append(Daemon(tmp_path / f"zeusd{len(daemons)}", *options, **kwargs))
        return daemons[-1]

    yield start
    for daemon in daemons:
        daemon.stop()


@pytest.fixture(scope="session")
def key(folder) -> Path:
    """A signing key as the documentation has it made: openssl rand -base64 32 > signing.key"""
    path = folder / "signing.key"
    path.touch(0o600)
    path.write_bytes(base64.b64encode(os.urandom(32)) + b"\n")
    return path


@pytest.fixture
def locked(shared, key) -> Daemon:
    """A daemon that wants tokens."""
    return shared("locked", "--signing-key-path", str(key))


def _issue(executable: str, key: Path, scope: str, expires: str) -> str:
    command = [executable, "token", "issue", "--signing-key-path", str(key), "--user", "alice"]
    command += ["--scope", scope, "--expires", expires]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="session", params=["ours", "peer"])
def issue(request, key):
    """Mints a token with our executable and with the peer's, whichever daemon is tested."""
    executable = OURS if request.param == "ours" else PEER
    if not executable:
        pytest.skip("no peer to mint a token")
    tokens = {}

    def issue(scope: str, expires: str = "7d") -> str:
        if (scope, expires) not in tokens:
            tokens[scope, expires] = _issue(executable, key, scope, expires)
        return tokens[scope, expires]

    return issue
