package dev.zeusd.core;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.GpuTelemetry;
import dev.zeusd.core.device.PowerLimitConstraints;
import dev.zeusd.core.energy.WindowEnergy;
import dev.zeusd.core.energy.WindowRequest;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.settings.Lease;
import dev.zeusd.core.settings.LeaseException;
import dev.zeusd.core.settings.SettingKey;
import dev.zeusd.core.settings.SettingValue;
import dev.zeusd.core.worker.Answer;
import dev.zeusd.core.worker.DeviceWorker;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Flow;
import java.util.function.Function;

/**
 * A GPU of a {@link Node}, for any thread at any time. Whatever asks the hardware waits for the
 * answer, 10 s at most, and throws {@link DeviceException} if there is none; as all exceptions
 * here, it is a {@link NodeException}.
 */
public final class NodeGpu {
  // The same objects for all who ask, so that they can share a reading.
  private static final Function<Gpu, Long> POWER_MW = Gpu::powerMw;
  private static final Function<Gpu, Long> ENERGY_MJ = Gpu::energyMj;
  private static final Function<Gpu, Long> POWER_LIMIT_MW = Gpu::powerLimitMw;
  private static final Function<Gpu, GpuTelemetry> TELEMETRY = Gpu::telemetry;

  private final Node node;
  private final DeviceWorker<Gpu> worker;

  NodeGpu(Node node, DeviceWorker<Gpu> worker) {
    this.node = node;
    this.worker = worker;
  }

  /** {@return its id, which never changes} */
  public int id() {
    return worker.id();
  }

  /** {@return what it is, as far as it has told by now; does not ask the hardware} */
  public GpuInfo info() {
    return worker.device().info();
  }

  // ---- Reading ----

  /** {@return power drawn now, in mW} */
  public long powerMw() {
    return read(POWER_MW);
  }

  /** {@return energy since the driver was loaded, in mJ, as unsigned 64 bits} */
  public long energyMj() {
    return read(ENERGY_MJ);
  }

  /** {@return the power limit that is set, in mW} */
  public long powerLimitMw() {
    return read(POWER_LIMIT_MW);
  }

  /** {@return the power limits that can be set} */
  public PowerLimitConstraints powerLimitConstraints() {
    return read(Gpu::powerLimitConstraints);
  }

  /** {@return temperatures, clocks, utilisation and the like; what it does not tell is left out} */
  public GpuTelemetry telemetry() {
    return read(TELEMETRY);
  }

  /**
   * Whatever else {@link Gpu} has to be read by.
   *
   * @param <T> what is asked for
   * @param read asks the GPU, on its own thread
   * @return what it has read
   */
  public <T> T read(Function<? super Gpu, ? extends T> read) {
    return Answer.await(worker.runOrShare(read));
  }

  /**
   * {@return its power, each time that it changes, at most at the rate of {@link
   * NodeConfig#gpuPowerPollHz()}} The hardware is read while there are subscribers.
   */
  public Flow.Publisher<GpuPowerSample> powerPublisher() {
    return node.gpuPowerPublisher(List.of(id()));
  }

  // ---- Energy ----

  /**
   * Runs {@code work} and tells the energy that the GPU has used meanwhile, counted or, where it
   * does not count, summed up.
   *
   * @param <E> what {@code work} may throw
   * @param work what to measure; it runs on the calling thread
   * @return the energy that the GPU has used meanwhile
   * @throws E if {@code work} does
   */
  public <E extends Exception> WindowEnergy energyOf(Work<E> work) throws E {
    return node.energyOf(WindowRequest.of(List.of(id()), List.of()), work);
  }

  // ---- Settings, until what is returned is closed ----

  /**
   * Sets the power limit, in mW, until what is returned is closed, or this process ends, however it
   * does. Needs the rights to do so, usually root's.
   *
   * @param powerLimitMw the limit, in mW
   * @return closing it puts back what was set before
   * @throws LeaseException.Held if somebody else has a lease of it
   */
  public Lease limitPower(long powerLimitMw) {
    return set(new SettingValue.PowerLimit(powerLimitMw));
  }

  /**
   * Locks the GPU's clock to a range, in MHz, as {@link #limitPower} does with the power limit.
   *
   * @param minClockMhz the lowest clock, in MHz
   * @param maxClockMhz the highest clock, in MHz
   * @return closing it puts back what was set before
   */
  public Lease lockGpuClocks(long minClockMhz, long maxClockMhz) {
    return set(
        new SettingValue.GpuClocks(
            Optional.of(new SettingValue.ClockRange(minClockMhz, maxClockMhz))));
  }

  /**
   * Locks the memory's clock to a range, in MHz, as {@link #limitPower}.
   *
   * @param minClockMhz the lowest clock, in MHz
   * @param maxClockMhz the highest clock, in MHz
   * @return closing it puts back what was set before
   */
  public Lease lockMemClocks(long minClockMhz, long maxClockMhz) {
    return set(
        new SettingValue.MemClocks(
            Optional.of(new SettingValue.ClockRange(minClockMhz, maxClockMhz))));
  }

  private Lease set(SettingValue value) {
    Set<SettingKey> keys = Set.of(value.key());
    Lease lease = node.lease(List.of(id()), keys);
    try {
      lease.set(value);
      return lease;
    } catch (RuntimeException | Error e) {
      lease.close();
      throw e;
    }
  }
}
