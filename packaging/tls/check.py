#!/usr/bin/env python3
"""Checks an image's TLS with OpenSSL, by Python's ssl and `openssl s_client`, and with curl.

Usage: packaging/tls/check.py IMAGE

Versions, authorities, plain HTTP on the port, files renewed while clients ask all the time, certificates of
clients, streams, and the goodbye at the end. Certificates are made on the way; takes some seconds.
"""

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"


def main():
    image = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        authority("ca")
        authority("other")
        issue("ca", "server", "/CN=localhost")
        issue("ca", "alice", "/O=acme/CN=alice")
        issue("other", "mallory", "/O=acme/CN=alice")
        with Daemon(image) as daemon:
            versions(daemon)
            peers(daemon)
            stream_and_goodbye(daemon)
        with Daemon(image) as daemon:
            renewal(daemon)
        with Daemon(image, "--tls-client-ca", "ca.crt") as daemon:
            clients(daemon)
    print("ok: TLS by OpenSSL, Python and curl")


def openssl(arguments, **more):
    return subprocess.run(["openssl", *arguments.split(" ")], capture_output=True, text=True, timeout=30, **more)


def made(done):
    assert done.returncode == 0, done.stderr


def authority(name):
    made(openssl(f"req -x509 {KEY} -days 9 -subj /CN={name} -keyout {name}.key -out {name}.crt"))


def issue(by, name, subject):
    Path("names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    made(openssl(f"req {KEY} -subj {subject} -keyout {name}.key -out {name}.csr"))
    made(openssl(f"x509 -req -in {name}.csr -CA {by}.crt -CAkey {by}.key -CAcreateserial -days 9"
                 f" -extfile names -out {name}.crt"))


class Daemon:
    def __init__(self, image, *options):
        self.log = open("log", "w+")
        self.process = subprocess.Popen(
            [image / "bin/zeusd", "serve", "--simulate", "--mode", "tls", "--tls-bind-address", "127.0.0.1:0",
             "--tls-cert", "server.crt", "--tls-key", "server.key", "--state-dir", "state", *options],
            stderr=self.log)
        self.port = int(self.said(r"listening at https://127\.0\.0\.1:(\d+)").group(1))

    def said(self, pattern):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            found = re.search(pattern, Path("log").read_text())
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"never said: {pattern}\n" + Path("log").read_text())

    def connect(self, context=None):
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        return (context or trusting()).wrap_socket(plain, server_hostname="localhost")

    def get(self, target, context=None):
        connection = http.client.HTTPSConnection("localhost", self.port, context=context or trusting(), timeout=30)
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(30) == 0
        self.log.close()


def trusting(authority="ca", own=None):
    context = ssl.create_default_context(cafile=f"{authority}.crt")
    if own:
        context.load_cert_chain(f"{own}.crt", f"{own}.key")
    return context


def refused(action):
    try:
        action()
    except (OSError, http.client.HTTPException) as error:
        return str(error)
    raise AssertionError("was not refused")


def versions(daemon):
    with daemon.connect() as connection:
        assert connection.version() == "TLSv1.3", connection.version()
    for version in "-tls1", "-tls1_1", "-tls1_2":
        tried = openssl(f"s_client -connect 127.0.0.1:{daemon.port} -cipher ALL:@SECLEVEL=0 {version}", input="")
        assert "Cipher is (NONE)" in tried.stdout, version + tried.stdout
    taken = openssl(f"s_client -connect 127.0.0.1:{daemon.port} -CAfile ca.crt -verify_return_error -tls1_3", input="")
    assert "Verify return code: 0 (ok)" in taken.stdout, taken.stdout + taken.stderr
    h2 = ssl.create_default_context(cafile="ca.crt")
    h2.set_alpn_protocols(["h2", "http/1.1"])
    with daemon.connect(h2) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"


def peers(daemon):
    assert "CERTIFICATE_VERIFY_FAILED" in refused(lambda: daemon.get("/time", trusting("other")))
    plain = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30)
    plain.request("GET", "/time")
    answer = plain.getresponse()
    assert answer.status == 400 and b"use https" in answer.read()
    curl = subprocess.run(["curl", "-sS", "--cacert", "ca.crt", f"https://localhost:{daemon.port}/gpu/get_power"],
                          capture_output=True, timeout=30)
    assert "power_mw" in json.loads(curl.stdout), curl.stderr


def stream_and_goodbye(daemon):
    with daemon.connect() as stream, daemon.connect() as idle:
        stream.sendall(b"GET /gpu/stream_power HTTP/1.1\r\nHost: localhost\r\n\r\n")
        text = b""
        while text.count(b"data: ") < 8:
            text += stream.recv(4096)
        idle.sendall(b"GET /time HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"timestamp_ms" in idle.recv(4096)
        daemon.process.terminate()
        # Without the goodbye of TLS, this raises ssl.SSLEOFError.
        for connection in stream, idle:
            connection.suppress_ragged_eofs = False
            last = b""
            while chunk := connection.recv(4096):
                last = chunk
            assert connection is idle or last.endswith(b"0\r\n\r\n"), last


def renewal(daemon):
    asked, failed, done = [0, 0], [], threading.Event()

    def ask(who, keeps):
        context = trusting()
        try:
            while not done.is_set():
                connection = http.client.HTTPSConnection("localhost", daemon.port, context=context, timeout=30)
                for _ in range(1000 if keeps else 1):
                    connection.request("GET", "/gpu/get_power")
                    answer = connection.getresponse()
                    assert answer.status == 200 and answer.read(), answer.status
                    asked[who] += 1
                    if done.is_set():
                        break
                connection.close()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(who, who == 0)) for who in (0, 1)]
    for thread in threads:
        thread.start()
    serials = {serial(daemon)}
    for renewed in 1, 2:
        issue("ca", "server", "/CN=localhost")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.said("(read again: TLS certificate(.|\n)*){%d}" % renewed)
        serials.add(serial(daemon))
    openssl("genpkey -algorithm ED25519 -out server.key")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.said("nothing was changed: TLS key .*server.key does not fit")
    assert serial(daemon) in serials
    end = time.monotonic() + 60
    while min(asked) <= 5 and not failed and time.monotonic() < end:
        time.sleep(0.05)
    done.set()
    for thread in threads:
        thread.join()
    assert not failed, failed
    assert len(serials) == 3 and min(asked) > 5, (serials, asked)
    issue("ca", "server", "/CN=localhost")


def serial(daemon):
    with daemon.connect() as connection:
        return connection.getpeercert()["serialNumber"]


def clients(daemon):
    for own in None, "mallory":
        refused(lambda: daemon.get("/gpu/get_power", trusting(own=own)))
    status, body = daemon.get("/auth/whoami", trusting(own="alice"))
    assert status == 200 and json.loads(body)["certificate"] == "CN=alice,O=acme", body
    assert daemon.get("/gpu/get_power", trusting(own="alice"))[0] == 200


if __name__ == "__main__":
    main()
