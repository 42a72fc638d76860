#!/usr/bin/env python3
"""Checks what the daemon of an image tells Prometheus: packaging/prometheus/check-metrics.py IMAGE_DIR

On the fake NVML library, whose GPUs get names, UUIDs and errors at random: Prometheus' own Python parsers read
every answer, in both forms, and find the same in it; promtool has nothing to say about it; energy agrees with the
fake's integral, over a restart of the daemon, too; and ten thousand scrapes leave the daemon as a thousand did.

Needs a C compiler; installs the rest: promtool (Debian's prometheus) and the PyPI package prometheus-client.
CHECK_SEED repeats a run.
"""

import http.client
import json
import os
import random
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

from fake_gpus import GET_TOTAL_ENERGY, NAME, TEMPERATURE, UUID, FakeGpus

PLAIN, OPEN = "text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0"

MAY_FAIL = [5, 6, 7, 8, 9, 10, 11, 14, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36]
ERRORS = [0, 3, 4, 13, 15, 25, 999]


def install():
    if not shutil.which("promtool"):
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "prometheus"],
            check=True, stdout=subprocess.DEVNULL)
    target = tempfile.mkdtemp()
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--root-user-action=ignore", "--target", target,
         "prometheus-client"], check=True)
    sys.path.insert(0, target)
    return target


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)

    def ask(self, target, accept="*/*"):
        self.request("GET", target, headers={"Accept": accept})
        answer = self.getresponse()
        body = answer.read()
        assert answer.status in (200, 400, 403, 500), (target, answer.status, body)
        return body.decode()


class Daemon:
    """The image's, on a socket of its own, with its log in a file beside it."""

    def __init__(self, image, folder, fake):
        self.path = os.path.join(folder, "zeusd.sock")
        self.log = open(os.path.join(folder, "log"), "ab")
        self.process = subprocess.Popen(
            [os.path.join(image, "bin/zeusd"), "serve", "--enable", "gpu-read", "--socket-path", self.path,
             "--state-dir", os.path.join(folder, "state")],
            env=fake.environment, stderr=self.log)

    def __enter__(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                connection = Connection(self.path)
                # On a busy machine it listens before NVML has told of its GPUs.
                if len(json.loads(connection.ask("/discover"))["gpus"]) == 8:
                    return self, connection
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise TimeoutError("the daemon does not come up with 8 GPUs: " + self.log.name)
            time.sleep(0.05)

    def __exit__(self, *unused):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()

    def cpu_ms(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            return sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13])) * 1e3 / os.sysconf("SC_CLK_TCK")

    def resident_mb(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def samples(families):
    told = [
        ((sample.name, tuple(sorted((k, v) for k, v in sample.labels.items()))), sample.value)
        for family in families for sample in family.samples
    ]
    unique = dict(told)
    assert len(unique) == len(told), [key for key, _ in told if sum(key == other for other, _ in told) > 1]
    return unique


def parse(text, accept):
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
    from prometheus_client.parser import text_string_to_metric_families as parse_plain
    return samples((parse_open if accept == OPEN else parse_plain)(text))


def promtool(text):
    found = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True)
    said = (found.stdout + found.stderr).decode()
    assert found.returncode == 0 and not said.strip(), f"promtool says:\n{said}"


def random_text(rng):
    pieces = ['"', "\\", "\n", "\r", "\t", "{", "}", ",", "=", "#", " ", "a", "é", "漢", "🔥", "\u202e", "\u2028", "\x7f", "\x01"]
    text = "".join(rng.choice(pieces) for _ in range(rng.randrange(1, 20))).encode()
    if rng.random() < 0.3:
        text += bytes(rng.randrange(128, 256) for _ in range(5))
    return text


def fuzz(image, folder, fake, rng):
    for gpu in range(8):
        fake.text(gpu, NAME, random_text(rng))
        fake.text(gpu, UUID, b"GPU-" + random_text(rng))
        struct.pack_into("<i", fake.memory, fake.at(gpu, TEMPERATURE), rng.randrange(-40, 120))
        for call in MAY_FAIL:
            fake.error(gpu, call, rng.choice(ERRORS) if rng.random() < 0.25 else 0)
    for number in range(4):
        # Some are compute instances of the same GPU instance.
        name = b"NVIDIA MIG 1g.10gb" if rng.random() < 0.5 else random_text(rng)
        fake.instance(5, number, b"MIG-%d" % number + random_text(rng), name, rng.randrange(3))
    with Daemon(image, folder, fake) as (_, connection):
        for target in "/metrics?names=dcgm", "/metrics":
            plain, open_metrics = (parse(connection.ask(target, a), a) for a in (PLAIN, OPEN))
            changing = ("zeusd_requests", "zeusd_device", "zeusd_gpu_energy", "DCGM_FI_DEV_TOTAL_ENERGY")
            lasting = [{k: v for k, v in told.items() if not k[0].startswith(changing)}
                       for told in (plain, open_metrics)]
            assert lasting[0].keys() == lasting[1].keys(), lasting[0].keys() ^ lasting[1].keys()
        # Not those that NVIDIA has named: it has labels like modelName.
        promtool(connection.ask("/metrics", PLAIN))
        names = {dict(labels)["gpu"]: dict(labels)["name"] for name, labels in plain if name == "zeusd_gpu_info"}
        discovered = json.loads(connection.ask("/discover"))["gpus"]
        assert names == {str(gpu["id"]): gpu["name"] for gpu in discovered}, (names, discovered)
    return len(plain)


def energies(connection):
    return {
        int(dict(labels)["gpu"]): value
        for (name, labels), value in parse(connection.ask("/metrics", PLAIN), PLAIN).items()
        if name == "zeusd_gpu_energy_joules_total"
    }


def energy(image, folder, fake):
    with Daemon(image, folder, fake) as (_, connection):
        before = energies(connection)
        read_ns = {gpu: fake.last_read_ns(gpu, GET_TOTAL_ENERGY) for gpu in before}
        time.sleep(2)
        after = energies(connection)
        for gpu in range(8):
            seconds = (fake.last_read_ns(gpu, GET_TOTAL_ENERGY) - read_ns[gpu]) / 1e9
            expected = fake.power_mw(gpu) / 1e3 * seconds
            told = after[gpu] - before[gpu]
            assert abs(told - expected) < 0.005 * expected, (gpu, told, expected)
    with Daemon(image, folder, fake) as (_, connection):
        again = energies(connection)
    assert again.keys() == after.keys() and all(again[gpu] > after[gpu] for gpu in after), (after, again)


def many(image, folder, fake):
    """One scrape after the other. What compilers need for a moment comes and goes, 4 MB of it; a leak would not go."""
    with Daemon(image, folder, fake) as (daemon, connection):
        for _ in range(50):
            connection.ask("/gpu/get_power")
        time.sleep(1)
        resident, took = [daemon.resident_mb()], []
        for scrapes in range(1, 10_001):
            if scrapes == 9_001:
                cpu_ms = -daemon.cpu_ms()
            start = time.perf_counter()
            connection.ask("/metrics", OPEN)
            took.append(time.perf_counter() - start)
            if scrapes == 10_000:
                cpu_ms = (cpu_ms + daemon.cpu_ms()) / 1_000
            if scrapes in (1, 1_000, 10_000):
                time.sleep(3 if scrapes > 1 else 0)
                resident.append(daemon.resident_mb())
    print("resident MB before the first scrape, after 1, 1,000 and 10,000: "
          + ", ".join(f"{mb:.1f}" for mb in resident))
    print(f"8 GPUs: first scrape {took[0] * 1e3:.1f} ms, p50 of the last thousand "
          f"{statistics.median(took[-1000:]) * 1e3:.2f} ms, {cpu_ms:.2f} ms of the daemon's processor time each")
    assert resident[1] - resident[0] < 4, "the first scrape takes too much"
    assert resident[3] - resident[2] < 8, "it grows"
    # Warm, it is 1 to 2 (docs/monitoring.md), but the machine may be busy with other things.
    assert cpu_ms < 5, "a scrape costs too much"


def main():
    image = os.path.abspath(sys.argv[1])
    seed = int(os.environ.get("CHECK_SEED", random.randrange(1 << 32)))
    print("seed", seed)
    rng = random.Random(seed)
    packages = install()
    with tempfile.TemporaryDirectory() as folder:
        fake = FakeGpus(os.path.join(folder, "state"))
        energy(image, folder, fake)
        many(image, folder, fake)
        counts = [fuzz(image, folder, fake, rng) for _ in range(4)]
    shutil.rmtree(packages)
    print(f"ok: {len(counts)} daemons with GPUs made up at random, {min(counts)} to {max(counts)} samples each")


if __name__ == "__main__":
    main()
