"""ZeusdNVIDIAGPU and ZeusdRAPLCPU: what Zeus puts in the place of a device when it finds a daemon."""

import time

import pytest
from zeus.device.cpu.rapl import RAPLCPUs, ZeusdRAPLCPU
from zeus.device.exception import ZeusdError
from zeus.device.gpu.nvidia import NVIDIAGPUs, ZeusdNVIDIAGPU
from zeus.utils.zeusd import ZeusdCapabilityError, ZeusdClient

from conftest import Meter, wait_for
from nodes import GPUS, NO_PERMISSION, SET_POWER_LIMIT, SNAPSHOT


@pytest.fixture
def gpus(daemon, environment) -> NVIDIAGPUs:
    environment(**daemon.env)
    return NVIDIAGPUs()


def test_gpus_are_behind_the_daemon(gpus):
    assert [type(gpu) for gpu in gpus.gpus] == [ZeusdNVIDIAGPU] * GPUS
    assert all(gpu.supports_nonblocking_setters for gpu in gpus.gpus)


def test_visible_gpus(daemon, environment):
    environment(CUDA_VISIBLE_DEVICES="2,0", **daemon.env)
    first, second = NVIDIAGPUs().gpus
    first.set_power_management_limit(210000)
    second.set_power_management_limit(220000)
    assert (daemon.nvml.limit(2), daemon.nvml.limit(0)) == (210000, 220000)


@pytest.mark.parametrize("block", [True, False])
def test_gpu(daemon, gpus, block):
    nvml, gpu = daemon.nvml, gpus.gpus[1]
    gpu.set_power_management_limit(200000, block)
    wait_for(lambda: gpu.get_power_management_limit() == nvml.limit(1) == 200000)
    gpu.reset_power_management_limit(block)
    wait_for(lambda: nvml.limit(1) == 300000)
    gpu.set_persistence_mode(True, block)
    wait_for(lambda: nvml.persistence(1))
    if not SNAPSHOT:
        assert gpu.get_persistence_mode() is True
    gpu.set_gpu_locked_clocks(300, 900, block)
    wait_for(lambda: nvml.gpu_clocks(1) == (300, 900))
    gpu.set_memory_locked_clocks(405, 1000, block)
    wait_for(lambda: nvml.mem_clocks(1) == (405, 1000))
    gpu.reset_gpu_locked_clocks(block)
    gpu.reset_memory_locked_clocks(block)
    wait_for(lambda: nvml.gpu_clocks(1) == nvml.mem_clocks(1) == (0, 0))
    assert nvml.limit(0) == 300000 and not nvml.persistence(0)


def test_gpu_errors(daemon, gpus):
    gpu = gpus.gpus[0]
    with pytest.raises(ZeusdError, match="set_power_limit"):
        gpu.set_power_management_limit(1)
    with pytest.raises(ZeusdError, match="set_gpu_locked_clocks"):
        gpu.set_gpu_locked_clocks(900, 300)
    daemon.nvml.fail(0, SET_POWER_LIMIT, NO_PERMISSION)
    with pytest.raises(ZeusdError, match="set_power_limit"):
        gpu.set_power_management_limit(250000)


def test_cpu(daemon, cpus, environment):
    environment(**daemon.env)
    client = ZeusdClient()
    with_dram, without = ZeusdRAPLCPU(0, client), ZeusdRAPLCPU(1, client)
    assert with_dram.supports_get_dram_energy_consumption()
    assert not without.supports_get_dram_energy_consumption()
    meter = Meter(with_dram.get_total_energy_consumption)
    time.sleep(0.5)
    meter.check(lambda energy: energy.cpu_mj, 50, 1e3)
    meter.check(lambda energy: energy.dram_mj, 8, 1e3)
    assert without.get_total_energy_consumption().dram_mj is None
    with pytest.raises(ZeusdCapabilityError, match=r"CPU indices \[2\] not available"):
        ZeusdRAPLCPU(2, client)


def test_cpus_of_this_node_are_behind_the_daemon(daemon, cpus_at_sys, environment):
    environment(**daemon.env)
    cpus = RAPLCPUs().cpus
    assert [type(cpu) for cpu in cpus] == [ZeusdRAPLCPU] * 2
    assert all(cpu.get_total_energy_consumption().cpu_mj > 0 for cpu in cpus)
