"""A headless Chromium that is told what to do, over pipes, by the DevTools protocol."""

import base64
import json
import os
import select
import shlex
import subprocess
import sys
import tempfile
import time

from daemon import end

SECONDS = 60


class Chromium:
    """A browser that has never run before, with one page, until the end of the `with`."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_browser, self.out = os.pipe()
        self.inward, from_browser = os.pipe()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        options += ["--disable-background-networking", "--no-first-run", "--remote-debugging-pipe"]
        options += [f"--user-data-dir={self.folder.name}", "about:blank"]
        # It reads its descriptor 3 and writes to 4.
        command = f"exec chromium {shlex.join(options)} 3<&{to_browser} 4>&{from_browser}"
        self.process = subprocess.Popen(
            ["bash", "-c", command], pass_fds=(to_browser, from_browser), stderr=subprocess.DEVNULL
        )
        os.close(to_browser)
        os.close(from_browser)
        self.rest = b""
        self.count = 0
        self.said = []
        [target] = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        attach = {"targetId": target["targetId"], "flatten": True}
        self.session = self.call("Target.attachToTarget", **attach)["sessionId"]
        for domain in "Page", "Runtime", "Log", "Network", "Performance":
            self.call(domain + ".enable")

    session = None

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, *unused) -> None:
        end(self.process)
        self.folder.cleanup()

    def call(self, method: str, **parameters):
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + SECONDS
        while True:
            answer = self.read(deadline, method)
            if answer.get("id") == self.count:
                if "error" in answer:
                    sys.exit(f"{method}: {answer['error']}")
                return answer["result"]
            self.said.append(answer)

    def read(self, deadline: float, what: str) -> dict:
        while b"\0" not in self.rest:
            ready = select.select([self.inward], [], [], max(0, deadline - time.monotonic()))[0]
            chunk = os.read(self.inward, 1 << 20) if ready else b""
            if not chunk:
                sys.exit(f"chromium does not answer {what}")
            self.rest += chunk
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def run(self, script: str):
        """The value of an expression, or of its promise."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            sys.exit(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def visit(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + SECONDS
        while not self.run(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'"):
            if time.monotonic() > deadline:
                sys.exit(f"{url} is not loaded within {SECONDS} s")
            time.sleep(0.05)

    def look_like(self, width: int, height: int, dark: bool, phone: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, file) -> None:
        data = self.call("Page.captureScreenshot", format="png")["data"]
        file.write_bytes(base64.b64decode(data))

    def complaints(self) -> list:
        """Exceptions of scripts, and what the browser has refused by the page's policy."""
        self.run("0")
        texts = []
        for event in self.said:
            if event.get("method") == "Runtime.exceptionThrown":
                texts.append(event["params"]["exceptionDetails"])
            entry = event.get("params", {}).get("entry", {})
            if event.get("method") == "Log.entryAdded" and entry.get("source") in ("security", "javascript"):
                texts.append(entry)
            if event.get("method") == "Log.entryAdded" and "Content Security" in entry.get("text", ""):
                texts.append(entry)
        return texts
