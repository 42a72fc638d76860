"""ZeusdClient: discovery, and every method."""

import subprocess
import sys
import time

import pytest
from zeus.device.exception import ZeusdError
from zeus.utils.zeusd import (
    ZeusdCapabilityError,
    ZeusdClient,
    ZeusdConfig,
    ZeusdConnectionError,
    require_capabilities,
)

from conftest import Meter, wait_for, wait_for_value
from nodes import (
    COUNTING,
    GPUS,
    INVALID_ARGUMENT,
    IS_PEER,
    NO_PERMISSION,
    RAPL_AT_SYS,
    SET_POWER_LIMIT,
    SNAPSHOT,
    free_port,
)

COVERED = (
    "auth_error auth_required can_control_gpu can_read_cpu can_read_gpu cpu_ids dram_available endpoint",
    "get_cpu_energy get_cpu_power get_gpu_energy get_gpu_power get_time gpu_ids granted_scopes make_client",
    "reset_gpu_locked_clocks reset_mem_locked_clocks set_gpu_locked_clocks set_mem_locked_clocks",
    "set_persistence_mode set_power_limit url",
    "cpus get_persistence_mode get_power_limit get_power_limit_constraints gpus",  # since 0.16
)
since_0_16 = pytest.mark.skipif(SNAPSHOT, reason="the client has these methods since 0.16")


@pytest.fixture
def client(daemon) -> ZeusdClient:
    return ZeusdClient(daemon.config())


def test_this_suite_knows_every_method():
    there_are = {name for name in dir(ZeusdClient) if not name.startswith("_")}
    if unknown := there_are - set(" ".join(COVERED).split()):
        pytest.skip(f"a new client: no case yet for {sorted(unknown)}")


def test_discovers_gpus(daemon, client):
    assert client.endpoint == daemon.endpoint
    assert client.gpu_ids == list(range(GPUS))
    assert (client.can_read_gpu, client.can_control_gpu, client.can_read_cpu) == (True, True, True)
    assert (client.auth_required, client.auth_error, client.granted_scopes) == (False, None, frozenset())


def test_discovers_cpus(cpus, client):
    assert client.cpu_ids == [0, 1]
    assert client.dram_available == [True, False]


@since_0_16
def test_describes_devices(cpus, client):
    assert [gpu.name for gpu in client.gpus] == ["NVIDIA Fake GPU"] * GPUS
    assert [(cpu.id, cpu.dram_available) for cpu in client.cpus] == [(0, True), (1, False)]


def test_is_found_by_environment(daemon, environment):
    environment(**daemon.env)
    assert ZeusdClient().endpoint == daemon.endpoint


def test_nothing_there():
    with pytest.raises(ZeusdConnectionError):
        ZeusdClient(ZeusdConfig.tcp("127.0.0.1", free_port()))
    with pytest.raises(ZeusdConnectionError):
        ZeusdClient()


def test_show_env(daemon, environment):
    environment(**daemon.env)
    shown = subprocess.run([sys.executable, "-m", "zeus.show_env"], capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0, shown.stderr
    assert f"Endpoint: {daemon.endpoint}" in shown.stdout
    assert "can_control_gpu: True" in shown.stdout
    assert "Error" not in shown.stdout
    if RAPL_AT_SYS:
        assert f"CPU measurements available (Zeusd at {daemon.endpoint})" in shown.stdout


def test_own_requests(client):
    with client.make_client() as http:
        assert http.get(client.url("/discover")).json()["auth_required"] is False
        assert http.get(client.url("/auth/whoami")).status_code == 404


def test_time(client):
    before = time.time()
    assert before - 1 <= client.get_time() <= time.time() + 1


def test_gpu_power(daemon, client):
    for gpu in range(GPUS):  # not steady: for that the Rust zeusd 0.4 answers only once
        daemon.nvml.power(gpu, 4_000_000_000 + 1000 * gpu, COUNTING)
    before_ms = time.time() * 1000
    every, some = client.get_gpu_power(), client.get_gpu_power([2, 0])
    assert every.power_mw == {gpu: pytest.approx(4_000_000_000 + 1000 * gpu, abs=100) for gpu in range(GPUS)}
    assert some.power_mw == {gpu: pytest.approx(4_000_000_000 + 1000 * gpu, abs=100) for gpu in (0, 2)}
    assert before_ms - 2000 <= every.timestamp_ms <= time.time() * 1000 + 2000


def test_gpu_energy(daemon, client):
    daemon.nvml.energy(1, 2**40 + 7)
    daemon.nvml.energy(3, 5)
    assert client.get_gpu_energy([3, 1]) == {1: 2**40 + 7, 3: 5}


@since_0_16
def test_gpu_limits(daemon, client):
    daemon.nvml.set(1, 336, 250000)
    assert client.get_power_limit() == {0: 300000, 1: 250000, 2: 300000, 3: 300000}
    assert client.get_power_limit([1]) == {1: 250000}
    assert client.get_power_limit_constraints([0]) == {0: (100000, 400000)}
    assert len(client.get_power_limit_constraints()) == GPUS


@pytest.mark.parametrize("block", [True, False])
def test_sets(daemon, client, block):
    nvml = daemon.nvml
    client.set_power_limit([0, 2], 200000, block)
    wait_for(lambda: [nvml.limit(gpu) for gpu in range(GPUS)] == [200000, 300000, 200000, 300000])
    client.set_persistence_mode([1], True, block)
    wait_for(lambda: [nvml.persistence(gpu) for gpu in range(GPUS)] == [False, True, False, False])
    client.set_gpu_locked_clocks([3], 500, 1500, block)
    wait_for(lambda: nvml.gpu_clocks(3) == (500, 1500))
    client.set_mem_locked_clocks([3], 405, 2619, block)
    wait_for(lambda: nvml.mem_clocks(3) == (405, 2619))
    client.reset_gpu_locked_clocks([3], block)
    wait_for(lambda: nvml.gpu_clocks(3) == (0, 0))
    assert nvml.mem_clocks(3) == (405, 2619)
    client.reset_mem_locked_clocks([3], block)
    wait_for(lambda: nvml.mem_clocks(3) == (0, 0))
    client.set_persistence_mode([1, 0], False, block)
    wait_for(lambda: not nvml.persistence(1))


def test_done_when_blocking(daemon, client):
    for limit in range(150000, 150020):
        client.set_power_limit([0], limit)
        assert daemon.nvml.limit(0) == limit


@since_0_16
def test_persistence_mode(client):
    client.set_persistence_mode([1], True)
    assert client.get_persistence_mode() == {0: False, 1: True, 2: False, 3: False}
    assert client.get_persistence_mode([1]) == {1: True}


def test_refusals_touch_nothing(daemon, client):
    before = daemon.nvml.writes()
    for call in (
        lambda: client.set_power_limit([0, 99], 200000),
        lambda: client.set_power_limit([], 200000),
        lambda: client.set_power_limit([0], 2**32),
        lambda: client.set_power_limit([0], -1),
        lambda: client.set_gpu_locked_clocks([0], -5, 1000),
        lambda: client.get_gpu_power([99]),
        lambda: client.get_gpu_energy([]),
        lambda: client.get_gpu_energy([-1]),
        lambda: client.get_cpu_power([99]),
        lambda: client.get_cpu_energy([99]),
    ):
        with pytest.raises(ZeusdError, match="Failed to"):
            call()
    assert daemon.nvml.writes() == before


@pytest.mark.skipif(IS_PEER and SNAPSHOT, reason="the Rust zeusd 0.4 answers with no GPU")
def test_refuses_to_read_no_gpu(client):
    with pytest.raises(ZeusdError, match="gpu_ids"):
        client.get_gpu_power([])


def test_one_gpu_fails(daemon, client):
    daemon.nvml.fail(2, SET_POWER_LIMIT, NO_PERMISSION)
    with pytest.raises(ZeusdError, match=r'"errors":\s*{\s*"2":'):
        client.set_power_limit([0, 2], 200000)
    assert (daemon.nvml.limit(0), daemon.nvml.limit(2)) == (200000, 300000)
    with pytest.raises(ZeusdError, match='"1":'):  # above the greatest limit
        client.set_power_limit([1], 500000)
    daemon.nvml.fail(2, SET_POWER_LIMIT, INVALID_ARGUMENT)
    client.set_power_limit([2], 200000, block=False)  # nobody hears of it


def test_cpu_energy(cpus, client):
    meter = Meter(lambda: client.get_cpu_energy([1, 0]))
    time.sleep(0.5)
    meter.check(lambda energy: energy[0].cpu_energy_uj, 50, 1e6)
    meter.check(lambda energy: energy[0].dram_energy_uj, 8, 1e6)
    meter.check(lambda energy: energy[1].cpu_energy_uj, 70, 1e6)
    assert meter.first[1].dram_energy_uj is None


def test_cpu_energy_in_parts(cpus, client):
    only_cpu, only_dram = client.get_cpu_energy([0], dram=False)[0], client.get_cpu_energy([0], cpu=False)[0]
    assert only_cpu.cpu_energy_uj > 0 and only_cpu.dram_energy_uj is None
    assert only_dram.cpu_energy_uj is None and only_dram.dram_energy_uj > 0
    if not SNAPSHOT:
        assert sorted(client.get_cpu_energy()) == [0, 1]


def test_cpu_energy_over_a_wrap(cpus, client):
    client.get_cpu_energy([0])
    cpus.wrap_in("intel-rapl:0", 0.3)
    meter = Meter(lambda: client.get_cpu_energy([0]))
    time.sleep(0.6)
    assert cpus.energy_uj("intel-rapl:0") < 1e9
    meter.check(lambda energy: energy[0].cpu_energy_uj, 50, 1e6)


def test_cpu_power(cpus, client):
    def power() -> list:
        by_cpu = client.get_cpu_power().power_mw
        return [by_cpu[0].cpu_mw, by_cpu[0].dram_mw, by_cpu[1].cpu_mw]

    wait_for_value(power, [50000, 8000, 70000])
    before_ms = time.time() * 1000
    every = client.get_cpu_power()
    assert every.power_mw[1].dram_mw is None
    assert before_ms - 2000 <= every.timestamp_ms <= time.time() * 1000 + 2000
    assert sorted(client.get_cpu_power([1]).power_mw) == [1]


def test_group_not_enabled(shared):
    daemon = shared("gpu-read", "--enable", "gpu-read")
    client = ZeusdClient(daemon.config())
    before = daemon.nvml.writes()
    assert (client.can_read_gpu, client.can_control_gpu, client.can_read_cpu) == (True, False, False)
    assert client.cpu_ids == []
    assert len(client.get_gpu_power().power_mw) == GPUS
    with pytest.raises(ZeusdCapabilityError, match="'gpu-control' is not enabled"):
        require_capabilities(client, read_gpu=True, control_gpu=True)
    with pytest.raises(ZeusdError, match="gpu-control"):
        client.set_power_limit([0], 200000)
    with pytest.raises(ZeusdError, match="cpu-read"):
        client.get_cpu_power()
    assert daemon.nvml.writes() == before
