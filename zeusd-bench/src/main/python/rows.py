"""All rows that there are; docs/performance.md describes each."""

import time
from dataclasses import dataclass
from typing import Any, Callable, Tuple

GET_POWER = "GET /gpu/get_power"
STREAM_POWER = "GET /gpu/stream_power"
SET_POWER_LIMIT = "POST /gpu/set_power_limit?gpu_ids=0,1,2,3&power_limit_mw=250000&block=true"
HZ = 20  # the daemons' default


@dataclass(frozen=True)
class Setup:
    """How a daemon is started. Rows with the same setup are measured on the same processes."""

    name: str
    groups: str = "gpu-read"
    power: str = "constant"
    gpus: int = 4
    call_micros: int = 0
    is_tcp: bool = False
    has_auth: bool = False
    in_new_process: bool = False  # for every turn


UNIX_SOCKET = Setup("unix socket")
TCP = Setup("tcp", is_tcp=True)
AUTH = Setup("auth", has_auth=True)
WRITES = Setup("writes", groups="gpu-read,gpu-control")  # takes root
STREAMS = Setup("streams", power="counting")
SLOW_READS = Setup("slow reads", power="counting", gpus=8, call_micros=300)
NEW_PROCESS = Setup("new process", in_new_process=True)
SETUPS = [UNIX_SOCKET, TCP, AUTH, WRITES, STREAMS, SLOW_READS, NEW_PROCESS]


@dataclass(frozen=True)
class Effort:
    """How much is measured: turns of each server, the length of a turn of requests, that of one in which
    something has to happen first (streams, slow driver calls), and requests before the first turn."""

    turns: int
    seconds: float
    stream_seconds: float
    warm_up: int


# ---- What is done to a server: warm_up, untimed, before its first turn, and measure in each.


@dataclass(frozen=True)
class Requests:
    """The same request over and over; the mode is one of load.c's."""

    mode: str
    connections: int
    request: str

    def warm_up(self, load, effort, server):
        load.run(server, self.mode, self.request, "-c", self.connections, "-n", effort.warm_up)

    def measure(self, load, effort, server):
        return load.run(server, self.mode, self.request, "-c", self.connections, "-s", effort.seconds)


@dataclass(frozen=True)
class Streams:
    """Subscribers of all GPUs' power, whose values all change with every reading."""

    subscribers: int
    gpus: int

    def warm_up(self, load, effort, server):
        # What is written to a subscriber at a time counts as a request; with few of them it would take
        # minutes. What happens once a tick is no matter of how many there are.
        load.run(server, "stream", STREAM_POWER, "-c", 1000, "-n", effort.warm_up * self.gpus)
        seconds = min(20, 5 * effort.stream_seconds)
        load.run(server, "stream", STREAM_POWER, "-c", self.subscribers, "-s", seconds)

    def measure(self, load, effort, server):
        settle = min(1, effort.stream_seconds)
        options = "-c", self.subscribers, "-w", settle, "-s", effort.stream_seconds
        return load.run(server, "stream", STREAM_POWER, *options)

    def delivered_percent(self, measured):
        return 100 * measured["per_second"] / (self.subscribers * self.gpus * HZ)


@dataclass(frozen=True)
class SlowDriver:
    """Short requests while all GPUs take long for everything, and some clients wait for them."""

    def warm_up(self, load, effort, server):
        load.run(server, "serial", "GET /time", "-n", effort.warm_up)

    def measure(self, load, effort, server):
        server.driver.delay_calls(300_000)
        writing = load.start(server, "many", SET_POWER_LIMIT, "-c", 8, "-s", 3600)
        try:
            time.sleep(0.3)
            measured = load.run(server, "paced", "GET /time", "-z", 200, "-s", effort.stream_seconds)
            if writing.poll() is not None:  # what was to happen meanwhile has not: says why
                load.result(writing, server)
            return measured
        finally:
            writing.kill()
            writing.communicate()
            server.driver.delay_calls(0)


@dataclass(frozen=True)
class FirstRequests:
    """The first requests that a process gets."""

    def warm_up(self, load, effort, server):
        pass

    def measure(self, load, effort, server):
        return load.run(server, "serial", GET_POWER, "-n", 100)


@dataclass(frozen=True)
class IdleSubscribers:
    """Subscribers of power that stays the same, in a process that has done other work before."""

    subscribers: int

    def warm_up(self, load, effort, server):
        load.run(server, "serial", GET_POWER, "-n", effort.warm_up)

    def measure(self, load, effort, server):
        return load.run(server, "stream", STREAM_POWER, "-c", self.subscribers, "-s", effort.stream_seconds)

    def kib_each(self, measured):
        """What one of them takes of the daemon's resident memory."""
        return (measured["rss_after_kib"] - measured["rss_before_kib"]) / self.subscribers


# ---- The rows


@dataclass(frozen=True)
class Goal:
    """What a figure is to reach: "<=" or ">=" the limit, of A as it is, or divided by B or the floor."""

    sign: str
    limit: float
    of: str = "A"

    def is_reached(self, ratio):
        return ratio <= self.limit if self.sign == "≤" else ratio >= self.limit

    def __str__(self):
        return f"{self.sign} {self.limit}" + ("" if self.of == "A" else f" × {self.of}")


@dataclass(frozen=True)
class Figure:
    """What a row shows of its measurements; value takes it out of one of them."""

    title: str
    unit: str
    value: Callable[[dict], float]
    goals: Tuple[Goal, ...] = ()


@dataclass(frozen=True)
class Row:
    """Something that is measured; has_floor: the echo server gets the same load."""

    name: str
    title: str
    setup: Setup
    workload: Any
    figures: Tuple[Figure, ...]
    has_floor: bool = False


AT_MOST_B = Goal("≤", 1.0, "B")


def micros(title, key, *goals):
    return Figure(title, "µs", lambda measured: measured[key], goals)


def millis(title, key, *goals):
    return Figure(title, "ms", lambda measured: measured[key] / 1000, goals)


def per_second(*goals):
    return Figure("requests per second", "1/s", lambda measured: measured["per_second"], goals)


def streams(name, subscribers, setup, most_cpu, *lag_goals):
    workload = Streams(subscribers, setup.gpus)
    slow = ", reads of 300 µs" if setup is SLOW_READS else ""
    figures = (
        micros("server CPU per delivered sample", "cpu_us", Goal("≤", most_cpu, "B")),
        millis("p99 of arrival − timestamp_ms", "p99_us", *lag_goals),
        Figure("delivered", "%", workload.delivered_percent),
    )
    return Row(name, f"streams, {subscribers} × {setup.gpus} GPUs × {HZ} Hz{slow}", setup, workload, figures)


IDLE = IdleSubscribers(1000)
GROWTH = "growth"  # stands for the rows that its line is made of
GROWING = ["streams-10", "streams-100", "streams-1000"]
ROWS = [
    Row(
        "get-power-uds",
        "GET get_power, 1 keep-alive connection, Unix socket",
        UNIX_SOCKET,
        Requests("serial", 1, GET_POWER),
        (micros("p50", "p50_us", AT_MOST_B, Goal("≤", 1.5, "floor")), micros("p99", "p99_us", AT_MOST_B)),
        has_floor=True,
    ),
    Row(
        "get-power-tcp",
        "GET get_power, 1 keep-alive connection, TCP",
        TCP,
        Requests("serial", 1, GET_POWER),
        (micros("p50", "p50_us", AT_MOST_B), micros("p99", "p99_us", AT_MOST_B)),
        has_floor=True,
    ),
    Row(
        "connect-uds",
        "GET get_power, a new connection for each, Unix socket",
        UNIX_SOCKET,
        Requests("connect", 1, GET_POWER),
        (micros("p50", "p50_us", AT_MOST_B), micros("p99", "p99_us")),
        has_floor=True,
    ),
    Row(
        "set-power-limit",
        "POST set_power_limit, block=true, 4 GPUs",
        WRITES,
        Requests("serial", 1, SET_POWER_LIMIT),
        (micros("p50", "p50_us", AT_MOST_B), micros("p99", "p99_us", AT_MOST_B)),
    ),
    Row(
        "many-32",
        "GET get_power, 32 connections",
        UNIX_SOCKET,
        Requests("many", 32, GET_POWER),
        (per_second(Goal("≥", 1.2, "B")), micros("server CPU per request", "cpu_us", AT_MOST_B)),
        has_floor=True,
    ),
    Row(
        "many-32-auth",
        "GET get_power with a token, 32 connections",
        AUTH,
        Requests("many", 32, GET_POWER),
        (per_second(Goal("≥", 1.2, "B")), micros("server CPU per request", "cpu_us")),
    ),
    streams("streams-1", 1, STREAMS, 1.0, AT_MOST_B),
    streams("streams-10", 10, STREAMS, 0.8),
    streams("streams-100", 100, STREAMS, 0.5),
    streams("streams-1000", 1000, STREAMS, 0.35, AT_MOST_B),
    streams("slow-streams", 1, SLOW_READS, 1.0),
    Row(
        "slow-reads",
        "GET get_power of 4 GPUs whose reads take 300 µs",
        SLOW_READS,
        Requests("serial", 1, GET_POWER + "?gpu_ids=0,1,2,3"),
        (micros("p50", "p50_us", AT_MOST_B), micros("p99", "p99_us")),
    ),
    Row(
        "slow-driver",
        "GET /time while driver calls take 300 ms, 8 writes in flight",
        WRITES,
        SlowDriver(),
        (millis("p99", "p99_us", Goal("≤", 0.1, "B")),),
    ),
    Row(
        "cold-start",
        "GET get_power, the first 100 after the start",
        NEW_PROCESS,
        FirstRequests(),
        (micros("p50", "p50_us", Goal("≤", 150.0)),),
    ),
    Row(
        "idle-memory",
        f"memory per subscriber, {IDLE.subscribers} on steady power",
        NEW_PROCESS,
        IDLE,
        (Figure("RSS", "KiB", IDLE.kib_each, (Goal("≤", 14.0),)),),
    ),
]
NAMES = [*(row.name for row in ROWS), GROWTH]


def named(names):
    """The rows with these names; the beginning of a name is enough, and stands for all that begin so."""
    chosen = set()
    for name in names:
        found = GROWING if name == GROWTH else [known for known in NAMES if known == name]
        found = found or [row.name for row in ROWS if row.name.startswith(name)]
        if not found:
            raise ValueError(f"no row '{name}'; there are {', '.join(NAMES)}")
        chosen.update(found)
    return [row for row in ROWS if row.name in chosen]
