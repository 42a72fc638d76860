#!/usr/bin/env python3
"""What others speak to zeusd: a real nginx in front of it, with the settings that nginx has by default
and with those that people choose, ab, and curl with HTTP/1.0.
Usage: proxy-check.py IMAGE (needs Debian's nginx-light, apache2-utils and curl)"""

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zlib

from daemon import Daemon, accepts, answers, check, free_port, wait_until

NGINX = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  scgi_temp_path {folder}/scgi;
  uwsgi_temp_path {folder}/uwsgi;
  gzip on;
  gzip_proxied any;
  gzip_min_length 1;
  gzip_types text/event-stream application/json;
  upstream kept {{
    server unix:{socket};
    keepalive 4;
  }}
  server {{
    listen 127.0.0.1:{port};
    location /unix/ {{
      proxy_pass http://unix:{socket}:/;
    }}
    location /tcp/ {{
      proxy_pass http://127.0.0.1:{tcp}/;
    }}
    location /kept/ {{
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_pass http://kept/;
    }}
    location /named/ {{
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_pass http://127.0.0.1:{tcp}/;
    }}
  }}
}}
"""


def unpacked(response: http.client.HTTPResponse, body: bytes) -> bytes:
    if body and response.getheader("Content-Encoding") == "gzip":
        return zlib.decompress(body, 31)
    return body


def check_one_shots(port: int, location: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for method, target, status in [
        ("GET", "/discover", 200),
        ("GET", "/gpu/get_power", 200),
        ("HEAD", "/discover", 200),
        ("HEAD", "/nowhere", 404),
        ("OPTIONS", "/discover", 204),
        ("GET", "/gpu/get_power?gpu_ids=99", 400),
        ("POST", "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=250000&block=true", 200),
        ("POST", "/discover", 405),
    ]:
        for compressed in False, True:
            headers = {"Accept-Encoding": "gzip"} if compressed else {}
            connection.request(method, location + target, headers=headers)
            response = connection.getresponse()
            body = unpacked(response, response.read())
            what = f"{method} {location}{target}: {response.status} {body!r}"
            check(response.status == status, what)
            if body:
                json.loads(body)
            if target == "/discover" and method == "GET":
                check(json.loads(body)["gpu_ids"], what)
    connection.close()


def check_stream(port: int, location: str, compressed: bool) -> None:
    """Events arrive one by one, not when some buffer is full."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"Accept-Encoding": "gzip"} if compressed else {}
    connection.request("GET", location + "/gpu/stream_power?gpu_ids=0", headers=headers)
    start = time.monotonic()
    response = connection.getresponse()
    what = f"stream at {location}, compressed: {compressed}"
    check(response.status == 200, what)
    is_gzip = response.getheader("Content-Encoding") == "gzip"
    inflate = zlib.decompressobj(31)
    text = b""
    while text.count(b"\n\n") < 5:
        check(time.monotonic() - start < 15, f"{what}: only {text!r} in 15 s")
        piece = response.read1()
        check(piece, f"{what}: ended after {text!r}")
        text += inflate.decompress(piece) if is_gzip else piece
    for block in text.split(b"\n\n")[:5]:
        check(block.startswith((b"data: {", b":")), f"{what}: {block!r}")
    connection.close()


def check_nginx(port: int) -> None:
    for location in "/unix", "/tcp", "/kept", "/named":
        check_one_shots(port, location)
        for compressed in False, True:
            check_stream(port, location, compressed)
        print(f"ok: nginx, location {location}")


def run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    check(result.returncode in (0, 28), f"{' '.join(command)}: {result.stderr}{result.stdout}")
    return result.stdout


def check_ab(url: str) -> None:
    for options in [], ["-k"], ["-i"], ["-k", "-i"]:
        said = run("ab", "-q", "-n", "600", "-c", "6", *options, url + "/discover")
        check(re.search(r"Complete requests: +600\n", said), said)
        check(re.search(r"Failed requests: +0\n", said), said)
        check("Non-2xx" not in said, said)
        check("-k" not in options or re.search(r"Keep-Alive requests: +600\n", said), said)
    print("ok: ab, with and without -k and -i")


def check_curl(url: str, socket: str) -> None:
    for where in [url], ["--unix-socket", socket, "http://localhost"]:
        *options, base = where
        for version in "--http1.0", "--http1.1":
            curl = ["curl", "-sS", version, *options]
            check(json.loads(run(*curl, base + "/discover"))["gpu_ids"], "discover")
            check(run(*curl, "-I", base + "/gpu/stream_power").startswith("HTTP/1.1 200"), "-I")
            stream = run(*curl, "-N", "--max-time", "3", base + "/gpu/stream_power?gpu_ids=0")
            check(re.fullmatch(r"((data: \{.*\}|:)\n\n)+(data.*)?", stream), stream)
            limit = base + "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=250000&block=true"
            status = ["-o", "/dev/null", "-w", "%{http_code}"]
            check(run(*curl, *status, "-X", "POST", limit) == "200", "POST")
            check(run(*curl, *status, "-d", "", limit) == "200", "POST of nothing")
            check(run(*curl, *status, "-d", "x", limit) == "413", "POST of something")
        chunked = ["-H", "Transfer-Encoding: chunked", "-d", ""]
        check(run(*curl, *status, *chunked, limit) == "200", "POST of no chunks")
    print("ok: curl")


def main(image: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # For the workers of nginx, which are not root.
        os.chmod(folder, 0o755)
        socket = folder + "/zeusd.sock"
        tcp, port = free_port(), free_port()
        config = folder + "/nginx.conf"
        with open(config, "w") as file:
            file.write(NGINX.format(folder=folder, socket=socket, tcp=tcp, port=port))
        with (
            Daemon(image, "--socket-path", socket),
            Daemon(image, "--mode", "tcp", "--tcp-bind-address", f"127.0.0.1:{tcp}"),
        ):
            wait_until("zeusd listens", accepts(socket))
            wait_until("zeusd listens on TCP", answers(f"http://127.0.0.1:{tcp}/time"))
            nginx = subprocess.Popen(["/usr/sbin/nginx", "-p", folder, "-c", config])
            try:
                wait_until("nginx listens", answers(f"http://127.0.0.1:{port}/unix/time"))
                check_nginx(port)
            finally:
                nginx.terminate()
                nginx.wait(20)
            check_ab(f"http://127.0.0.1:{tcp}")
            check_curl(f"http://127.0.0.1:{tcp}", socket)


main(sys.argv[1])
