package dev.zeusd.core.energy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.DeviceSet;
import dev.zeusd.core.StateDirectory;
import dev.zeusd.core.TestLog;
import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.CpuInfo.Domain;
import dev.zeusd.core.device.EnergyCounter;
import dev.zeusd.core.device.EnergyReading;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.core.energy.WindowEnergy.Method;
import dev.zeusd.core.kernel.BootClock;
import dev.zeusd.core.sampling.CpuPowerSample;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.sampling.PowerSampler;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.NanoClock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.logging.Level;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class EnergyMeterTest {
  private static final long NEVER = TimeUnit.DAYS.toNanos(1);
  private static final Duration HOUR = Duration.ofHours(1);

  /** A thread of its own does, and maybe before the test goes on. */
  private static final String LOOKS_AT_ONCE = "the next process looks at once, or later: ";

  private final List<CountingGpu> models =
      List.of(new CountingGpu(0, "GPU-a"), new CountingGpu(1, "GPU-b c"));
  private final FieldCounter packageUj = new FieldCounter();
  private final FieldCounter dramUj = new FieldCounter();
  private final FieldCounter psysUj = new FieldCounter();
  private final List<DeviceWorker<?>> workers = new ArrayList<>();
  private final List<AutoCloseable> open = new ArrayList<>();
  private final AtomicLong nanos = new AtomicLong(TimeUnit.HOURS.toNanos(3));
  private volatile DeviceSet<Gpu, GpuPowerSample> gpus = gpuSet(models);
  private final DeviceSet<Cpu, CpuPowerSample> cpus = cpuSet();

  @TempDir Path dir;

  /** A counter that is a field. */
  private static final class FieldCounter implements EnergyCounter {
    volatile long energyUj;
    volatile int resets;

    @Override
    public EnergyReading read() {
      return new EnergyReading(energyUj, System.nanoTime(), resets);
    }

    @Override
    public long maxSilenceNanos() {
      return ANY_SILENCE;
    }
  }

  private record FieldCpu(
      CpuInfo info, EnergyCounter cpuCounter, Optional<EnergyCounter> dramCounter) implements Cpu {}

  private DeviceSet<Gpu, GpuPowerSample> gpuSet(List<CountingGpu> some) {
    List<DeviceWorker<Gpu>> all = new ArrayList<>();
    some.forEach(gpu -> all.add(new DeviceWorker<>(gpu.info().id(), "gpu", gpu)));
    workers.addAll(all);
    PowerSampler<Gpu, GpuPowerSample> sampler = PowerSampler.ofGpus(all, 50, NanoClock.SYSTEM);
    open.add(sampler);
    return new DeviceSet<>(all, sampler);
  }

  private DeviceSet<Cpu, CpuPowerSample> cpuSet() {
    List<DeviceWorker<Cpu>> all =
        List.of(
            new DeviceWorker<>(
                0,
                "cpu",
                new FieldCpu(new CpuInfo(0, true, Domain.PACKAGE), packageUj, Optional.of(dramUj))),
            new DeviceWorker<>(
                1,
                "psys",
                new FieldCpu(new CpuInfo(1, false, Domain.PSYS), psysUj, Optional.empty())));
    workers.addAll(all);
    return new DeviceSet<>(all, PowerSampler.ofCpus(all, 10, NanoClock.SYSTEM));
  }

  @AfterEach
  void close() throws Exception {
    for (AutoCloseable each : open) {
      each.close();
    }
    DeviceWorker.closeAll(workers);
  }

  private EnergyMeter meter(Optional<Path> stateDir) {
    EnergyMeter meter =
        new EnergyMeter(
            () -> gpus, () -> cpus, stateDir, NanoClock.SYSTEM, BootClock.of(nanos::get), NEVER);
    open.add(meter);
    return meter;
  }

  private EnergyMeter meter(BootClock clock) {
    EnergyMeter meter =
        new EnergyMeter(() -> gpus, () -> cpus, Optional.of(dir), NanoClock.SYSTEM, clock, NEVER);
    open.add(meter);
    return meter;
  }

  private void pass(Duration time) {
    nanos.addAndGet(time.toNanos());
  }

  private static WindowRequest request(Duration ttl) {
    return new WindowRequest("job 7", "alice", ttl, Set.of(0, 1), Set.of(0, 1));
  }

  /** Each reading is later than the one before. */
  private WindowEnergy end(EnergyWindow window) {
    pass(Duration.ofMillis(1));
    return window.end();
  }

  @Test
  void countsWhatEveryDeviceUses() {
    models.get(0).energyMj = 5_000;
    packageUj.energyUj = 77;
    EnergyWindow window = meter(Optional.empty()).begin(request(Duration.ofHours(1)));
    pass(Duration.ofSeconds(9).plusMillis(999));
    models.get(0).energyMj += 1_500;
    models.get(1).energyMj += 2_500;
    packageUj.energyUj += 3_000_000;
    dramUj.energyUj += 500_000;
    psysUj.energyUj += 90_000_000;
    WindowEnergy energy = end(window);
    assertEquals("job 7", energy.name());
    assertEquals(Duration.ofSeconds(10), energy.elapsed());
    assertEquals(
        new WindowEnergy.OfGpu(1_500, Method.COUNTER, 0, 0, PowerScope.GPU), energy.gpus().get(0));
    assertEquals(
        new WindowEnergy.OfGpu(2_500, Method.COUNTER, 0, 0, PowerScope.GPU), energy.gpus().get(1));
    assertEquals(
        new WindowEnergy.OfCpu(3_000_000, OptionalLong.of(500_000), Domain.PACKAGE, 0, 0),
        energy.cpus().get(0));
    assertEquals(90_000_000, energy.cpus().get(1).cpuEnergyUj());
    assertEquals(1.5 + 2.5 + 3 + 0.5, energy.totalJoules(), 1e-9);
    assertThrows(WindowException.Ended.class, window::soFar);
  }

  @Test
  void whoHasNotGotTheAnswerMayAskAgain() {
    EnergyMeter meter = meter(Optional.empty());
    EnergyWindow window = meter.begin(request(Duration.ofHours(1)));
    models.get(0).energyMj += 7;
    WindowEnergy first = end(window);
    models.get(0).energyMj += 1000;
    pass(Duration.ofMinutes(9));
    assertEquals(first, meter.findToEnd(window.id()).end());
    assertThrows(WindowException.Ended.class, () -> meter.find(window.id()));
    assertEquals(List.of(), meter.list());
    pass(Duration.ofMinutes(2));
    assertThrows(WindowException.Ended.class, () -> meter.findToEnd(window.id()));
    EnergyWindow closed = meter.begin(request(Duration.ofHours(1)));
    closed.close();
    assertThrows(WindowException.Ended.class, () -> meter.findToEnd(closed.id()));
    assertThrows(WindowException.Ended.class, closed::end);
  }

  @Test
  void aCpuThatIsPartOfAGpusModuleIsNotCountedTwice() {
    CountingGpu module = new CountingGpu(0, "GPU-a", PowerScope.MODULE);
    gpus = gpuSet(List.of(module));
    EnergyWindow window = meter(Optional.empty()).begin(request(Duration.ofHours(1)));
    pass(Duration.ofSeconds(1));
    module.energyMj += 700_000;
    packageUj.energyUj += 300_000_000;
    WindowEnergy energy = end(window);
    assertEquals(300_000_000, energy.cpus().get(0).cpuEnergyUj());
    assertEquals(700, energy.totalJoules(), 1e-9);
  }

  @Test
  void windowsDoNotDisturbEachOther() {
    EnergyMeter meter = meter(Optional.empty());
    EnergyWindow outer = meter.begin(request(Duration.ofHours(1)));
    pass(Duration.ofSeconds(1));
    models.get(0).energyMj += 100;
    EnergyWindow inner = meter.begin(request(Duration.ofHours(1)));
    pass(Duration.ofSeconds(1));
    models.get(0).energyMj += 10;
    assertEquals(10, end(inner).gpus().get(0).energyMj());
    pass(Duration.ofSeconds(1));
    models.get(0).energyMj += 1;
    assertEquals(111, meter.find(outer.id()).soFar().gpus().get(0).energyMj());
    assertEquals(111, end(outer).gpus().get(0).energyMj());
    assertEquals(List.of(), meter.list());
  }

  @Test
  void aDeviceThatFailsCostsOnlyItself() {
    models.get(0).fails = true;
    EnergyMeter meter = meter(Optional.empty());
    EnergyWindow window = meter.begin(request(Duration.ofHours(1)));
    pass(Duration.ofSeconds(5));
    models.get(1).energyMj += 9;
    WindowEnergy broken = window.soFar();
    assertEquals("it is lost", broken.gpuProblems().get(0));
    assertEquals(9, broken.gpus().get(1).energyMj());

    // It comes back, and is measured from then on.
    models.get(0).fails = false;
    pass(Duration.ofSeconds(5));
    window.soFar();
    models.get(0).energyMj += 4;
    WindowEnergy healed = end(window);
    assertEquals(4, healed.gpus().get(0).energyMj());
    assertEquals(10_000, healed.gpus().get(0).missingMs());
    assertEquals(10_000, healed.gpus().get(0).gapMs());
    assertEquals(0, healed.gpus().get(1).gapMs());
  }

  @Test
  void whatADeviceThatFailedHasCountedIsTold() {
    EnergyWindow window = meter(Optional.empty()).begin(request(Duration.ofHours(1)));
    pass(Duration.ofSeconds(2));
    models.get(0).energyMj += 4;
    window.soFar();
    models.get(0).fails = true;
    pass(Duration.ofSeconds(3));
    WindowEnergy.OfGpu gpu = window.soFar().gpus().get(0);
    assertEquals(new WindowEnergy.OfGpu(4, Method.COUNTER, 3000, 3000, PowerScope.GPU), gpu);
    models.get(0).fails = false;
    models.get(0).energyMj += 7;
    pass(Duration.ofSeconds(3));
    gpu = window.end().gpus().get(0);
    assertEquals(new WindowEnergy.OfGpu(11, Method.COUNTER, 6000, 0, PowerScope.GPU), gpu);
  }

  /** Its energy and the window's time are of the same time, however long another one lets wait. */
  @Test
  void aDeviceThatLetsWaitChangesNothingOfTheOthers() throws Exception {
    EnergyMeter meter = meter(Optional.empty());
    EnergyWindow window = meter.begin(request(Duration.ofHours(1)));
    pass(Duration.ofSeconds(10));
    models.get(0).energyMj += 1000;
    models.get(1).hangs = new CountDownLatch(1);
    CompletableFuture<WindowEnergy> ending = CompletableFuture.supplyAsync(window::soFar);
    Await.until("it is asked", () -> models.get(1).waits);
    Await.until("the other one has answered", () -> models.get(0).energyReads.get() > 1);
    pass(Duration.ofSeconds(8));
    models.get(0).energyMj += 800;
    meter.step();
    Await.until("the other one has answered again", () -> models.get(0).energyReads.get() > 2);
    models.get(1).hangs.countDown();
    WindowEnergy energy = ending.get(30, TimeUnit.SECONDS);
    assertEquals(Duration.ofSeconds(10), energy.elapsed());
    assertEquals(1000, energy.gpus().get(0).energyMj());
    assertEquals(0, energy.gpus().get(1).missingMs());
  }

  @Test
  void aReloadOfTheDriverIsTold() {
    models.get(0).energyMj = 1_000_000;
    EnergyMeter meter = meter(Optional.empty());
    EnergyWindow window = meter.begin(request(Duration.ofHours(1)));
    pass(Duration.ofSeconds(2));
    models.get(0).energyMj += 600;
    window.soFar();
    pass(Duration.ofSeconds(2));
    models.get(0).energyMj = 50;
    assertEquals(
        new WindowEnergy.OfGpu(650, Method.COUNTER, 2000, 2000, PowerScope.GPU),
        window.end().gpus().get(0));
  }

  @Test
  void theNextProcessGoesOn() throws IOException {
    EnergyMeter first = meter(Optional.of(dir));
    models.get(0).energyMj = 40;
    String id = first.begin(request(Duration.ofHours(1))).id();
    assertTrue(first.isCrashSafe());
    pass(Duration.ofSeconds(10));
    models.get(0).energyMj += 1000;
    first.find(id).soFar();
    first.step();
    // It dies here, without a word. The GPUs have other ids when the next one begins.
    pass(Duration.ofSeconds(30));
    models.get(0).energyMj += 3000;
    packageUj.energyUj += 5;
    CountingGpu moved = new CountingGpu(5, "GPU-a");
    moved.energyMj = models.get(0).energyMj;
    gpus = gpuSet(List.of(moved, new CountingGpu(6, "GPU-b c")));
    EnergyMeter second = meter(Optional.of(dir));
    assertEquals(1, second.list().size());
    pass(Duration.ofSeconds(1));
    moved.energyMj += 100;
    EnergyWindow window = second.find(id);
    assertEquals("alice", window.owner());
    WindowEnergy energy = window.end();
    long gapMs = energy.gpus().get(5).gapMs();
    assertTrue(Set.of(30_000L, 31_000L).contains(gapMs), LOOKS_AT_ONCE + gapMs);
    assertEquals(
        new WindowEnergy.OfGpu(4100, Method.COUNTER, gapMs, 0, PowerScope.GPU),
        energy.gpus().get(5));
    assertEquals(Set.of(5, 6), energy.gpus().keySet());
    assertEquals(5, energy.cpus().get(0).cpuEnergyUj());
    assertEquals(Duration.ofSeconds(41), energy.elapsed());
    assertEquals(List.of(), meter(Optional.of(dir)).list());
  }

  /** Its answer may be lost with the process. */
  @Test
  void theNextProcessTellsAgainWhatHasEnded() {
    gpus = gpuSet(List.of(models.get(0), new CountingGpu(1, "GPU-m", PowerScope.MODULE)));
    models.get(0).fails = true;
    EnergyMeter first = meter(Optional.of(dir));
    EnergyWindow left = first.begin(request(Duration.ofHours(1)));
    EnergyWindow window =
        first.begin(new WindowRequest("a b,c", "d", HOUR, Set.of(0, 1), Set.of(0)));
    pass(Duration.ofSeconds(10));
    packageUj.energyUj += 1500;
    dramUj.energyUj += 700;
    WindowEnergy told = end(window);
    assertEquals(Set.of(0), told.gpuProblems().keySet());
    // It dies here. What the devices say later changes nothing.
    packageUj.energyUj += 1_000_000;
    pass(Duration.ofMinutes(5));
    EnergyMeter second = meter(Optional.of(dir));
    EnergyWindow again = second.findToEnd(window.id());
    assertEquals(told, again.end());
    assertEquals(Set.of(0, 1), again.gpuIds());
    assertEquals("d", again.owner());
    assertThrows(WindowException.Ended.class, () -> second.find(window.id()));
    assertEquals(left.id(), second.list().getFirst().id());
    second.find(left.id()).close();
    pass(Duration.ofMinutes(6));
    EnergyMeter third = meter(Optional.of(dir));
    assertThrows(WindowException.Ended.class, () -> third.findToEnd(window.id()));
    assertFalse(Files.exists(dir.resolve("energy-windows")), "nothing is left");
  }

  /** Ended by this or by that one, but never gone. */
  @Test
  void whatCannotBeSavedIsOpenInTheNextProcess() throws IOException {
    EnergyMeter first = meter(Optional.of(dir));
    EnergyWindow window = first.begin(request(Duration.ofHours(1)));
    Files.createDirectories(dir.resolve(".energy-windows.new/in-the-way"));
    pass(Duration.ofSeconds(1));
    models.get(0).energyMj += 9;
    assertEquals(9, window.end().gpus().get(0).energyMj());
    models.get(0).energyMj += 1;
    pass(Duration.ofSeconds(1));
    assertEquals(10, meter(Optional.of(dir)).findToEnd(window.id()).end().gpus().get(0).energyMj());
  }

  @Test
  void whatCouldNotBeSavedIsSavedWhenThatIsPossible() throws IOException {
    EnergyMeter first = meter(Optional.of(dir));
    EnergyWindow ended = first.begin(request(Duration.ofHours(1)));
    assertTrue(first.isCrashSafe());
    Path inTheWay = Files.createDirectories(dir.resolve(".energy-windows.new/in-the-way"));
    EnergyWindow begun;
    try (TestLog log = new TestLog(EnergyMeter.class.getName())) {
      begun = first.begin(request(Duration.ofHours(1)));
      assertFalse(first.isCrashSafe());
      end(ended);
      first.step();
      first.step();
      assertEquals(1, log.lines(Level.WARNING).size(), "once, though tallies are written");
      Files.delete(inTheWay);
      assertTrue(first.step());
      assertEquals(
          List.of(dir.resolve("energy-windows") + " can be written again"), log.lines(Level.INFO));
    }
    assertTrue(first.isCrashSafe());
    assertEquals(
        List.of(begun.id()),
        meter(Optional.of(dir)).list().stream().map(EnergyWindow::id).toList());
  }

  @Test
  void powerIsSummedUpWhereNothingCounts() throws InterruptedException {
    models.get(0).counts = false;
    EnergyMeter meter =
        new EnergyMeter(
            () -> gpus,
            () -> cpus,
            Optional.empty(),
            NanoClock.SYSTEM,
            BootClock.of(System::nanoTime),
            NEVER);
    open.add(meter);
    EnergyWindow window = meter.begin(request(Duration.ofHours(1)));
    int before = models.get(0).powerReads.get();
    Await.until("20 readings", () -> models.get(0).powerReads.get() > before + 20);
    assertEquals(0, models.get(1).powerReads.get(), "it counts");
    WindowEnergy energy = window.soFar();
    WindowEnergy.OfGpu gpu = energy.gpus().get(0);
    assertEquals(Method.INTEGRATED, gpu.method());
    // Begun and ended by readings of their own, which take their time on a busy machine.
    double seconds = energy.elapsed().toNanos() / 1e9;
    assertTrue(gpu.joules() > 0.1 * 100 * seconds, () -> gpu + " in " + seconds);
    assertEquals(Method.COUNTER, energy.gpus().get(1).method());
    window.close();
    Await.until("nobody reads power", () -> Await.threads("GPU power") == 0);
  }

  /** The next process has one GPU less, so that the other one has its id. */
  @Test
  void whatAGpuThatIsGoneHasUsedIsNotTakenForAnotherOnes() throws InterruptedException {
    models.forEach(gpu -> gpu.counts = false);
    models.get(0).powerMw = 900_000;
    BootClock real = BootClock.of(System::nanoTime);
    EnergyMeter first = meter(real);
    String id = first.begin(request(Duration.ofHours(1))).id();
    Await.until("a reading", () -> first.find(id).soFar().gpus().get(0).energyMj() > 0);
    first.close();
    CountingGpu left = new CountingGpu(0, "GPU-b c");
    left.counts = false;
    left.powerMw = 1000;
    gpus = gpuSet(List.of(left));
    EnergyMeter second = meter(real);
    EnergyWindow window = second.find(id);
    assertEquals(Set.of(0, 1), window.gpuIds());
    WindowEnergy before = window.soFar();
    second.step();
    int reads = left.powerReads.get();
    Await.until("20 readings", () -> left.powerReads.get() > reads + 20);
    WindowEnergy after = window.end();
    assertTrue(after.gpus().get(0).energyMj() > before.gpus().get(0).energyMj(), "it is there");
    assertEquals(before.gpus().get(1).energyMj(), after.gpus().get(1).energyMj(), "it is gone");
  }

  @Test
  void readsNothingWithoutWindows() throws InterruptedException {
    EnergyMeter meter = meter(Optional.empty());
    meter.begin(request(Duration.ofHours(1))).end();
    int reads = models.get(0).energyReads.get();
    assertFalse(meter.step());
    assertFalse(meter.measuresGpus());
    assertEquals(reads, models.get(0).energyReads.get());
  }

  @Test
  void windowsThatNobodyEndsAreForgotten() {
    EnergyMeter meter = meter(Optional.of(dir));
    EnergyWindow window = meter.begin(request(Duration.ofSeconds(60)));
    pass(Duration.ofSeconds(59));
    assertTrue(meter.step());
    assertEquals(Duration.ofSeconds(1), meter.find(window.id()).expiresIn());
    pass(Duration.ofSeconds(1));
    assertThrows(WindowException.Ended.class, () -> meter.find(window.id()));
    assertFalse(meter.step());
    assertFalse(Files.exists(dir.resolve("energy-windows")));
  }

  @Test
  void nobodyTakesAllTheRoom() {
    EnergyMeter meter = meter(Optional.empty());
    assertEquals(512, beginAsManyAsPossible(meter, "user 0"), "the half, of who is alone");
    EnergyWindow oldest = meter.list().getFirst();
    assertEquals(341, beginAsManyAsPossible(meter, "user 1"), "a third");
    assertEquals(oldest, meter.find(oldest.id()), "there is room left");
    for (int owner = 2; owner < 10; owner++) {
      assertEquals(1024 / (owner + 2), beginAsManyAsPossible(meter, "user " + owner));
    }
    assertEquals(EnergyMeter.MAX_WINDOWS, meter.list().size());
    assertThrows(WindowException.Ended.class, () -> meter.find(oldest.id()), "it had to make room");
    EnergyWindow late = meter.begin(small("user 10"));
    assertEquals(EnergyMeter.MAX_WINDOWS, meter.list().size());
    assertEquals(late, meter.list().getLast());
    for (int owner = 0; owner < 10; owner++) {
      long own = windowsOf(meter, "user " + owner);
      assertTrue(own >= 1024 / 12, "user " + owner + " has " + own);
    }
    String refusal =
        assertThrows(WindowException.TooMany.class, () -> meter.begin(small("user 0")))
            .getMessage();
    assertTrue(
        refusal.matches(
            "user 0 has \\d+ energy windows open, which is its share of the 1024 that may be"
                + " \\((user \\d has \\d+, ){3}and 8 others fewer or as many\\); end some of them"
                + " first"),
        refusal);
    for (int i = 0; i < 500; i++) {
      meter.list().getFirst().close();
    }
    meter.begin(small("user 0"));
  }

  private static long windowsOf(EnergyMeter meter, String owner) {
    return meter.list().stream().filter(window -> window.owner().equals(owner)).count();
  }

  private static WindowRequest small(String owner) {
    return new WindowRequest("", owner, Duration.ofDays(1), Set.of(), Set.of(0));
  }

  private static int beginAsManyAsPossible(EnergyMeter meter, String owner) {
    for (int count = 0; true; count++) {
      try {
        meter.begin(small(owner));
      } catch (WindowException.TooMany e) {
        return count;
      }
    }
  }

  @Test
  void aFileThatMakesNoSenseIsSetAside() throws IOException {
    EnergyMeter first = meter(Optional.of(dir));
    first.begin(request(Duration.ofHours(1)));
    Path file = dir.resolve("energy-windows");
    Files.writeString(file, Files.readString(file).replace("window ", "window x "));
    assertEquals(List.of(), meter(Optional.of(dir)).list());
    assertTrue(Files.exists(dir.resolve("energy-windows.damaged")));
  }

  /** Gone, or set aside since it was damaged: nobody takes that for no energy. */
  @Test
  void whereWhatWasMeasuredIsLostThatIsTold() throws IOException {
    EnergyMeter first = meter(Optional.of(dir));
    String id = first.begin(request(Duration.ofHours(1))).id();
    pass(Duration.ofSeconds(20));
    models.get(0).energyMj += 5000;
    first.step();
    Files.delete(dir.resolve("energy-tallies"));
    EnergyWindow window = meter(Optional.of(dir)).find(id);
    pass(Duration.ofSeconds(10));
    window.soFar();
    pass(Duration.ofSeconds(10));
    models.get(0).energyMj += 40;
    packageUj.energyUj += 7;
    WindowEnergy energy = window.end();
    Set<Long> possibleMs = Set.of(20_000L, 30_000L);
    long gapMs = energy.gpus().get(0).gapMs();
    assertTrue(possibleMs.contains(gapMs), LOOKS_AT_ONCE + gapMs);
    assertEquals(
        new WindowEnergy.OfGpu(40, Method.COUNTER, gapMs, gapMs, PowerScope.GPU),
        energy.gpus().get(0));
    assertEquals(7, energy.cpus().get(0).cpuEnergyUj());
    long missingMs = energy.cpus().get(0).missingMs();
    assertTrue(possibleMs.contains(missingMs), LOOKS_AT_ONCE + missingMs);
  }

  @Test
  void aFileWhoseWindowIsMissingIsSetAside() throws IOException {
    meter(Optional.of(dir)).begin(request(Duration.ofHours(1)));
    StateDirectory state = StateDirectory.open(dir);
    List<String> lines = state.read("energy-windows").orElseThrow();
    // What it measures is still there.
    state.write("energy-windows", lines.subList(1, lines.size()));
    assertEquals(List.of(), meter(Optional.of(dir)).list());
    assertTrue(Files.exists(dir.resolve("energy-windows.damaged")));
  }

  @Test
  void noDeviceIsNoWindow() {
    EnergyMeter meter = meter(Optional.empty());
    assertThrows(
        WindowException.NoDevices.class,
        () -> meter.begin(new WindowRequest("", "alice", Duration.ofDays(1), Set.of(9), Set.of())));
  }
}
