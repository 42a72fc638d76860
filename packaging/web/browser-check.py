#!/usr/bin/env python3
"""What web pages can do to a zeusd on TCP without a key, tried by a real browser: pages of other
origins nothing, and the dashboard that is allowed to, what it wants.
Usage: browser-check.py IMAGE (needs Debian's chromium)"""

import contextlib
import http.server
import json
import queue
import subprocess
import sys
import tempfile
import threading
import urllib.request

from daemon import Daemon, answers, check, free_port, wait_until

SECONDS = 90

# What a page can try. All of it is told to the server of the page.
PAGE = """<!doctype html><iframe name="hidden"></iframe><script>
const zeusd = 'http://ZEUSD';
const limit = mw => `${zeusd}/gpu/set_power_limit?gpu_ids=0&power_limit_mw=${mw}&block=true`;
const outcome = promise => promise.then(value => value, error => 'error: ' + error.name);
const read = url => outcome(fetch(url).then(response => response.text()));
const stream = () => new Promise(done => {
  const events = new EventSource(zeusd + '/gpu/stream_power?gpu_ids=0');
  events.onmessage = event => { events.close(); done(event.data); };
  events.onerror = () => { events.close(); done('error'); };
});
const form = mw => new Promise(done => {
  const post = document.createElement('form');
  post.method = 'POST';
  post.action = limit(mw);
  post.target = 'hidden';
  document.body.append(post);
  document.querySelector('iframe').onload = () => setTimeout(done, 500, 'sent');
  post.submit();
});
(async () => {
  const told = {
    discover: await read(zeusd + '/discover'),
    energy: await read(zeusd + '/cpu/get_cumulative_energy?cpu=true&dram=true'),
    stream: await stream(),
    simple: await outcome(fetch(limit(FIRST), {method: 'POST', mode: 'no-cors'}).then(r => r.type)),
    beacon: navigator.sendBeacon(limit(FIRST)),
    form: await form(FIRST),
    preflighted: await outcome(
        fetch(limit(SECOND), {method: 'POST', headers: {Authorization: 'Bearer x'}})
            .then(response => response.status)),
  };
  await fetch('/report', {method: 'POST', body: JSON.stringify(told)});
})();
</script>"""


class Site(http.server.ThreadingHTTPServer):
    """Serves the page, and keeps what it reports."""

    def __init__(self, page: str):
        self.page = page.encode()
        self.reports: queue.Queue = queue.Queue()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(self.server.page)))
        self.end_headers()
        self.wfile.write(self.server.page)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
        self.server.reports.put(json.loads(body))

    def log_message(self, *unused):
        pass


@contextlib.contextmanager
def browser(*arguments: str, **popen):
    """A browser that has never run before."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [
                "chromium",
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--no-first-run",
                # Names that somebody lets point to this machine.
                "--host-resolver-rules=MAP *.example 127.0.0.1",
                f"--user-data-dir={folder}",
                *arguments,
            ],
            stderr=subprocess.DEVNULL,
            **popen,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def visit(url: str, site: Site) -> dict:
    with browser(url):
        try:
            return site.reports.get(timeout=SECONDS)
        except queue.Empty:
            sys.exit(f"the page {url} has reported nothing within {SECONDS} s")


def shown(url: str) -> str:
    with browser("--dump-dom", url, stdout=subprocess.PIPE, text=True) as process:
        return process.communicate(timeout=SECONDS)[0]


def main(image: str) -> None:
    port = free_port()
    zeusd = f"127.0.0.1:{port}"
    page = PAGE.replace("ZEUSD", zeusd)
    evil = Site(page.replace("FIRST", "200000").replace("SECOND", "210000"))
    dashboard = Site(page.replace("FIRST", "220000").replace("SECOND", "230000"))
    origin = f"http://dashboard.example:{dashboard.server_port}"
    options = ["--mode", "tcp", "--tcp-bind-address", zeusd, "--allowed-origin", origin]

    def limit_mw() -> int:
        with urllib.request.urlopen(f"http://{zeusd}/gpu/get_power_limit?gpu_ids=0") as response:
            return json.load(response)["0"]["power_limit_mw"]

    with Daemon(image, *options):
        wait_until("zeusd listens", answers(f"http://{zeusd}/time"))
        before = limit_mw()
        check(before not in (200000, 210000, 220000, 230000), before)

        for host in "evil.example", "127.0.0.1", "localhost":
            told = visit(f"http://{host}:{evil.server_port}/", evil)
            for what in "discover", "energy", "stream", "preflighted":
                check(str(told[what]).startswith("error"), told)
            check(limit_mw() == before, f"a page at {host} has set a power limit: {told}")
        print("ok: pages of other origins, other ports of this host included")

        rebound = shown(f"http://evil.example:{port}/cpu/get_cumulative_energy?cpu=true&dram=true")
        check("--allowed-host" in rebound and "energy_uj" not in rebound, rebound)
        own = shown(f"http://localhost:{port}/discover")
        check("gpu_ids" in own, own)
        print("ok: a name of another site that points here")

        told = visit(origin + "/", dashboard)
        check(json.loads(told["discover"])["gpu_ids"], told)
        check("cpu_energy_uj" in told["energy"], told)
        check("power_mw" in told["stream"], told)
        check(told["preflighted"] == 200, told)
        check(limit_mw() == 230000, told)
        print("ok: the dashboard that is allowed")


main(sys.argv[1])
