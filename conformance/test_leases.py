"""Published clients know nothing of leases: on other GPUs they work as ever, on the same one they are told."""

import os
import signal
import subprocess
import sys

import httpx
import pytest
from zeus.device.exception import ZeusdError
from zeus.device.gpu.nvidia import NVIDIAGPUs

from conftest import ours_only, wait_for
from nodes import GPUS

pytestmark = ours_only("it has no leases")
KEYS = "power_limit,gpu_clocks,mem_clocks,persistence_mode"


@pytest.fixture
def gpus(daemon, environment) -> NVIDIAGPUs:
    environment(**daemon.env)
    return NVIDIAGPUs()


@pytest.fixture
def lease(daemon):
    """Somebody has a lease of all that can be set on GPU 0, and has lowered its limit."""
    if daemon.transport == "tcp":
        client = httpx.Client(base_url=f"http://127.0.0.1:{daemon.port}")
    else:
        client = httpx.Client(base_url="http://x", transport=httpx.HTTPTransport(uds=str(daemon.socket)))
    with client:
        lease = client.post("/lease", params={"gpu_ids": "0", "keys": KEYS, "ttl_s": 60}).json()
        limit = {"gpu_ids": "0", "power_limit_mw": 150000, "block": "true"}
        header = {"Zeusd-Lease": f"{lease['lease_id']}:{lease['epoch']}"}
        client.post("/gpu/set_power_limit", params=limit, headers=header).raise_for_status()
        yield client
        client.post("/lease/end", params={"lease_id": lease["lease_id"]}).raise_for_status()
    assert daemon.nvml.limit(0) == 300000


@pytest.mark.parametrize("block", [True, False])
def test_a_lease_of_another_gpu_is_none_of_its_business(daemon, gpus, lease, block):
    gpu = gpus.gpus[1]
    gpu.set_power_management_limit(200000, block)
    gpu.set_persistence_mode(True, block)
    gpu.set_gpu_locked_clocks(300, 900, block)
    gpu.set_memory_locked_clocks(405, 1000, block)
    wait_for(lambda: daemon.nvml.mem_clocks(1) == (405, 1000))
    assert gpu.get_power_management_limit() == daemon.nvml.limit(1) == 200000
    assert daemon.nvml.persistence(1) and daemon.nvml.gpu_clocks(1) == (300, 900)
    assert gpus.gpus[0].get_power_management_limit() == daemon.nvml.limit(0) == 150000


@pytest.mark.parametrize("block", [True, False])
def test_a_lease_of_the_same_gpu_is_told(daemon, gpus, lease, block):
    gpu = gpus.gpus[0]
    limit = {"gpu_ids": "0", "power_limit_mw": 200000, "block": block}
    assert lease.post("/gpu/set_power_limit", params=limit).status_code == 423
    held = " is held by lease [0-9]+ of .* unless it is renewed"
    for set_something in (
        lambda: gpu.set_power_management_limit(200000, block),
        lambda: gpu.reset_power_management_limit(block),
        lambda: gpu.set_persistence_mode(True, block),
        lambda: gpu.set_gpu_locked_clocks(300, 900, block),
        lambda: gpu.reset_memory_locked_clocks(block),
    ):
        with pytest.raises(ZeusdError, match=held):
            set_something()
    assert daemon.nvml.limit(0) == 150000 and not daemon.nvml.persistence(0)


def test_what_a_client_has_set_comes_back_when_it_is_killed(start):
    daemon = start("--restore-on", "process-exit", transport="uds")
    program = """
from zeus.device.gpu.nvidia import NVIDIAGPUs
gpus = NVIDIAGPUs()
gpus.gpus[0].set_power_management_limit(200000, True)
print("set", flush=True)
input()
"""
    env = {**os.environ, **daemon.env, "FAKE_NVML_STATE": str(daemon.state), "FAKE_NVML_GPUS": str(GPUS)}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], env=env, stdin=pipe, stdout=pipe) as client:
        assert client.stdout.readline() == b"set\n"
        assert daemon.nvml.limit(0) == 200000
        client.send_signal(signal.SIGKILL)
    wait_for(lambda: daemon.nvml.limit(0) == 300000)
