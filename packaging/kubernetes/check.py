#!/usr/bin/env python3
"""Checks the manifests: YAML, names that have to agree, options that zeusd takes, and the exec probe,
which is run against a real daemon. Usage: check.py DIST_DIR (needs python3-yaml and perl)"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

import yaml

HERE = pathlib.Path(__file__).parent
zeusd = os.path.join(sys.argv[1], "bin", "zeusd")


def check(manifest: pathlib.Path) -> dict:
    [daemon_set] = list(yaml.safe_load_all(manifest.read_text()))
    assert daemon_set["kind"] == "DaemonSet" and daemon_set["apiVersion"] == "apps/v1"
    spec = daemon_set["spec"]
    pod = spec["template"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items(), "selector"
    [container] = pod["containers"]
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert mounts == volumes, (mounts, volumes)
    ports = {port["name"] for port in container.get("ports", [])}
    for kind in "startupProbe", "readinessProbe", "livenessProbe":
        probe = container[kind]
        assert "exec" in probe or probe["httpGet"]["port"] in ports, kind
    # With --help, options are checked and nothing is started.
    subprocess.run([zeusd, *container["args"], "--help"], check=True, stdout=subprocess.DEVNULL)
    print(f"ok: {manifest.name}")
    return container


def check_probe(container: dict) -> None:
    command = container["livenessProbe"]["exec"]["command"]
    with tempfile.TemporaryDirectory() as folder:
        socket = folder + "/zeusd.sock"
        probe = [word.replace("/run/zeusd/zeusd.sock", socket) for word in command]
        assert probe != command
        assert subprocess.run(probe).returncode != 0, "the probe is content without a daemon"
        daemon = subprocess.Popen(
            [zeusd, "serve", "--simulate", "--socket-path", socket], stderr=subprocess.DEVNULL
        )
        try:
            for _ in range(300):
                if os.path.exists(socket):
                    break
                time.sleep(0.1)
            subprocess.run(probe, check=True, timeout=10)
        finally:
            daemon.terminate()
            daemon.wait(10)
    print("ok: the exec probe")


containers = {path.name: check(path) for path in sorted(HERE.glob("*.yaml"))}
assert set(containers) == {"full.yaml", "monitoring-only.yaml"}
check_probe(containers["full.yaml"])
