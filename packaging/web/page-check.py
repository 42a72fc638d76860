#!/usr/bin/env python3
"""The live page in a real browser: what it shows is what the daemon says, and has kept; a wrong token shows
nothing; it comes back after the daemon; and 64 GPUs at 20 Hz do not let it grow.
Usage: page-check.py IMAGE [SECONDS] [--screenshots FOLDER]  (needs Debian's chromium; SECONDS of the 64 GPUs,
20 if left out: 60 are a minute)"""

import argparse
import contextlib
import http.server
import json
import pathlib
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

from chromium import Chromium
from daemon import Daemon, answers, check, free_port, wait_until

MANY = 64
HZ = 20
CPU_MW = 9_000_000_000
WARM_S = 10
MAY_GROW_BYTES = 2 << 20
STATUS = "document.getElementById('status').textContent"
CARDS = "document.querySelectorAll('.card').length"


def post(url: str) -> dict:
    with urllib.request.urlopen(urllib.request.Request(url, method="POST")) as response:
        return json.loads(response.read() or b"{}")


def shown_in(page: Chromium, device: str, selector: str) -> str:
    return page.run(f"""document.querySelector('[data-device="{device}"] {selector}').textContent""")


def check_values(page: Chromium, base: str) -> None:
    """Right after a value was shown, the daemon has to have told it, to what is shown of it."""
    wait_until("all devices", lambda: page.run(CARDS) == 6)
    wait_until("live", lambda: page.run(STATUS) == "Live" and shown_in(page, "gpu 0", ".power").endswith(" W"))
    for _ in range(20):
        told = set()
        stream = urllib.request.urlopen(base + "gpu/stream_power?gpu_ids=0")
        with stream:
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline:
                line = stream.readline().decode()
                if line.startswith("data: "):
                    told.add(round(json.loads(line[6:])["power_mw"] / 1000))
                if len(told) > 2:
                    shown = shown_in(page, "gpu 0", ".power")
                    check(shown.endswith(" W"), shown)
                    if round(float(shown[:-2])) in told:
                        return
    check(False, f"the page shows {shown}, and the daemon told {told}")


def check_changes(page: Chromium, base: str) -> None:
    post(base + "gpu/set_power_limit?gpu_ids=0&power_limit_mw=250000&block=true")
    wait_until("the limit", lambda: shown_in(page, "gpu 0", ".limit") == "limit 250 W")
    check(shown_in(page, "gpu 1", ".limit") == "limit 700 W", "another GPU's limit")
    lease = post(base + "lease?gpu_ids=1,2&keys=power_limit&ttl_s=60")["lease_id"]
    rows = "document.querySelector('#leases tbody').textContent"
    wait_until("the lease", lambda: "1, 2" in page.run(rows))
    post(base + f"lease/end?lease_id={lease}")
    wait_until("its end", lambda: not page.run(rows))
    energy = "document.getElementById('total-energy').textContent"
    before = page.run(energy)
    wait_until("energy", lambda: page.run(energy) != before)


def check_rules(page: Chromium, base: str) -> None:
    """Nothing inline, nothing from elsewhere, and all that is needed from the keyboard."""
    with urllib.request.urlopen(base) as answer:
        policy = answer.headers["Content-Security-Policy"]
        etag = answer.headers["ETag"]
    check("default-src 'none'" in policy and "unsafe" not in policy, policy)
    again = urllib.request.Request(base, headers={"If-None-Match": etag})
    try:
        urllib.request.urlopen(again)
        check(False, "a page that is known is sent again")
    except urllib.error.HTTPError as e:
        check(e.code == 304, e)
    urls = page.run("performance.getEntriesByType('resource').map(each => each.name)")
    check(urls and all(url.startswith((base, "data:")) for url in urls), urls)
    unnamed = page.run(
        "[...document.querySelectorAll('button, input')].filter(e => !(e.textContent || e.labels?.length)).length"
    )
    check(unnamed == 0, f"{unnamed} controls without a name")
    page.run("document.getElementById('pause').focus()")
    page.call("Input.dispatchKeyEvent", type="keyDown", key=" ", code="Space", text=" ")
    page.call("Input.dispatchKeyEvent", type="keyUp", key=" ", code="Space")
    check(page.run("document.getElementById('pause').getAttribute('aria-pressed')") == "true", "no pause")
    page.run("document.getElementById('pause').click()")
    page.run("document.activeElement.blur()")


def drawn(page: Chromium, device: str) -> list:
    """What a plot draws: times in s and powers in W."""
    x, y = page.run(f"""[...document.querySelector('[data-device="{device}"] .plot').plot.chart.data].map(each => [...each])""")
    return list(zip(x, y, strict=True))


class Network(socketserver.ThreadingTCPServer):
    """A way to a daemon, which can be cut."""

    daemon_threads = True

    def __init__(self, port: int):
        super().__init__(("127.0.0.1", 0), Connection)
        self.port = port
        self.is_cut = False
        self.open = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def cut(self) -> None:
        self.is_cut = True
        for each in list(self.open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self.is_cut = False


class Connection(socketserver.BaseRequestHandler):
    def handle(self):
        if self.server.is_cut:
            return
        with socket.create_connection(("127.0.0.1", self.server.port)) as daemon:
            ends = {self.request, daemon}
            self.server.open |= ends
            back = threading.Thread(target=self.pass_on, args=(daemon, self.request), daemon=True)
            back.start()
            self.pass_on(self.request, daemon)
            back.join()
            self.server.open -= ends

    def pass_on(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


def check_past(page: Chromium, base: str, network: Network) -> None:
    """The plots begin with what the daemon has kept, and have no hole where the network had one."""
    wait_until("some history", lambda: len(history(base, "step_ms=100")["mean"]) > 50)
    opened_s = time.time()
    page.visit(f"http://127.0.0.1:{network.server_address[1]}/")
    wait_until("live", lambda: page.run(STATUS) == "Live" and drawn(page, "gpu 0"))
    points = drawn(page, "gpu 0")
    check(points[0][0] < opened_s - 3, f"the page was opened at {opened_s}, and its plot begins with {points[:3]}")
    for seconds, watts in points[1:10]:
        kept = history(base, f"from_ms={int(seconds * 1000) - 125}&to_ms={int(seconds * 1000) + 125}&step_ms=250")
        check(abs(kept["mean"][0] / 1000 - watts) < 5, f"at {seconds}, {watts} W are drawn, and kept is {kept}")
    network.cut()
    wait_until("the loss", lambda: "again" in page.run(STATUS))
    lost_s = time.time()
    time.sleep(2)
    network.mend()
    wait_until("the return", lambda: page.run(STATUS) == "Live" and drawn(page, "gpu 0")[-1][0] > lost_s + 2)
    times = [seconds for seconds, _ in drawn(page, "gpu 0") if seconds > lost_s - 1]
    hole = max(after - before for before, after in zip(times, times[1:]))
    check(hole < 1, f"a hole of {hole} s is left of the time without a network")


def history(base: str, query: str) -> dict:
    with urllib.request.urlopen(base + "gpu/power_history?gpu_ids=0&" + query) as answer:
        return json.loads(answer.read())["power_mw"]["0"]


def take_screenshots(page: Chromium, folder: pathlib.Path) -> None:
    for name, width, height, dark, phone in (
        ("page-dark", 1280, 860, True, False),
        ("page-light", 1280, 860, False, False),
        ("page-phone", 390, 844, True, True),
    ):
        page.look_like(width, height, dark, phone)
        time.sleep(2)
        wide = page.run("document.documentElement.scrollWidth > innerWidth")
        check(not wide, f"{name}: wider than the screen")
        page.screenshot(folder / f"{name}.png")


def check_page(image: str, folder: pathlib.Path, state: str, wait_s: float) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}/"
    options = ["--mode", "tcp", "--tcp-bind-address", f"127.0.0.1:{port}", "--state-dir", state, "--history", "10m"]
    with Chromium() as page:
        page.look_like(1280, 860, True)
        with Daemon(image, *options):
            wait_until("zeusd listens", answers(base + "time"))
            with Network(port) as network:
                check_past(page, base, network)
                network.shutdown()
            page.visit(base)
            check_values(page, base)
            check_changes(page, base)
            check_rules(page, base)
            time.sleep(wait_s)
            take_screenshots(page, folder)
        wait_until("the loss", lambda: "again" in page.run(STATUS))
        with Daemon(image, *options):
            wait_until("zeusd listens again", answers(base + "time"), 120)
            wait_until("the page's return", lambda: page.run(STATUS) == "Live")
            check_values(page, base)
        check(not page.complaints(), page.complaints())
    print("ok: the past, values, limits, leases, rules, and a daemon that is started anew")


def check_tokens(image: str, folder: str) -> None:
    key = pathlib.Path(folder, "key")
    key.touch(0o600)
    key.write_text("0123456789abcdef0123456789abcdef")
    issue = [f"{image}/bin/zeusd", "token", "issue", "--signing-key-path", str(key), "--expires", "1h"]

    def token(*scopes: str) -> str:
        command = [*issue, "--user", "alice", *(word for scope in scopes for word in ("--scope", scope))]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def enter(text: str) -> None:
        wait_until("the field", lambda: not page.run("document.getElementById('login').hidden"))
        page.run(f"document.getElementById('token').value = {json.dumps(text)}")
        page.run("document.getElementById('login').requestSubmit()")

    port = free_port()
    base = f"http://127.0.0.1:{port}/"
    options = ["--mode", "tcp", "--tcp-bind-address", f"127.0.0.1:{port}", "--signing-key-path", str(key)]
    with Daemon(image, *options, "--state-dir", folder), Chromium() as page:
        wait_until("zeusd listens", answers(base + "time"))
        page.visit(base)
        problem = "document.getElementById('token-problem').textContent"
        enter("x.y.z")
        wait_until("a refusal", lambda: page.run(problem))
        # What cannot be in a header, as from a program that makes quotation marks beautiful.
        enter("“x.y.z”")
        wait_until("another refusal", lambda: "letters" in page.run(problem))
        check(page.run(CARDS) == 0 and " W" not in page.run("document.body.innerText"), "data without a token")
        enter(token("cpu-read"))
        wait_until("the CPUs", lambda: page.run(CARDS) == 2 and page.run(STATUS) == "Live")
        page.run("sessionStorage.clear()")
        page.visit(base)
        enter(token("gpu-read", "cpu-read"))
        wait_until("all of it", lambda: page.run(CARDS) == 6 and page.run(STATUS) == "Live")
        check("alice" in page.run("document.getElementById('host').textContent"), "whose token it is")
    print("ok: tokens, wrong and right ones")


class ManyGpus(http.server.BaseHTTPRequestHandler):
    """A daemon with many GPUs, whose page is the real one's. One tells the power of its module, CPU included."""

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/gpu/stream_power":
            self.stream(lambda i, tick: f'"gpu_id":{i},"power_mw":{300000 + 1000 * ((tick + 5 * i) % 250)}', MANY)
        elif path == "/cpu/stream_power":
            self.stream(lambda i, tick: f'"cpu_id":{i},"cpu_mw":{CPU_MW},"dram_mw":null', 1)
        elif path == "/" or path.startswith("/page/"):
            with urllib.request.urlopen(self.server.real + path) as answer:
                self.reply(answer.read(), answer.headers["Content-Type"], answer.headers["Content-Security-Policy"])
        else:
            self.reply(json.dumps(self.told(path)).encode(), "application/json")

    def told(self, path: str):
        now = time.time()
        if path == "/time":
            return {"timestamp_ms": int(now * 1000)}
        if path == "/discover":
            gpus = [{"id": i, "name": "One of many"} for i in range(MANY)]
            gpus[1]["power_scope"] = "module"
            cpus = [{"id": i, "domain": domain} for i, domain in enumerate(("package", "module", "psys"))]
            groups = ["gpu-read", "cpu-read"]
            return {"gpus": gpus, "cpus": cpus, "enabled_api_groups": groups, "auth_required": False}
        if path == "/gpu/get_cumulative_energy":
            return {str(i): {"energy_mj": int(now * 1000 * 400)} for i in range(MANY)}
        if path == "/cpu/get_cumulative_energy":
            return {"0": {"cpu_energy_uj": int(now * 1000 * CPU_MW), "dram_energy_uj": None}}
        return {str(i): {"power_limit_mw": 700000, "temperature_c": 60} for i in range(MANY)}

    def reply(self, body: bytes, media: str, policy: str = ""):
        self.send_response(200)
        self.send_header("Content-Type", media)
        self.send_header("Content-Security-Policy", policy or "default-src 'none'")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, event, devices: int):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        with contextlib.suppress(OSError):
            for tick in range(10**9):
                ms = int(time.time() * 1000)
                events = (f'data: {{"timestamp_ms":{ms},{event(i, tick)}}}\n\n' for i in range(devices))
                self.wfile.write("".join(events).encode())
                time.sleep(1 / HZ)

    def log_message(self, *unused):
        pass


def check_many(image: str, seconds: float, state: str, folder: pathlib.Path) -> None:
    port = free_port()
    real = f"http://127.0.0.1:{port}"
    options = ["--mode", "tcp", "--tcp-bind-address", f"127.0.0.1:{port}", "--state-dir", state]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), ManyGpus)
    server.daemon_threads = True
    server.real = real
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Daemon(image, *options), Chromium() as page:
        wait_until("zeusd listens", answers(real + "/time"))
        page.look_like(1600, 1000, True)

        def size() -> tuple:
            """The bytes of its heap after a collection, and how many nodes and listeners it has."""
            page.call("HeapProfiler.collectGarbage")
            metrics = {each["name"]: int(each["value"]) for each in page.call("Performance.getMetrics")["metrics"]}
            return metrics["JSHeapUsedSize"], metrics["Nodes"], metrics["JSEventListeners"]

        page.visit(f"http://127.0.0.1:{server.server_port}/")
        wait_until("all GPUs", lambda: page.run(CARDS) == MANY + 1 and page.run(STATUS) == "Live")
        wait_until("the CPU", lambda: shown_in(page, "cpu 0", ".power") not in ("", "–"))
        sum_of_all = "document.getElementById('total-power').textContent"
        wait_until("the sum", lambda: page.run(sum_of_all).endswith(" kW"))
        total_kw = float(page.run(sum_of_all).removesuffix(" kW"))
        check(total_kw < MANY * 0.6, f"{total_kw} kW: the CPU is in a module, and is counted once more")
        time.sleep(WARM_S)
        before, *elements_before = size()
        time.sleep(max(0, seconds - WARM_S))
        after, *elements_after = size()
        check(after - before < MAY_GROW_BYTES, f"{before} bytes before, and {after} after {seconds} s")
        # Texts that were exchanged a moment ago are counted, too: a few for each GPU, not hundreds.
        grown = any(after > before + 4 * MANY for before, after in zip(elements_before, elements_after))
        check(not grown, f"{elements_before} nodes and listeners, then {elements_after}")
        page.screenshot(folder / "page-many.png")
        check(not page.complaints(), page.complaints())
    print(f"ok: {MANY} GPUs at {HZ} Hz for {seconds} s: {before >> 10} KiB after {WARM_S} s, {after >> 10} KiB at the end")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("image")
    parser.add_argument("seconds", nargs="?", type=float, default=20)
    parser.add_argument("--screenshots", type=pathlib.Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pictures = given.screenshots or pathlib.Path(folder)
        pictures.mkdir(parents=True, exist_ok=True)
        # For pictures, until the plots are full.
        check_page(given.image, pictures, folder + "/state", 40 if given.screenshots else 0)
        check_tokens(given.image, folder)
        if given.seconds:
            check_many(given.image, given.seconds, folder + "/state", pictures)


main()
