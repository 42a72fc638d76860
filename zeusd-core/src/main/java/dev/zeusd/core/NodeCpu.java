package dev.zeusd.core;

import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.CpuEnergy;
import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.energy.WindowEnergy;
import dev.zeusd.core.energy.WindowRequest;
import dev.zeusd.core.sampling.CpuPowerSample;
import dev.zeusd.core.worker.Answer;
import dev.zeusd.core.worker.DeviceWorker;
import java.util.List;
import java.util.concurrent.Flow;
import java.util.function.Function;

/**
 * A CPU package of a {@link Node}, for any thread at any time. Whatever asks the hardware waits for
 * the answer, 10 s at most, and throws {@link DeviceException} if there is none; as all exceptions
 * here, it is a {@link NodeException}.
 */
public final class NodeCpu {
  /** The same object for all who ask, so that they can share a reading. */
  private static final Function<Cpu, CpuEnergy> ENERGY = Cpu::energy;

  private final Node node;
  private final DeviceWorker<Cpu> worker;

  NodeCpu(Node node, DeviceWorker<Cpu> worker) {
    this.node = node;
    this.worker = worker;
  }

  /** {@return its id, which never changes} */
  public int id() {
    return worker.id();
  }

  /** {@return what it is; does not ask the hardware} */
  public CpuInfo info() {
    return worker.device().info();
  }

  /**
   * {@return power of the package and of its DRAM} It is the energy of some time, so this takes a
   * period of {@link NodeConfig#cpuPowerPollHz()}, unless somebody subscribes to it anyway.
   */
  public CpuPowerSample power() {
    return Answer.await(node.cpuPower().read(id()));
  }

  /** {@return power of the package alone, in mW; takes as long as {@link #power}} */
  public long powerMw() {
    return power().cpuMw();
  }

  /** {@return energy of the package and of its DRAM so far; never goes back} */
  public CpuEnergy energy() {
    return Answer.await(worker.runOrShare(ENERGY));
  }

  /** {@return energy of the package alone so far, in uJ; never goes back} */
  public long energyUj() {
    return energy().cpuEnergyUj();
  }

  /**
   * {@return its power, each time that it changes, at most at the rate of {@link
   * NodeConfig#cpuPowerPollHz()}} The hardware is read while there are subscribers.
   */
  public Flow.Publisher<CpuPowerSample> powerPublisher() {
    return node.cpuPowerPublisher(List.of(id()));
  }

  /**
   * Runs {@code work} and tells the energy that the package and its DRAM have used meanwhile.
   *
   * @param <E> what {@code work} may throw
   * @param work what to measure; it runs on the calling thread
   * @return the energy that the CPU has used meanwhile
   * @throws E if {@code work} does
   */
  public <E extends Exception> WindowEnergy energyOf(Work<E> work) throws E {
    return node.energyOf(WindowRequest.of(List.of(), List.of(id())), work);
  }
}
