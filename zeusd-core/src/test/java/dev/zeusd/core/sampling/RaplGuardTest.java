package dev.zeusd.core.sampling;

import static dev.zeusd.core.rapl.RaplTree.TYPICAL_RANGE_UJ;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.TestLog;
import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.kernel.BootClock;
import dev.zeusd.core.rapl.RaplCpus;
import dev.zeusd.core.rapl.RaplTree;
import dev.zeusd.core.worker.Carriers;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.NanoClock;
import dev.zeusd.core.worker.TimedWork;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongSupplier;
import java.util.logging.Level;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Who reads the counters and when, in a time of the test's own: hours take no time. */
class RaplGuardTest {
  private static final long SECOND = 1_000_000_000L;
  private static final long HOUR = 3600 * SECOND;
  private static final long JOULE = 1_000_000L;
  private static final long WATTS = 400;
  private static final long DRAM_WATTS = 60;
  private static final long DRAM_RANGE_UJ = 65_712_999_613L;

  private record Due(long nanos, TimedWork work) {}

  private final PriorityQueue<Due> timers = new PriorityQueue<>(Comparator.comparing(Due::nanos));
  private final AtomicInteger reads = new AtomicInteger();
  private long now;

  private RaplTree.Zone zone;
  private RaplTree.Zone dram;
  private RaplCpus cpus;
  private GuardedCpu cpu;

  @BeforeEach
  void open(@TempDir Path dir) {
    zone = new RaplTree(dir).zone(0, "package-0");
    dram = zone.subZone(0, "dram").range(DRAM_RANGE_UJ);
    // The clock is asked once for each read of a counter.
    cpus =
        open(
            dir,
            () -> {
              reads.incrementAndGet();
              return now;
            });
    cpu =
        new GuardedCpu(
            cpus.devices().getFirst(), () -> now, (due, work) -> timers.add(new Due(due, work)));
  }

  private static RaplCpus open(Path dir, LongSupplier nanoTime) {
    return RaplCpus.open(List.of(dir), BootClock.of(nanoTime));
  }

  @AfterEach
  void close() {
    cpus.close();
  }

  private static DeviceWorker<Cpu> startWorker(RaplCpus of) {
    return GuardedCpu.startWorker(
        of.devices().getFirst(), Carriers.OF_THIS_MACHINE, NanoClock.SYSTEM);
  }

  /** Lets time pass: the counters count, and timed work runs when it is due. */
  private void pass(long nanos) {
    long end = now + nanos;
    while (!timers.isEmpty() && timers.peek().nanos <= end) {
      Due due = timers.poll();
      setTime(due.nanos);
      long next = due.work.run(due.nanos);
      if (next != TimedWork.NEVER) {
        assertTrue(next > now, "no time passes");
        timers.add(new Due(next, due.work));
      }
    }
    setTime(end);
  }

  private void setTime(long nanos) {
    now = nanos;
    zone.energy(usedUj(WATTS) % TYPICAL_RANGE_UJ);
    dram.energy(usedUj(DRAM_WATTS) % DRAM_RANGE_UJ);
  }

  private long usedUj(long watts) {
    return now / 1000 * watts;
  }

  @Test
  void noWrapIsMissedBetweenTwoRequestsAnHourApart() {
    assertEquals(0, cpu.energy().cpuEnergyUj());
    pass(HOUR);
    assertEquals(WATTS * 3600 * JOULE, cpu.cpuEnergyUj());
    assertEquals(DRAM_WATTS * 3600 * JOULE, cpu.dramEnergyUj().getAsLong());
    pass(2 * 24 * HOUR);
    assertEquals(WATTS * 3600 * 49 * JOULE, cpu.energy().cpuEnergyUj());
  }

  @Test
  void withoutTheGuardWrapsAreMissed() {
    cpu.cpuCounter().read();
    pass(HOUR);
    assertTrue(cpu.cpuCounter().read().energyUj() < WATTS * 3600 * JOULE);
  }

  @Test
  void theGuardReadsTwicePerShortestWrapHoweverManyAsk() {
    cpu.cpuEnergyUj();
    cpu.cpuEnergyUj();
    assertEquals(1, timers.size(), "the DRAM was not asked for");
    reads.set(0);
    pass(HOUR);
    assertEquals(HOUR / (TYPICAL_RANGE_UJ / 2), reads.get(), "every 131 s");
  }

  @ParameterizedTest
  @ValueSource(strings = {"0\n", "1\n", "", "18446744073709551615\n"})
  void aCounterWithoutAUsableRangeIsNotGuardedInCircles(String range) throws Exception {
    Files.writeString(zone.dir().resolve("max_energy_range_uj"), range);
    cpu.cpuEnergyUj();
    reads.set(0);
    pass(HOUR);
    assertTrue(reads.get() <= 3600 / 10, () -> reads + " reads in an hour");
  }

  @Test
  void aPackageThatNobodyAskedForEnergyIsNotRead() {
    pass(HOUR);
    assertEquals(0, reads.get());
    CpuPowerReader power = new CpuPowerReader(new ConcurrentHashMap<>());
    power.read(cpu, () -> 0);
    pass(SECOND);
    power.read(cpu, () -> 0);
    reads.set(0);
    pass(HOUR);
    assertEquals(0, reads.get(), "power starts no guard");
  }

  @Test
  void theGuardOutlivesAFailure() {
    cpu.cpuEnergyUj();
    pass(200 * SECOND);
    cpu.cpuEnergyUj();
    zone.removeEnergy();
    Due due = timers.poll();
    long next = due.work.run(due.nanos);
    assertEquals(now + 10 * SECOND, next, "tries again soon");
    timers.add(new Due(next, due.work));
    try (TestLog log = new TestLog(GuardedCpu.class.getName())) {
      pass(HOUR);
      assertEquals(List.of("CPU 0: its energy can be read again"), log.lines(Level.INFO));
    }
    assertEquals(WATTS * 3800 * JOULE, cpu.cpuEnergyUj());
  }

  @Test
  void aFirstRequestThatFailsStartsTheGuardToo() {
    zone.removeEnergy();
    assertThrows(DeviceException.class, () -> cpu.cpuEnergyUj());
    assertEquals(1, timers.size());
  }

  @Test
  void powerIsEnergyOverTheTimeThatReallyPassed() {
    CpuPowerReader power = new CpuPowerReader(new ConcurrentHashMap<>());
    pass(600 * SECOND);
    assertEquals(null, power.read(cpu, () -> 1), "nothing to compare with");
    for (long millis : List.of(100, 1, 250, 99, 5_000, 101)) {
      pass(millis * 1_000_000);
      CpuPowerSample sample = power.read(cpu, () -> 7);
      assertEquals(WATTS * 1000, sample.cpuMw());
      assertEquals(DRAM_WATTS * 1000, sample.dramMw().getAsLong());
      assertEquals(7, sample.timestampMs());
      cpu.cpuEnergyUj(); // another reader between the two changes nothing
    }
  }

  @Test
  void powerAcrossAWrapAndAReset() {
    CpuPowerReader power = new CpuPowerReader(new ConcurrentHashMap<>());
    pass(TYPICAL_RANGE_UJ / WATTS * 1000 - SECOND / 20);
    power.read(cpu, () -> 0);
    pass(SECOND / 10);
    assertEquals(WATTS * 1000, power.read(cpu, () -> 0).cpuMw(), 1, "wrapped");
    pass(100 * SECOND);
    power.read(cpu, () -> 0);
    now += SECOND / 10;
    zone.energy(0);
    assertEquals(null, power.read(cpu, () -> 0), "reset");
    now += SECOND / 10;
    zone.energy(5 * JOULE);
    assertEquals(50_000, power.read(cpu, () -> 0).cpuMw());
  }

  @Test
  void powerAfterAFailureIsNotAnAverageOverIt() {
    CpuPowerReader power = new CpuPowerReader(new ConcurrentHashMap<>());
    pass(SECOND);
    power.read(cpu, () -> 0);
    zone.removeEnergy();
    assertThrows(DeviceException.class, () -> power.read(cpu, () -> 0));
    pass(SECOND);
    assertEquals(null, power.read(cpu, () -> 0));
    pass(SECOND);
    assertEquals(WATTS * 1000, power.read(cpu, () -> 0).cpuMw());
  }

  @Test
  void dramThatFailsIsRememberedUntilItHeals() {
    ConcurrentMap<Integer, FailureLog> failures = new ConcurrentHashMap<>();
    CpuPowerReader power = new CpuPowerReader(failures);
    power.read(cpu, () -> 0);
    now += SECOND;
    dram.removeEnergy();
    try (TestLog log = new TestLog(CpuPowerReader.class.getName())) {
      assertTrue(power.read(cpu, () -> 0).dramMw().isEmpty());
      // That of the next subscriber.
      new CpuPowerReader(failures).read(cpu, () -> 0);
      assertEquals(1, log.lines(Level.WARNING).size());
      pass(SECOND);
      assertTrue(power.read(cpu, () -> 0).dramMw().isEmpty(), "nothing to compare with");
      assertEquals(List.of("CPU 0: its DRAM can be read again"), log.lines(Level.INFO));
    }
    pass(SECOND);
    assertEquals(DRAM_WATTS * 1000, power.read(cpu, () -> 0).dramMw().getAsLong());
  }

  @Test
  void aCounterThatGoesBackWithEachReadGivesNoPowerAndNoEnergyAndIsNotReadForEver()
      throws Exception {
    AtomicInteger backwards = new AtomicInteger();
    zone.energy(1000 * JOULE);
    try (RaplCpus real =
            open(
                zone.dir().getParent(),
                () -> {
                  zone.energy((1000 - backwards.incrementAndGet()) * JOULE);
                  return System.nanoTime();
                });
        DeviceWorker<Cpu> worker = startWorker(real)) {
      PowerSampler<Cpu, CpuPowerSample> power =
          PowerSampler.ofCpus(List.of(worker), 50, NanoClock.SYSTEM);
      ExecutionException e =
          assertThrows(ExecutionException.class, () -> power.read(0).get(20, TimeUnit.SECONDS));
      assertInstanceOf(DeviceException.Failed.class, e.getCause());
      Await.rest();
      try (Subscription<CpuPowerSample> stream = power.subscribe(List.of(0))) {
        int before = backwards.get();
        Await.until("10 ticks", () -> backwards.get() > before + 10);
        assertEquals(List.of(), stream.poll(Duration.ZERO));
      }
      assertEquals(1000 * JOULE, worker.call(Cpu::cpuEnergyUj), "what nobody used");
    }
  }

  @Test
  void anIdleWorkerReadsNothing() throws InterruptedException {
    AtomicInteger realReads = new AtomicInteger();
    try (RaplCpus real =
        open(
            zone.dir().getParent(),
            () -> {
              realReads.incrementAndGet();
              return System.nanoTime();
            })) {
      try (DeviceWorker<Cpu> worker = startWorker(real)) {
        PowerSampler<Cpu, CpuPowerSample> power =
            PowerSampler.ofCpus(List.of(worker), 100, NanoClock.SYSTEM);
        Await.rest();
        assertEquals(0, realReads.get());
        power.subscribe(List.of(0)).close();
        power.read(0).join();
        worker.call(device -> null);
        Await.rest();
        assertTrue(realReads.get() > 0);
      }
    }
  }

  /** Through files and the package's own thread; a wrap takes 100 ms at least. */
  @Test
  void whoAsksByItselfStartsTheGuardToo(@TempDir Path other) throws Exception {
    RaplTree.Zone small = new RaplTree(other).zone(0, "package-0").range(100 * JOULE).energy(0);
    AtomicInteger counted = new AtomicInteger();
    try (RaplCpus quick =
            open(
                other,
                () -> {
                  counted.incrementAndGet();
                  return System.nanoTime();
                });
        DeviceWorker<Cpu> worker = startWorker(quick)) {
      Thread itsThread = worker.call(cpu -> Thread.currentThread());
      Await.until(
          "it sleeps, and the package counts as quick",
          () ->
              itsThread.getState() == Thread.State.WAITING
                  && worker.runOrSubmit(cpu -> Thread.currentThread()).join() != itsThread);
      assertEquals(0, worker.runOrSubmit(Cpu::cpuEnergyUj).get());
      for (int step = 1; step <= 21; step++) {
        small.energy(step * 50 * JOULE % (100 * JOULE));
        int before = counted.get();
        // The second one begins after the file was written.
        Await.until("the guard reads", () -> counted.get() >= before + 2);
      }
      assertEquals(1050 * JOULE, worker.runOrSubmit(Cpu::cpuEnergyUj).get());
    }
  }
}
