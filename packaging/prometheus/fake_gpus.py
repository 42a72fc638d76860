"""The fake NVML library of the tests, whose GPUs the checks beside this file set as they need them."""

import mmap
import os
import struct
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIBRARIES = os.path.join(ROOT, "zeusd-ffm/target/fake-nvml")

# Of the fake's control file; see fake_nvml.c.
DEVICE_COUNT, NAME, UUID, POWER_MW, ANCHOR_NS, TEMPERATURE, CALLS = 12, 0, 96, 264, 296, 400, 2048
GET_TOTAL_ENERGY = 10
MIG_MODE, MIG_ON, INSTANCES, INSTANCE_BYTES = 468, 2, 1024, 128


class FakeGpus:
    """The control file of the fake library, with its defaults and eight GPUs."""

    def __init__(self, path):
        self.environment = {**os.environ, "LD_LIBRARY_PATH": LIBRARIES, "FAKE_NVML_STATE": path}
        load = "import ctypes; ctypes.CDLL('libnvidia-ml.so.1')"
        subprocess.run([sys.executable, "-c", load], env=self.environment, check=True)
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)
        struct.pack_into("<I", self.memory, DEVICE_COUNT, 8)
        for gpu in range(8):
            # The driver counts from here on, whichever process asks.
            struct.pack_into("<Q", self.memory, self.at(gpu, ANCHOR_NS), time.monotonic_ns())

    def at(self, gpu, offset):
        return 4096 + 4096 * gpu + offset

    def text(self, gpu, offset, value, room=96):
        at = self.at(gpu, offset)
        self.memory[at:at + room] = value[:room - 1].ljust(room, b"\0")

    def instance(self, gpu, number, uuid, name, gpu_instance_id):
        """One of those that a GPU is partitioned into (MIG), as a compute instance of its own number."""
        at = INSTANCES + INSTANCE_BYTES * number
        struct.pack_into("<I", self.memory, self.at(gpu, MIG_MODE), MIG_ON)
        struct.pack_into("<IIII", self.memory, self.at(gpu, at), 1, gpu_instance_id, number, 0)
        struct.pack_into("<QQ", self.memory, self.at(gpu, at + 16), 1 << 30, 10 << 30)
        self.text(gpu, at + 32, uuid, 48)
        self.text(gpu, at + 80, name, 48)

    def error(self, gpu, call, error):
        struct.pack_into("<I", self.memory, self.at(gpu, CALLS + 32 * call), error)

    def last_read_ns(self, gpu, call):
        return struct.unpack_from("<Q", self.memory, self.at(gpu, CALLS + 32 * call + 16))[0]

    def power_mw(self, gpu):
        return struct.unpack_from("<Q", self.memory, self.at(gpu, POWER_MW))[0]
