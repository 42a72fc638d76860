#!/usr/bin/env python3
"""Holds /openapi.json and a simulated zeusd against each other: the document is OpenAPI 3.1, its examples
fit its own schemas, the requests that schemathesis makes up from it, right ones and wrong ones, are
answered as it says, and so are streams.
Usage: openapi-check.py IMAGE [schemathesis options] (needs python3-venv; takes packages from PyPI)"""

import copy
import hashlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

PACKAGES = ["schemathesis==4.32.5", "openapi-spec-validator==0.9.0"]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zeusd-ci"
VENV = CACHE / ("openapi-" + hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:12])


def run_in_venv() -> None:
    """Goes on in an environment with the packages, which is kept for the next run."""
    if sys.prefix == str(VENV):
        return
    if not (VENV / ".complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        pip = [VENV / "bin/pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES], check=True)
        (VENV / ".complete").touch()
    os.execv(VENV / "bin/python", [VENV / "bin/python", *sys.argv])


run_in_venv()

import openapi_spec_validator  # noqa: E402
from jsonschema import Draft202012Validator  # noqa: E402
from referencing import Registry, Resource  # noqa: E402
from referencing.jsonschema import DRAFT202012  # noqa: E402

from daemon import Daemon, answers, check, free_port, wait_until  # noqa: E402

STREAMS_S = 20
SCHEMATHESIS_S = 600

# What it would flag, and why that is right:
# - 409, 410, 423 to a valid request: leases of other requests, and ids that schemathesis made up. 429: of
#   energy windows, too, there are not any number.
# - 410, 414, 431 to a wrong one: they are refusals, too.
CONFIG = """
request-timeout = 10.0
warnings = false
[checks]
positive_data_acceptance.expected-statuses = ["2xx", 409, 410, 423, 429]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 410, 414, 431]
"""

# What the document does not say of the parameters of a valid request: how two of them go together, and
# how long one wants to wait in a test. And schemathesis takes "0" for a valid value of every header, whatever
# its pattern says.
HOOKS = '''
import re

import schemathesis


def number(query, name):
    try:
        return int(query[name])
    except (KeyError, TypeError, ValueError):
        return None


@schemathesis.hook
def before_call(context, case, kwargs):
    query = case.query or {}
    for name, highest in ("wait_s", 3600), ("ttl_s", 604800):
        if 1 < (number(query, name) or 0) <= highest:
            query[name] = 1
    if case.path == "/energy/begin" and case.meta and case.meta.generation.mode.is_positive:
        # There may be so many of them, and the next one comes at once.
        case.query = {**query, "ttl_s": 1}
    low, high = number(query, "min_clock_mhz"), number(query, "max_clock_mhz")
    if low is not None and high is not None and 0 <= high < low < 2**32:
        query["min_clock_mhz"], query["max_clock_mhz"] = high, low
    if case.path.endswith("/power_history") and case.meta and case.meta.generation.mode.is_positive:
        begin, end = number(query, "from_ms"), number(query, "to_ms")
        if begin is not None and end is not None and end < begin:
            query["from_ms"], query["to_ms"] = end, begin
        if number(query, "step_ms") is not None:
            # A minute in steps of 1 ms is more than an answer has room for.
            query["step_ms"] = max(1000, number(query, "step_ms"))
    lease = (case.headers or {}).get("Zeusd-Lease")
    is_valid = lease is None or re.fullmatch("[0-9a-f]{32}:[0-9]{1,18}", str(lease))
    if case.meta and case.meta.generation.mode.is_positive and not is_valid:
        del case.headers["Zeusd-Lease"]
'''


class Document:
    """The OpenAPI document, with what its references point to."""

    def __init__(self, json_text: bytes):
        self.root = json.loads(json_text)
        resource = Resource.from_contents(self.root, default_specification=DRAFT202012)
        self.registry = Registry().with_resource("urn:zeusd", resource)

    def validator(self, *path: str) -> Draft202012Validator:
        """Of the schema at this path."""
        pointer = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)
        return Draft202012Validator({"$ref": "urn:zeusd#" + pointer}, registry=self.registry)

    def resolved(self, node: dict) -> dict:
        while "$ref" in node:
            target = self.root
            for step in node["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            node = target
        return node

    def operations(self):
        for path, methods in self.root["paths"].items():
            for method, operation in methods.items():
                yield path, method, operation

    def streams(self):
        for path, _, operation in self.operations():
            if "text/event-stream" in operation["responses"].get("200", {}).get("content", {}):
                yield path, operation


def check_examples(document: Document) -> None:
    """Everything that has a schema has an example that fits it, wherever it is."""
    found = 0

    def walk(node, path) -> None:
        nonlocal found
        if isinstance(node, list):
            for index, each in enumerate(node):
                walk(each, (*path, str(index)))
        elif isinstance(node, dict):
            if isinstance(node.get("schema"), dict) and ("example" in node or "examples" in node):
                values = [node["example"]] if "example" in node else []
                values += [each["value"] for each in node.get("examples", {}).values()]
                for value in values:
                    errors = list(document.validator(*path, "schema").iter_errors(value))
                    check(not errors, f"the example at {'/'.join(path)}: {errors}")
                    found += 1
            for key, each in node.items():
                if key not in ("example", "examples"):
                    walk(each, (*path, key))

    walk(document.root, ())
    check(found > 40, f"only {found} examples")
    for path, method, operation in document.operations():
        for status, response in operation["responses"].items():
            for media, content in document.resolved(response).get("content", {}).items():
                has = "example" in content or "examples" in content or path == "/openapi.json"
                check(has, f"{method} {path}: {status} has no example")
        for parameter in map(document.resolved, operation.get("parameters", [])):
            has = "example" in parameter or "enum" in parameter["schema"] or parameter["in"] == "header"
            check(has, f"{method} {path}: {parameter['name']} has no example")
    print(f"ok: OpenAPI 3.1, and {found} examples that fit")


def narrowed(document: dict, node: dict, limits: dict) -> dict:
    """With what the document cannot know of this node, and no member in an answer that it does not name."""
    document = copy.deepcopy(document)
    parameters = document["components"]["parameters"]
    for name, ids in ("GpuIdsToRead", "gpu_ids"), ("GpuIds", "gpu_ids"), ("CpuIds", "cpu_ids"):
        parameters[name]["schema"] = {"type": "array", "minItems": 1, "items": {"enum": node[ids]}}
        parameters[name]["example"] = [0]
    limit = parameter(document["paths"]["/gpu/set_power_limit"]["post"], "power_limit_mw")
    limit["schema"] = {
        "type": "integer",
        "minimum": limits["min_power_limit_mw"],
        "maximum": limits["max_power_limit_mw"],
    }
    # Simulated GPUs stand on no module.
    parameters["PowerScope"]["schema"]["enum"] = ["gpu"]
    keys = [each for each in document["components"]["schemas"]["SettingKey"]["enum"] if "module" not in each]
    parameter(document["paths"]["/lease"]["post"], "keys")["schema"]["items"] = {"enum": keys}
    close(document["components"]["schemas"])
    return document


def parameter(operation: dict, name: str) -> dict:
    [found] = [each for each in operation["parameters"] if each.get("name") == name]
    return found


def close(schema) -> None:
    """Allows no members that are not named, unless it says that there may be some."""
    if isinstance(schema, dict):
        if "properties" in schema and "additionalProperties" not in schema:
            schema["additionalProperties"] = False
        for each in schema.values():
            close(each)


class Client:
    """Asks one daemon, with a token."""

    def __init__(self, port: int, token: str):
        self.port = port
        self.headers = {"Authorization": "Bearer " + token}

    def open(self, method: str, target: str) -> tuple:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=STREAMS_S)
        connection.request(method, target, headers=self.headers)
        return connection, connection.getresponse()

    def json(self, method: str, target: str, status: int = 200) -> dict:
        connection, response = self.open(method, target)
        body = response.read()
        connection.close()
        check(response.status == status, f"{method} {target}: {response.status} {body!r}")
        return json.loads(body)


def check_stream(document: Document, client: Client, path: str, operation: dict, query: dict) -> None:
    """Schemathesis would wait for the end of a stream, so it is left out there and read here."""
    target = path + "?" + urllib.parse.urlencode(query)
    connection, response = client.open("GET", target)
    check(response.status == 200, f"{target}: {response.status}")
    check(response.getheader("Content-Type") == "text/event-stream", target)
    documented = operation["responses"]["200"]
    for name, header in documented["headers"].items():
        wanted = document.resolved(header)["schema"]["const"]
        check(response.getheader(name) == wanted, f"{target}: {name}")
    validator = document.validator(
        "paths", path, "get", "responses", "200", "content", "text/event-stream", "x-itemSchema"
    )
    events = beats = 0
    deadline = time.monotonic() + STREAMS_S
    # Lease streams have one event at first, and then signs of life.
    while events < 1 or events + beats < 2:
        check(time.monotonic() < deadline, f"{target}: {events} events in {STREAMS_S} s")
        line = response.readline().decode()
        check(line in ("\n", ":\n") or line.startswith("data: "), f"{target}: {line!r}")
        if line.startswith("data: "):
            errors = list(validator.iter_errors(json.loads(line.removeprefix("data: "))))
            check(not errors, f"{target}: {line} {errors}")
            events += 1
        beats += line == ":\n"
    connection.close()
    refusal = client.json("GET", target + "&x=1", 400)
    check(not list(document.validator("components", "schemas", "Error").iter_errors(refusal)), refusal)


def check_streams(document: Document, client: Client) -> None:
    count = 0
    for path, operation in document.streams():
        names = {document.resolved(each)["name"]: document.resolved(each) for each in operation["parameters"]}
        if "lease_id" in names:
            lease = client.json("POST", "/lease?gpu_ids=0&keys=power_limit&ttl_s=5", 201)
            check_stream(document, client, path, operation, {"lease_id": lease["lease_id"]})
            client.json("POST", f"/lease/end?lease_id={lease['lease_id']}")
            count += 1
            continue
        for form in names["format"]["schema"]["enum"]:
            check_stream(document, client, path, operation, {"format": form})
            count += 1
    print(f"ok: {count} streams")


def check_requests(document: Document, client: Client, folder: str, options: list) -> None:
    """Schemathesis' own report says what was tried."""
    node = client.json("GET", "/discover")
    limits = client.json("GET", "/gpu/get_power_limit_constraints?gpu_ids=0")["0"]
    files = {
        "openapi.json": json.dumps(narrowed(document.root, node, limits)),
        "schemathesis.toml": CONFIG,
        "zeusd_hooks.py": HOOKS,
    }
    for name, text in files.items():
        Path(folder, name).write_text(text)
    streams = [word for path, _ in document.streams() for word in ("--exclude-path", path)]
    command = [
        VENV / "bin/schemathesis",
        "--config-file", "schemathesis.toml",
        "run", "openapi.json",
        "--url", f"http://127.0.0.1:{client.port}",
        "-H", "Authorization: " + client.headers["Authorization"],
        *streams,
        "--seed", "1",
        "--max-examples", "20",
        *options,
    ]
    environment = dict(os.environ, SCHEMATHESIS_HOOKS="zeusd_hooks", PYTHONPATH=folder)
    said = subprocess.run(command, cwd=folder, env=environment, timeout=SCHEMATHESIS_S)
    check(said.returncode == 0, "schemathesis has found what it says above")


def main(image: str, options: list) -> None:
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder, "signing.key")
        key.write_bytes(os.urandom(32))
        key.chmod(0o600)
        scopes = "gpu-read,gpu-control,cpu-read,lease-admin"
        issue = ["token", "issue", "--signing-key-path", key, "--user", "ci", "--expires", "1h", "--scope", scopes]
        token = subprocess.run([image + "/bin/zeusd", *issue], check=True, capture_output=True, text=True)
        port = free_port()
        serve = ["--mode", "tcp", "--tcp-bind-address", f"127.0.0.1:{port}", "--signing-key-path", str(key)]
        # CPU power takes a period to answer.
        with Daemon(image, *serve, "--cpu-power-poll-hz", "500", "--history", "1m", "--state-dir", folder + "/state"):
            url = f"http://127.0.0.1:{port}"
            wait_until("zeusd listens", answers(url + "/time"))
            client = Client(port, token.stdout.strip())
            document = Document(json.dumps(client.json("GET", "/openapi.json")).encode())
            openapi_spec_validator.validate(document.root)
            check_examples(document)
            check_streams(document, client)
            check_requests(document, client, folder, options)


main(sys.argv[1], sys.argv[2:])
