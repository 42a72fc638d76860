package dev.zeusd.core.sampling;

import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.EnergyCounter;
import dev.zeusd.core.worker.Carriers;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.NanoClock;
import dev.zeusd.core.worker.TimedWork;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.LongSupplier;

/**
 * A CPU whose counters are read now and then once somebody asked for energy, so that no wrap is
 * missed between two requests. Each counter is guarded from its own first request on, or from the
 * start if the first one came to an earlier process; power readings start no guard.
 *
 * <p>Everything happens on the package's thread, as with any {@link Cpu}.
 */
public final class GuardedCpu implements Cpu {
  private static final System.Logger LOG = System.getLogger(GuardedCpu.class.getName());

  private final Cpu cpu;
  private final LongSupplier nanoTime;
  private final Guard cpuGuard;
  private final Optional<Guard> dramGuard;

  /** Set before the first call comes. */
  private Scheduler scheduler;

  /** Where timed work goes: the package's worker. */
  interface Scheduler {
    void schedule(long dueNanos, TimedWork work);
  }

  GuardedCpu(Cpu cpu, LongSupplier nanoTime, Scheduler scheduler) {
    this.cpu = cpu;
    this.nanoTime = nanoTime;
    this.scheduler = scheduler;
    String name = "CPU " + cpu.info().id();
    this.cpuGuard = new Guard(name, cpu.cpuCounter());
    this.dramGuard = cpu.dramCounter().map(counter -> new Guard(name + "'s DRAM", counter));
  }

  /**
   * Starts the thread of {@code cpu}, which guards it too.
   *
   * @param cpu the CPU; called by its thread only
   * @param carriers the threads that carry requests
   * @param clock by which the devices are read
   * @return the thread, to be closed by the caller
   */
  public static DeviceWorker<Cpu> startWorker(Cpu cpu, Carriers carriers, NanoClock clock) {
    GuardedCpu guarded = new GuardedCpu(cpu, clock::nanoTime, null);
    int id = cpu.info().id();
    DeviceWorker<Cpu> worker = new DeviceWorker<>(id, "CPU " + id, guarded, carriers, clock);
    guarded.scheduler = worker::schedule;
    worker.schedule(
        clock.nanoTime(),
        due -> {
          guarded.resume();
          return TimedWork.NEVER;
        });
    return worker;
  }

  /** Goes on with what an earlier process guarded. */
  private void resume() {
    cpuGuard.resume();
    dramGuard.ifPresent(Guard::resume);
  }

  @Override
  public CpuInfo info() {
    return cpu.info();
  }

  @Override
  public EnergyCounter cpuCounter() {
    return cpu.cpuCounter();
  }

  @Override
  public Optional<EnergyCounter> dramCounter() {
    return cpu.dramCounter();
  }

  @Override
  public long cpuEnergyUj() {
    return cpuGuard.energyUj();
  }

  @Override
  public OptionalLong dramEnergyUj() {
    return dramGuard.isPresent()
        ? OptionalLong.of(dramGuard.get().energyUj())
        : OptionalLong.empty();
  }

  private final class Guard implements TimedWork {
    private final EnergyCounter counter;
    private boolean started;
    private final FailureLog failures;

    Guard(String name, EnergyCounter counter) {
      this.failures =
          new FailureLog(LOG, name, "its energy cannot be read", "its energy can be read again");
      this.counter = counter;
    }

    long energyUj() {
      try {
        return read();
      } finally {
        // After the read, which may be what finds out how long the silence may be.
        start();
      }
    }

    private void resume() {
      if (counter.isContinued()) {
        started = true;
        scheduler.schedule(nanoTime.getAsLong(), this);
      }
    }

    private void start() {
      if (!started && counter.maxSilenceNanos() != EnergyCounter.ANY_SILENCE) {
        started = true;
        scheduler.schedule(due(), this);
      }
    }

    private long due() {
      return nanoTime.getAsLong() + counter.maxSilenceNanos();
    }

    private long read() {
      try {
        long energyUj = counter.readToTell().energyUj();
        failures.worked();
        return energyUj;
      } catch (Throwable e) {
        failures.failed(e);
        throw e;
      }
    }

    @Override
    public long run(long dueNanos) {
      try {
        read();
      } catch (Throwable e) {
        // The next one may succeed; it has been logged.
      }
      return due();
    }
  }
}
