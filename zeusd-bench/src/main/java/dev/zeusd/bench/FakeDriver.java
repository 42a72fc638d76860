package dev.zeusd.bench;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Map;

/**
 * The fake NVML of one daemon. How its control file is laid out stands at the top of {@code
 * fake_nvml.c}.
 *
 * @param library the folder of the fake libnvidia-ml.so.1
 * @param state the control file; the library makes it
 * @param power {@code constant}, or {@code counting}: every reading differs from the one before
 */
record FakeDriver(Path library, Path state, int gpus, String power) {
  private static final long FIRST_SLOT = 4096;
  private static final long SLOT_BYTES = 2048;
  private static final long FIRST_CALL = 1024;
  private static final long CALL_BYTES = 32;
  private static final long DELAY_OFFSET = 4;

  /** Calls with these numbers are made on a device that has been found. */
  private static final int FIRST_DEVICE_CALL = 5;

  private static final int LAST_DEVICE_CALL = 20;

  /** What the daemon needs in its environment. */
  Map<String, String> environment() {
    return Map.of(
        "LD_LIBRARY_PATH", library.toString(),
        "FAKE_NVML_STATE", state.toString(),
        "FAKE_NVML_GPUS", String.valueOf(gpus),
        "FAKE_NVML_POWER", power);
  }

  /** From now on, every call on a GPU takes this long; calls that wait already end by it, too. */
  void delayCalls(Duration delay) throws IOException {
    ByteBuffer micros = ByteBuffer.allocate(Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    micros.putInt(0, Math.toIntExact(delay.toNanos() / 1000));
    try (FileChannel file = FileChannel.open(state, StandardOpenOption.WRITE)) {
      for (int gpu = 0; gpu < gpus; gpu++) {
        for (int call = FIRST_DEVICE_CALL; call <= LAST_DEVICE_CALL; call++) {
          long entry = FIRST_SLOT + gpu * SLOT_BYTES + FIRST_CALL + call * CALL_BYTES;
          file.write(micros.duplicate(), entry + DELAY_OFFSET);
        }
      }
    }
  }
}
