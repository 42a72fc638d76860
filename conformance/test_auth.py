"""Tokens, and the clients' own errors where one is missing or does not suffice."""

import base64
import hashlib
import hmac
import json
import time

import pytest
from zeus.device.cpu.rapl import ZeusdRAPLCPU
from zeus.device.exception import ZeusdError
from zeus.device.gpu.common import ZeusGPUInitError
from zeus.device.gpu.nvidia import NVIDIAGPUs
from zeus.monitor.power_streaming import PowerStreamingClient
from zeus.utils.zeusd import ZeusdAuthError, ZeusdCapabilityError, ZeusdClient, require_capabilities

from conftest import wait_for
from nodes import GPUS


def test_all_scopes(locked, environment, issue, cpus):
    environment(**locked.env, ZEUSD_TOKEN=issue("gpu-control,gpu-read,cpu-read", "never"))
    client = ZeusdClient()
    assert client.auth_required and client.auth_error is None
    assert client.granted_scopes == {"gpu-control", "gpu-read", "cpu-read"}
    require_capabilities(client, read_gpu=True, control_gpu=True, read_cpu=True, gpu_ids=[0], cpu_ids=[0, 1])
    client.set_power_limit([0], 200000)
    assert locked.nvml.limit(0) == 200000
    assert len(client.get_gpu_power().power_mw) == GPUS
    assert ZeusdRAPLCPU(0, client).get_total_energy_consumption().cpu_mj > 0
    NVIDIAGPUs().gpus[1].set_power_management_limit(210000)
    assert locked.nvml.limit(1) == 210000


def test_whoami(locked, issue):
    def whoami(token: str) -> dict:
        client = ZeusdClient(locked.config(token=token))
        with client.make_client() as http:
            return http.get(client.url("/auth/whoami")).json()

    assert whoami(issue("gpu-read", "never")) == {"sub": "alice", "scopes": ["gpu-read"]}
    with_expiry = whoami(issue("cpu-read,gpu-read", "7d"))
    assert sorted(with_expiry["scopes"]) == ["cpu-read", "gpu-read"]
    assert with_expiry["exp"] == pytest.approx(time.time() + 7 * 86400, abs=300)


def test_streams(locked, issue, cpus):
    server = locked.config(token=issue("gpu-read,cpu-read"))
    client = PowerStreamingClient([server])
    wait_for(lambda: client.get_power().get(locked.endpoint))
    wait_for(lambda: (r := client.get_power()[locked.endpoint]).gpu_power_w and r.cpu_power_w)
    client.stop()


def assert_locked_out(daemon, reason: str, **token):
    """What the package does with a daemon that will not have it."""
    client = ZeusdClient(daemon.config(**token))
    before = daemon.nvml.writes()
    assert reason in client.auth_error
    assert (client.can_read_gpu, client.can_control_gpu, client.can_read_cpu) == (False, False, False)
    assert client.gpu_ids == list(range(GPUS))
    assert client.get_time() > 0
    for call in (client.get_gpu_power, lambda: client.set_power_limit([0], 200000), lambda: client.get_cpu_energy([0])):
        with pytest.raises(ZeusdError, match="error"):
            call()
    with pytest.raises(ZeusdAuthError, match=reason):
        ZeusdRAPLCPU(0, client)
    with pytest.raises(ZeusdCapabilityError, match="lacks required scope 'gpu-read'"):
        PowerStreamingClient([daemon.config(gpu_indices=[0], **token)])
    silent = PowerStreamingClient([daemon.config(**token)])
    time.sleep(0.2)
    assert silent.get_power() == {}
    silent.stop()
    assert daemon.nvml.writes() == before


def test_no_token(locked, environment):
    assert_locked_out(locked, "requires authentication")
    environment(**locked.env)
    with pytest.raises(ZeusGPUInitError, match="Set the ZEUSD_TOKEN environment"):
        NVIDIAGPUs()


def jwt(key: bytes, header: dict, claims: dict) -> str:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    signed = part(json.dumps(header).encode()) + "." + part(json.dumps(claims).encode())
    return signed + "." + part(hmac.digest(key, signed.encode(), hashlib.sha256))


HS256 = {"typ": "JWT", "alg": "HS256"}
CLAIMS = {"sub": "alice", "scopes": ["gpu-read", "gpu-control", "cpu-read"]}


def test_token_made_by_others(locked, key):
    """The key is the file's bytes, with the newline that openssl put at the end."""
    token = jwt(key.read_bytes(), HS256, {**CLAIMS, "exp": int(time.time()) - 30})  # within the leeway
    assert ZeusdClient(locked.config(token=token)).auth_error is None


@pytest.mark.parametrize("fault", ["expired", "other key", "without newline", "no scopes", "alg none", "garbage"])
def test_bad_token(locked, key, fault):
    secret = key.read_bytes()
    token = {
        "expired": jwt(secret, HS256, {**CLAIMS, "exp": int(time.time()) - 3600}),
        "other key": jwt(bytes(45), HS256, CLAIMS),
        "without newline": jwt(secret.rstrip(), HS256, CLAIMS),
        "no scopes": jwt(secret, HS256, {"sub": "alice"}),
        "alg none": jwt(secret, {"typ": "JWT", "alg": "none"}, CLAIMS).rpartition(".")[0] + ".",
        "garbage": "no.token.this",
    }[fault]
    assert_locked_out(locked, "Token rejected", token=token)


def test_missing_scope(locked, environment, issue):
    environment(**locked.env, ZEUSD_TOKEN=issue("gpu-read"))
    client = ZeusdClient()
    before = locked.nvml.writes()
    assert client.auth_error is None and client.granted_scopes == {"gpu-read"}
    assert (client.can_read_gpu, client.can_control_gpu, client.can_read_cpu) == (True, False, False)
    with pytest.raises(ZeusdCapabilityError, match="Token lacks required scope 'gpu-control'"):
        require_capabilities(client, control_gpu=True)
    with pytest.raises(ZeusGPUInitError, match="Token lacks required scope 'gpu-control'"):
        NVIDIAGPUs()
    with pytest.raises(ZeusdCapabilityError, match="Token lacks required scope 'cpu-read'"):
        ZeusdRAPLCPU(0, client)
    with pytest.raises(ZeusdError, match="alice.*gpu-control"):
        client.set_power_limit([0], 200000)
    with pytest.raises(ZeusdError, match="alice.*cpu-read"):
        client.get_cpu_power()
    assert locked.nvml.writes() == before


def test_streams_what_the_scope_allows(locked, cpus, issue):
    token = issue("gpu-read")
    client = PowerStreamingClient([locked.config(token=token)])
    wait_for(lambda: client.get_power().get(locked.endpoint))
    time.sleep(0.3)
    assert client.get_power()[locked.endpoint].cpu_power_w == {}
    client.stop()
    with pytest.raises(ZeusdCapabilityError, match="lacks required scope 'cpu-read'"):
        PowerStreamingClient([locked.config(token=token, cpu_indices=[0])])
