package dev.zeusd.testkit;

import dev.zeusd.core.Backend;
import dev.zeusd.core.CpuBackend;
import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.simulated.SimulatedCpu;
import dev.zeusd.core.simulated.SimulatedGpu;
import dev.zeusd.core.worker.NanoClock;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Devices that behave like a training job, a minute long and then again, from the moment they are
 * made. The same seed, clock and questions give the same answers, to the digit.
 *
 * <p>The devices are not thread-safe, as any {@link Gpu} or {@link Cpu}; a {@link Node} is.
 */
public final class SimulatedDevices {
  private static final NodeConfig NO_OTHERS =
      NodeConfig.defaults().withGpuBackend(GpuBackend.NONE).withCpuBackend(CpuBackend.NONE);

  private SimulatedDevices() {}

  /**
   * A node of four GPUs, with the ids 0 to 3, and two CPUs, of which the first counts its DRAM. It
   * reads GPUs 20 times a second and CPUs 10 times, by {@code clock}, while somebody wants it.
   *
   * @param clock usually a {@link TestClock}
   * @param seed of the noise on the devices' power
   * @return the node, to be closed by the caller
   */
  public static Node node(NanoClock clock, long seed) {
    return Node.of(
        NO_OTHERS,
        List.of(Backend.of(gpus(4, clock, seed))),
        List.of(Backend.of(cpus(2, clock, seed))),
        clock);
  }

  /**
   * {@return GPUs with the ids from 0 on: idle at 70 W, up to 650 W, with power limits of 200 to
   * 700 W}
   *
   * @param count how many
   * @param clock the clock that their power follows
   * @param seed two runs with the same one give the same values
   */
  public static List<Gpu> gpus(int count, NanoClock clock, long seed) {
    return IntStream.range(0, count)
        .<Gpu>mapToObj(id -> new SimulatedGpu(id, seed, clock::nanoTime))
        .toList();
  }

  /**
   * {@return a GPU like these, which is partitioned into three instances (MIG)}
   *
   * @param id its id
   * @param clock the clock that its power follows
   * @param seed two runs with the same one give the same values
   */
  public static Gpu partitionedGpu(int id, NanoClock clock, long seed) {
    return SimulatedGpu.partitioned(id, seed, clock::nanoTime);
  }

  /**
   * {@return CPUs with the ids from 0 on: 60 to 240 W; only the first one counts its DRAM}
   *
   * @param count how many
   * @param clock the clock that their power follows
   * @param seed two runs with the same one give the same values
   */
  public static List<Cpu> cpus(int count, NanoClock clock, long seed) {
    return IntStream.range(0, count)
        .<Cpu>mapToObj(id -> new SimulatedCpu(id, id == 0, seed, clock::nanoTime))
        .toList();
  }
}
