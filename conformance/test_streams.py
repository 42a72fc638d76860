"""PowerStreamingClient."""

import asyncio
import signal
import time

import pytest
from zeus.monitor.power_streaming import PowerStreamingClient

from conftest import ours_only, wait_for, wait_for_value
from nodes import CONSTANT, COUNTING, GET_FIELD_VALUES, GPU_IS_LOST, GPUS, IS_PEER, RaplTree


@pytest.fixture
def stream():
    """Opens streaming clients and closes them."""
    clients = []

    def stream(*servers, **options) -> PowerStreamingClient:
        clients.append(PowerStreamingClient(servers, **options))
        return clients[-1]

    yield stream
    for client in clients:
        client.stop()


def readings_of(client, daemon, gpus=range(GPUS), cpus=()):
    """The readings once there is one for each of these devices."""

    def complete():
        readings = client.get_power().get(daemon.endpoint)
        if readings and set(gpus) <= set(readings.gpu_power_w) and set(cpus) <= set(readings.cpu_power_w):
            return readings
        return None

    return wait_for(complete)


def wait_for_gpus(client, daemon, base: dict[int, int]):
    """Waits until each of these GPUs, and no other, was read while it counted in mW from this base in W."""

    def fits():
        watts = client.get_power()[daemon.endpoint].gpu_power_w
        return watts.keys() == base.keys() and all(base[gpu] <= watts[gpu] < base[gpu] + 90 for gpu in base)

    readings_of(client, daemon, base)
    wait_for(fits)


def test_gpus(daemon, stream):
    client = stream(daemon.config(cpu_indices=[]))
    wait_for_gpus(client, daemon, {gpu: 100 * (gpu + 1) for gpu in range(GPUS)})
    readings = client.get_power()[daemon.endpoint]
    assert readings.timestamp_s == pytest.approx(time.time(), abs=30)  # steady power: of its last change
    assert readings.cpu_power_w == {}


def test_gpus_and_cpus(daemon, cpus, stream, caplog):
    client = stream(daemon.config())
    readings_of(client, daemon, cpus=(0, 1))

    def power():
        return client.get_power()[daemon.endpoint].cpu_power_w

    wait_for_value(lambda: [power()[0].cpu_w, power()[0].dram_w, power()[1].cpu_w], [50, 8, 70])
    assert power()[1].dram_w is None
    assert "SSE event" not in caplog.text  # "Malformed", "Invalid JSON"


def test_some(daemon, cpus, stream):
    client = stream(daemon.config(gpu_indices=[3, 1], cpu_indices=[1]))
    readings_of(client, daemon, gpus=(1, 3), cpus=(1,))
    time.sleep(0.3)
    readings = client.get_power()[daemon.endpoint]
    assert (sorted(readings.gpu_power_w), sorted(readings.cpu_power_w)) == ([1, 3], [1])


def test_indices_that_are_not_there(daemon, stream):
    with pytest.raises(ValueError, match="GPU indices"):
        stream(daemon.config(gpu_indices=[0, GPUS]))
    with pytest.raises(ValueError, match="CPU indices"):
        stream(daemon.config(cpu_indices=[7]))


def test_iterates_at_the_rate_of_the_daemon(daemon, stream):
    client = stream(daemon.config(gpu_indices=[0], cpu_indices=[]))
    readings_of(client, daemon, gpus=(0,))
    for _ in range(5):  # of a few seconds, one is not slow for the machine's reasons
        seen, begin = [], time.monotonic()
        for readings in client:
            seen.append((readings[daemon.endpoint].timestamp_s, readings[daemon.endpoint].gpu_power_w[0]))
            if time.monotonic() > begin + 1:
                break
        assert seen == sorted(seen)
        values = len({watts for _, watts in seen})
        assert values <= 20 * (time.monotonic() - begin) + 5  # 20 Hz
        if values >= 10:
            break
    assert values >= 10


def test_iterates_asynchronously(daemon, stream):
    client = stream(daemon.config())

    async def first(count: int) -> list:
        seen = []
        async for readings in client:
            seen.append(readings)
            if len(seen) == count:
                return seen

    assert len(asyncio.run(asyncio.wait_for(first(5), 10))) == 5


@ours_only("a second subscriber of a steady device waits until its power changes")
def test_steady_power_is_seen_at_once_by_everyone(daemon, stream):
    for gpu in range(GPUS):
        daemon.nvml.power(gpu, 75000, CONSTANT)
    for _ in range(3):
        client = stream(daemon.config(cpu_indices=[]))
        readings = readings_of(client, daemon)
        assert readings.gpu_power_w == dict.fromkeys(range(GPUS), 75.0)


def test_several_daemons_at_once(shared, start, cpus, stream, tmp_path):
    trees = [RaplTree(tmp_path / f"rapl{i}", 2.0 + i) for i in range(2)]
    daemons = [
        start(transport="tcp", rapl=trees[0]),
        start(transport="uds", rapl=trees[1]),
        shared("gpu-read", "--enable", "gpu-read"),
    ]
    for i, daemon in enumerate(daemons):
        for gpu in range(GPUS):
            daemon.nvml.power(gpu, 1_000_000 * (i + 1), COUNTING)
    client = stream(
        daemons[0].config(gpu_indices=[0], cpu_indices=[0]),
        daemons[1].config(),
        daemons[2].config(),
    )
    everyone = list(range(GPUS))
    for i, (daemon, gpus, cpu_ids) in enumerate(zip(daemons, ([0], everyone, everyone), ([0], [0, 1], []))):
        readings = readings_of(client, daemon, gpus, cpu_ids)
        assert sorted(readings.cpu_power_w) == cpu_ids
        wait_for_gpus(client, daemon, dict.fromkeys(gpus, 1000 * (i + 1)))
        if i < 2 and not IS_PEER:  # the peer's daemons all look at the same CPUs
            wait_for_value(lambda: [client.get_power()[daemon.endpoint].cpu_power_w[0].cpu_w], [50 * (2 + i)])
    for tree in trees:
        tree.close()


@pytest.mark.parametrize(
    "transport, how",
    [
        pytest.param("tcp", signal.SIGKILL, id="tcp-SIGKILL"),
        pytest.param("uds", signal.SIGKILL, id="uds-SIGKILL"),
        pytest.param("uds", signal.SIGTERM, id="uds-SIGTERM", marks=ours_only("it waits for its streams to end")),
    ],
)
def test_reconnects(shared, start, tree, stream, transport, how):
    other, daemon = shared("tcp"), start(transport=transport, rapl=tree)
    client = stream(daemon.config(), other.config(cpu_indices=[]), reconnect_delay_s=0.5)
    readings_of(client, daemon)
    begin = time.monotonic()
    daemon.stop(how)
    assert time.monotonic() - begin < 8  # it does not wait for its streams, which would never end
    old = readings_of(client, other).gpu_power_w[0]
    restarted = time.time()
    daemon.start()
    wait_for(lambda: client.get_power()[other.endpoint].gpu_power_w[0] > old)
    for gpu in range(GPUS):
        daemon.nvml.power(gpu, 5_000_000, COUNTING)
    wait_for_gpus(client, daemon, dict.fromkeys(range(GPUS), 5000))
    timestamp_s = client.get_power()[daemon.endpoint].timestamp_s
    assert restarted - 1 <= timestamp_s <= time.time() + 1


def test_a_gpu_fails_and_heals(daemon, stream):
    client = stream(daemon.config(cpu_indices=[]))
    readings_of(client, daemon)
    daemon.nvml.fail(1, GET_FIELD_VALUES, GPU_IS_LOST)
    time.sleep(0.3)
    old = client.get_power()[daemon.endpoint].gpu_power_w
    wait_for(lambda: client.get_power()[daemon.endpoint].gpu_power_w[0] > old[0])
    daemon.nvml.power(1, 7_000_000, COUNTING)
    daemon.nvml.fail(1, GET_FIELD_VALUES, 0)
    wait_for_gpus(client, daemon, {0: 100, 1: 7000, 2: 300, 3: 400})


def test_reading_stops_with_the_last_client(daemon, stream):
    def reads(seconds: float) -> float:
        begin, before = time.monotonic(), daemon.nvml.calls(GET_FIELD_VALUES)
        time.sleep(seconds)
        return (daemon.nvml.calls(GET_FIELD_VALUES) - before) / (time.monotonic() - begin)

    clients = [stream(daemon.config(cpu_indices=[])) for _ in range(2)]
    for client in clients:
        readings_of(client, daemon)
    assert reads(1) < 20 * GPUS * 1.3  # both share one reading
    before = daemon.nvml.calls(GET_FIELD_VALUES)
    for client in clients:
        client.stop()
    wait_for(lambda: reads(0.3) == 0)
    # That many are those of 2.5 s, in a time that does not pass while the daemon has none.
    assert daemon.nvml.calls(GET_FIELD_VALUES) - before <= 20 * GPUS * 2.5
