#!/usr/bin/env python3
"""Tries what is in this folder and in ../grafana with a real Prometheus: the files alone, by promtool;
then on a fleet of simulated daemons, each at a loopback address of its own. Power and energy of the fleet
by PromQL have to be what the daemons themselves say; every recording rule and every query of the boards
has to return something. One more daemon is on the fake NVML library and is restarted: its energy by increase() has
to be the fake's integral, and its counters never go back.
Usage: check.py IMAGE [--nodes N] [--seconds S] (needs Debian's prometheus, and python3-yaml)

CI takes 8 nodes and half a minute. --nodes 40 --seconds 300 takes 3 GB of memory and six minutes."""

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
BOARDS = HERE.parent / "grafana"
sys.path.insert(0, str(HERE.parent / "web"))
from daemon import Daemon, answers, check, free_port, wait_until  # noqa: E402
from fake_gpus import FakeGpus  # noqa: E402

# Grafana fills these in.
GRAFANA = {"$__rate_interval": "10s", "$__range": "30s", "$job": "zeusd", "$instance": ".*"}
POWER_TOLERANCE = 0.01
ENERGY_TOLERANCE = 0.005


# --- The files alone


def check_files(folder: Path) -> None:
    for path in HERE.glob("*.yml"):
        shutil.copy(path, folder)
    shutil.copytree(HERE / "targets", folder / "targets")
    (folder / "zeusd.token").write_text("a token")
    # Debian builds Prometheus without Kubernetes; the rest of that part is looked at all the same.
    config = yaml.safe_load((HERE / "prometheus.yml").read_text())
    for part in config["scrape_configs"]:
        if part.pop("kubernetes_sd_configs", None):
            part["static_configs"] = [{"targets": ["a.node:4938"]}]
    (folder / "config.yml").write_text(yaml.safe_dump(config))
    for command in (
        ["check", "config", "--lint-fatal", "config.yml"],
        ["check", "rules", "--lint-fatal", "zeusd.rules.yml", "zeusd.alerts.yml"],
        ["test", "rules", "tests.yml", "window-tests.yml"],
    ):
        said = subprocess.run(["promtool", *command], cwd=folder, capture_output=True, text=True)
        check(said.returncode == 0, f"promtool {' '.join(command)}: {said.stdout}{said.stderr}")
        print(f"ok: promtool {' '.join(command)}")


def panels_of(board: dict):
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def check_boards() -> dict:
    """All boards, by name, after a look at what Grafana would not forgive."""
    boards = {path.name: json.loads(path.read_text()) for path in sorted(BOARDS.glob("*.json"))}
    check(len({board["uid"] for board in boards.values()}) == len(boards), "a uid is there twice")
    for name, board in boards.items():
        variables = {each["name"] for each in board["templating"]["list"]}
        used = set(re.findall(r"\$\{?(?!__)(\w+)", json.dumps(board)))
        check(used <= variables, f"{name}: unknown variables {used - variables}")
        panels = list(panels_of(board))
        check(len({panel["id"] for panel in panels}) == len(panels), f"{name}: an id is there twice")
        taken = {}
        for panel in panels:
            at = panel["gridPos"]
            check(at["x"] + at["w"] <= 24, f"{name}: {panel['title']} is too wide")
            for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
                check(cell not in taken, f"{name}: {panel['title']} lies on {taken.get(cell)}")
                taken[cell] = panel["title"]
    return boards


# --- A fleet


class Node:
    """One daemon of the fleet, asked for itself."""

    def __init__(self, address: str, token: str):
        self.address = address
        self.headers = {"Authorization": "Bearer " + token}

    def open(self, method: str, target: str, **headers: str):
        request = urllib.request.Request(f"http://{self.address}{target}", None, {**self.headers, **headers}, method=method)
        return urllib.request.urlopen(request, timeout=20)

    def ask(self, method: str, target: str, **headers: str):
        with self.open(method, target, **headers) as response:
            body = response.read()
        return json.loads(body) if body else None

    def gpu_power_w(self) -> float:
        return sum(self.ask("GET", "/gpu/get_power")["power_mw"].values()) / 1e3

    def gpu_energy_j(self) -> float:
        return sum(each["energy_mj"] for each in self.ask("GET", "/gpu/get_cumulative_energy").values()) / 1e3


class Restarted:
    """A daemon on fake GPUs that is started anew in the middle, by whoever calls for it."""

    SECONDS = 20

    def __init__(self, image: str, folder: Path, node: Node, key: Path):
        self.node = node
        self.fake = FakeGpus(str(folder / "fake-gpus"))
        self.command = [image + "/bin/zeusd", "serve", "--enable", "gpu-read", "--gpu-backend", "nvml", "--mode", "tcp"]
        self.command += ["--tcp-bind-address", node.address, "--signing-key-path", str(key)]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, env=self.fake.environment, stderr=subprocess.DEVNULL)

    def restart(self) -> None:
        time.sleep(self.SECONDS / 2)
        self.__exit__()
        self.start()

    def __enter__(self) -> "Restarted":
        return self

    def __exit__(self, *unused) -> None:
        self.process.terminate()
        self.process.wait(30)

    def energy_agrees(self, prometheus: "Prometheus", end: float) -> bool:
        window = f'{{instance="{self.node.address}"}}[{self.SECONDS}s]'
        for found in prometheus.query(f"resets(zeusd_gpu_energy_joules_total{window})", time=end):
            check(float(found["value"][1]) == 0, f"a counter has gone back: {found}")
        if prometheus.number(f"changes(process_start_time_seconds{window})", time=end) != 1:
            print("the restart took too long to be seen")
            return False
        told = prometheus.number(f"sum(increase(zeusd_gpu_energy_joules_total{window}))", time=end)
        integral = sum(self.fake.power_mw(gpu) for gpu in range(8)) / 1e3 * self.SECONDS
        return agree("energy in J over a restart, by the fake", told, integral, ENERGY_TOLERANCE)


class Prometheus:
    def __init__(self, folder: Path, nodes: list):
        self.port = free_port()
        config = yaml.safe_load((folder / "prometheus.yml").read_text())
        config["scrape_configs"] = [each for each in config["scrape_configs"] if each["job_name"] == "zeusd-files"]
        # Often, so that the ends of a short window do not matter; as many scrapes a second whatever the nodes.
        config["global"] = {"scrape_interval": f"{max(250, 50 * len(nodes))}ms", "evaluation_interval": "2s"}
        (folder / "fleet.yml").write_text(yaml.safe_dump(config))
        for name in config["rule_files"]:
            rules = yaml.safe_load((folder / name).read_text())
            for group in rules["groups"]:
                group.pop("interval", None)
            (folder / name).write_text(yaml.safe_dump(rules))
        targets = [{"targets": [node.address for node in nodes]}]
        (folder / "targets" / "zeusd.json").write_text(json.dumps(targets))
        command = ["prometheus", "--config.file=fleet.yml", "--storage.tsdb.path=data", "--log.level=warn"]
        self.process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{self.port}"], cwd=folder)

    def __enter__(self) -> "Prometheus":
        return self

    def __exit__(self, *unused) -> None:
        self.process.terminate()
        self.process.wait(30)

    def get(self, path: str, **parameters):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=20) as response:
            return json.load(response)["data"]

    def query(self, expression: str, **parameters) -> list:
        try:
            return self.get("query", query=expression, **parameters)["result"]
        except urllib.error.HTTPError as e:
            sys.exit(f"failed: {expression}: {e.read().decode()}")

    def number(self, expression: str, **parameters) -> float:
        [sample] = self.query(expression, **parameters)
        return float(sample["value"][1])


def agree(what: str, ours: float, theirs: float, tolerance: float) -> bool:
    off = abs(ours - theirs) / theirs
    state = "ok" if off <= tolerance else "too much"
    print(f"{state}: {what}: {ours:.1f} by PromQL, {theirs:.1f} by the daemons, {off:.3%} apart", flush=True)
    return off <= tolerance


def energy_readings(nodes: list) -> list:
    """(when, J) of each node."""
    readings = []
    for node in nodes:
        before = time.time()
        energy_j = node.gpu_energy_j()
        readings.append(((before + time.time()) / 2, energy_j))
    return readings


def fleet_agrees(prometheus: Prometheus, nodes: list, restarted: Restarted, seconds: int) -> bool:
    """Whoever adds up the daemons' own answers gets what Prometheus says."""
    restarting = threading.Thread(target=restarted.restart)
    restarting.start()
    first = energy_readings(nodes)
    start = time.time()
    powers_w = []
    while time.time() < start + seconds:
        next_at = time.monotonic() + 0.25
        powers_w.append(sum(node.gpu_power_w() for node in nodes))
        time.sleep(max(0, next_at - time.monotonic()))
    end = time.time()
    last = energy_readings(nodes)
    # Every daemon's last sample of that time has to be in.
    time.sleep(3)
    restarting.join()
    fleet = f'{{instance!="{restarted.node.address}"}}'
    window = f"{fleet}[{round((end - start) * 1000)}ms]"
    power_w = prometheus.number(f"sum(avg_over_time(zeusd_gpu_power_watts{window}))", time=end)
    power_agrees = agree("power in W", power_w, sum(powers_w) / len(powers_w), POWER_TOLERANCE)
    increase_j = 0
    for node, (from_s, _), (to_s, _) in zip(nodes, first, last):
        its = f'zeusd_gpu_energy_joules_total{{instance="{node.address}"}}[{round((to_s - from_s) * 1000)}ms]'
        increase_j += prometheus.number(f"sum(increase({its}))", time=to_s)
    energy_j = sum(to_j - from_j for (_, from_j), (_, to_j) in zip(first, last))
    energy_agrees = agree("energy in J", increase_j, energy_j, ENERGY_TOLERANCE)
    integral_agrees = restarted.energy_agrees(prometheus, start + restarted.SECONDS)
    samples = prometheus.number(f"avg(scrape_samples_scraped{fleet})")
    mean = prometheus.number(f"avg(avg_over_time(scrape_duration_seconds{window}))", time=end)
    longest = prometheus.number(f"max(max_over_time(scrape_duration_seconds{window}))", time=end)
    print(f"a scrape: {samples:.0f} samples, {mean * 1e3:.1f} ms, the longest {longest * 1e3:.0f} ms")
    return power_agrees and energy_agrees and integral_agrees


def live(node: Node, stack: contextlib.ExitStack) -> None:
    """Something of all that the boards show: a lease, a GPU at its limit, a stream, a refusal."""
    lease = node.ask("POST", "/lease?gpu_ids=0&keys=power_limit&ttl_s=3600")
    header = {"Zeusd-Lease": f"{lease['lease_id']}:{lease['epoch']}"}
    limit = "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=200000&block=true"
    node.ask("POST", limit, **header)
    try:
        node.ask("POST", limit)
        sys.exit("failed: a write without the lease was let through")
    except urllib.error.HTTPError as e:
        check(e.code == 423, e.read())
    stack.enter_context(node.open("GET", "/gpu/stream_power"))


def filled_in(text: str) -> str:
    for name, value in GRAFANA.items():
        text = text.replace(name, value)
    return text


def check_queries(prometheus: Prometheus, boards: dict) -> None:
    queries = 0
    for name, board in boards.items():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                wanted = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
                values = prometheus.get(f"label/{wanted[2]}/values", **{"match[]": filled_in(wanted[1])})
                check(values, f"{name}: the variable {variable['name']} has no values")
        for panel in panels_of(board):
            for target in panel.get("targets", []):
                found = prometheus.query(filled_in(target["expr"]))
                check(found, f"{name}, {panel['title']}: nothing for {target['expr']}")
                queries += 1
    print(f"ok: {queries} queries of {len(boards)} boards")


def check_rules(prometheus: Prometheus) -> None:
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    for rule in rules:
        check(rule["health"] == "ok", rule)
        check(rule["type"] == "alerting" or prometheus.query(rule["name"]), f"{rule['name']} has nothing")
    print(f"ok: {len(rules)} rules")


def check_metrics(node: Node) -> None:
    """promtool has opinions about names, types and help texts."""
    with node.open("GET", "/metrics") as response:
        text = response.read()
    said = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    check(said.returncode == 0 and not said.stdout + said.stderr, (said.stdout + said.stderr).decode())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("image")
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        check_files(folder)
        boards = check_boards()
        key = folder / "signing.key"
        key.write_bytes(os.urandom(32))
        key.chmod(0o600)
        issue = ["token", "issue", "--signing-key-path", key, "--user", "prometheus", "--expires", "1h"]
        scopes = ["--scope", "gpu-read,gpu-control,cpu-read,lease-admin"]
        said = subprocess.run([options.image + "/bin/zeusd", *issue, *scopes], check=True, capture_output=True, text=True)
        token = said.stdout.strip()
        (folder / "zeusd.token").write_text(token)
        port = free_port()
        nodes = []
        for number in range(1, options.nodes + 1):
            node = Node(f"127.1.0.{number}:{port}", token)
            serve = ["--mode", "tcp", "--tcp-bind-address", node.address, "--signing-key-path", str(key)]
            stack.enter_context(Daemon(options.image, *serve, "--state-dir", str(folder / f"state{number}")))
            # One after the other: their starts would be in each other's way.
            wait_until(f"{node.address} listens", answers(f"http://{node.address}/time"))
            # The first scrape loads what all need; without it, 40 of them at a time would take too long.
            check_metrics(node)
            nodes.append(node)
        faked = Node(f"127.2.0.1:{port}", token)
        restarted = stack.enter_context(Restarted(options.image, folder, faked, key))
        wait_until("the one on fake GPUs has them", lambda: len(faked.ask("GET", "/discover")["gpus"]) == 8)
        check_metrics(faked)
        print(f"ok: promtool check metrics, {options.nodes + 1} times")
        live(nodes[0], stack)
        prometheus = stack.enter_context(Prometheus(folder, [*nodes, faked]))
        wait_until("prometheus listens", answers(f"http://127.0.0.1:{prometheus.port}/-/ready"))
        up = "sum(up) or vector(0)"
        wait_until("all are scraped", lambda: prometheus.number(up) == len(nodes) + 1, 180)
        # A machine that is busy with other things holds scrapes up, which shows in a short time.
        tries = (fleet_agrees(prometheus, nodes, restarted, options.seconds) for _ in range(3))
        check(any(tries), "Prometheus and the daemons do not agree")
        check_rules(prometheus)
        check_queries(prometheus, boards)


main()
