#!/usr/bin/env python3
"""Checks the manifests: YAML, names that have to agree, options that zeusd takes, that every kind of node
gets one daemon and only one, that the memory suffices, and the probe, which is run against a real daemon.
Usage: check.py DIST_DIR (needs python3-yaml and perl)"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import yaml

HERE = pathlib.Path(__file__).parent
IMAGE = pathlib.Path(sys.argv[1])
zeusd = str(IMAGE / "bin/zeusd")

# Nodes by their labels and taints; with the groups that a daemon has to offer there.
GPU = {"nvidia.com/gpu.present": "true"}
NODES = {
    "a node with a GPU": (GPU, [], True),
    "a node for GPU work only": (GPU, [("nvidia.com/gpu", "NoSchedule")], True),
    "a CPU-only node": ({}, [], False),
    "a node whose GPU is gone": ({"nvidia.com/gpu.present": "false"}, [], False),
    "a control-plane node": ({}, [("node-role.kubernetes.io/control-plane", "NoSchedule")], False),
    "a node of one team, under pressure": (
        GPU, [("team", "NoExecute"), ("node.kubernetes.io/memory-pressure", "NoSchedule")], True),
}
# What the JVM takes beside its heap, by far.
BESIDE_HEAP_MIB = 150
UNITS = {"Mi": 1, "Gi": 1024}


def runs_at(pod: dict, labels: dict, taints: list) -> bool:
    """Whether the scheduler would put the pod there, as far as these manifests say."""
    if not pod.get("nodeSelector", {}).items() <= labels.items():
        return False
    required = pod.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    for term in required["nodeSelectorTerms"] if required else []:
        for expression in term["matchExpressions"]:
            assert expression["operator"] == "NotIn", "another operator: teach this check"
            if labels.get(expression["key"]) in expression["values"]:
                return False
    return all(
        any(
            toleration.get("operator") == "Exists"
            and toleration.get("key", key) == key
            and toleration.get("effect", effect) == effect
            for toleration in pod["tolerations"]
        )
        for key, effect in taints
    )


def check_daemon_set(daemon_set: dict) -> dict:
    """Its template of pods."""
    assert daemon_set["kind"] == "DaemonSet" and daemon_set["apiVersion"] == "apps/v1"
    spec = daemon_set["spec"]
    pod = spec["template"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items(), "selector"
    assert pod["priorityClassName"] == "system-node-critical"
    [container] = pod["containers"]
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert mounts == volumes, (mounts, volumes)
    # What outlives a container lies on the node.
    assert {"name": "state", "mountPath": "/var/lib/zeusd"} in container["volumeMounts"]
    ports = {port["name"] for port in container.get("ports", [])}
    for kind in "startupProbe", "readinessProbe", "livenessProbe":
        probe = container[kind]
        assert "exec" in probe or probe["httpGet"]["port"] in ports, kind
    check_memory(container)
    # With --help, options are checked and nothing is started.
    subprocess.run([zeusd, *container["args"], "--help"], check=True, stdout=subprocess.DEVNULL)
    return spec["template"]


def check_memory(container: dict) -> None:
    heap = int(re.search(r"^-Xmx(\d+)m$", (IMAGE / "lib/jvm.options").read_text(), re.M)[1])
    amount, unit = re.fullmatch(r"(\d+)(\w+)", container["resources"]["limits"]["memory"]).groups()
    limit = int(amount) * UNITS[unit]
    assert limit >= heap + BESIDE_HEAP_MIB, f"limit {limit} MiB, but a heap of {heap}"


def check(manifest: pathlib.Path) -> list:
    namespace, *daemon_sets = yaml.safe_load_all(manifest.read_text())
    # Volumes of the node are for privileged namespaces only.
    assert namespace["kind"] == "Namespace"
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"
    assert {each["metadata"]["namespace"] for each in daemon_sets} == {namespace["metadata"]["name"]}
    selectors = [str(each["spec"]["selector"]) for each in daemon_sets]
    assert len(set(selectors)) == len(selectors), "two DaemonSets would take each other's pods"
    templates = [check_daemon_set(each) for each in daemon_sets]
    pods = [each["spec"] for each in templates]
    for node, (labels, taints, has_gpu) in NODES.items():
        there = [pod for pod in pods if runs_at(pod, labels, taints)]
        assert len(there) == 1, f"{node} gets {len(there)} daemons"
        # A runtime class that the node lacks would keep the pod from starting.
        assert ("runtimeClassName" in there[0]) == has_gpu, node
        groups = next(word for word in there[0]["containers"][0]["args"] if word.startswith("--enable="))
        assert ("gpu-read" in groups) == has_gpu and "cpu-read" in groups, (node, groups)
    print(f"ok: {manifest.name}")
    return templates


def check_probe(container: dict) -> None:
    assert container["livenessProbe"]["exec"]["command"] == ["zeusd-healthcheck"]
    assert " /usr/bin/zeusd-healthcheck\n" in (HERE.parent / "Dockerfile").read_text()
    [socket_option] = [word for word in container["args"] if word.startswith("--socket-path=")]
    with tempfile.TemporaryDirectory() as folder:
        socket = folder + "/zeusd.sock"
        option = socket_option.replace("/run/zeusd/zeusd.sock", socket)
        assert option != socket_option
        daemon = subprocess.Popen([zeusd, "serve", "--simulate", "--state-dir", folder + "/state", option],
                                  stderr=subprocess.DEVNULL)
        probe = [str(IMAGE / "lib/healthcheck"), str(daemon.pid)]
        try:
            for _ in range(300):
                if subprocess.run(probe, stderr=subprocess.DEVNULL, timeout=10).returncode == 0:
                    break
                time.sleep(0.1)
            subprocess.run(probe, check=True, timeout=10)
            os.rename(socket, socket + ".away")
            failed = subprocess.run(probe, stderr=subprocess.PIPE, timeout=10)
            assert failed.returncode != 0, "the probe is content without a socket"
        finally:
            daemon.terminate()
            daemon.wait(10)
    print("ok: the exec probe")


def check_scraping(templates: list) -> None:
    """The monitor finds the pods and their port, and so does who goes by annotations."""
    monitor = yaml.safe_load((HERE / "podmonitor.yaml").read_text())
    assert monitor["kind"] == "PodMonitor" and monitor["apiVersion"] == "monitoring.coreos.com/v1"
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    for template in templates:
        assert monitor["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        [port] = template["spec"]["containers"][0]["ports"]
        assert port["name"] == endpoint["port"]
        annotations = template["metadata"]["annotations"]
        assert annotations["prometheus.io/port"] == str(port["containerPort"])
        assert annotations["prometheus.io/path"] == endpoint["path"]
    print("ok: podmonitor.yaml")


MANIFESTS = "full.yaml", "monitoring-only.yaml"
templates = {name: check(HERE / name) for name in MANIFESTS}
pods = {name: [each["spec"] for each in templates[name]] for name in MANIFESTS}
check_scraping(templates["monitoring-only.yaml"])
for pod in pods["monitoring-only.yaml"]:
    assert "--tcp-bind-address=[::]:4938" in pod["containers"][0]["args"], "IPv6-only clusters"
check_probe(pods["full.yaml"][0]["containers"][0])
