"""What the checks beside this file share: a simulated zeusd, ports, waiting, and how to fail."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Daemon:
    """`zeusd serve --simulate` with these options, until the end of the `with`."""

    def __init__(self, image: str, *options: str):
        self.folder = tempfile.TemporaryDirectory()
        # The options may name another place.
        state = [] if "--state-dir" in options else ["--state-dir", self.folder.name + "/state"]
        command = [os.path.join(image, "bin", "zeusd"), "serve", "--simulate", *state, *options]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *unused) -> None:
        end(self.process)
        self.folder.cleanup()


def end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()


def check(condition, what) -> None:
    if not condition:
        sys.exit(f"failed: {what}")


def wait_until(what: str, condition, seconds: float = 60):
    """The first value of `condition` that is not false; it may throw meanwhile."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            value = condition()
            if value:
                return value
            last = value
        except OSError as e:
            last = e
        if time.monotonic() > deadline:
            sys.exit(f"not within {seconds} s: {what}: {last}")
        time.sleep(0.1)


def accepts(path: str):
    """Whether somebody listens at a Unix socket, whose file is there a moment before."""

    def condition():
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
        return True

    return condition


def answers(url: str):
    return lambda: urllib.request.urlopen(url, timeout=5).status == 200
