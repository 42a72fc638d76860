package dev.zeusd.core;

import static dev.zeusd.testkit.nvml.FakeNvml.Call.*;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.PowerLimitConstraints;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.sampling.Subscription;
import dev.zeusd.core.settings.Lease;
import dev.zeusd.core.settings.SettingKey;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.ffm.fake.ChildJvm;
import dev.zeusd.testkit.TestClock;
import dev.zeusd.testkit.nvml.FakeGpu;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import dev.zeusd.testkit.nvml.FakeNvml.Oddity;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.logging.Level;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What opens, what does not, and the GPUs behind NVML. */
class NodeTest {
  private static final NodeConfig NVML =
      NodeConfig.defaults().withGpuBackend(GpuBackend.NVML).withCpuBackend(CpuBackend.NONE);
  private static final NodeConfig AUTO = NVML.withGpuBackend(GpuBackend.AUTO);

  private static final String NOT_LOADED =
      "opening NVML: the NVIDIA kernel driver is not loaded; load it, as by modprobe nvidia"
          + " (nvmlInit_v2: NVML_ERROR_DRIVER_NOT_LOADED)";

  private final FakeNvml nvml = FakeNvml.inProcess();

  @BeforeEach
  void reset() {
    nvml.reset();
  }

  // ---- Opening ----

  /** Opens without a library: NVML, and then AUTO, which does not wait until a JVM is warm. */
  static final class OpenBoth {
    public static void main(String[] args) {
      try (Node node = Node.open(NVML)) {
        System.out.println("nvml=" + node.gpus().size());
      } catch (NodeException e) {
        System.out.println("nvml=" + e.getMessage());
      }
      try (Node node = Node.open(AUTO)) {
        System.out.println("auto=" + node.gpus().size());
      }
    }
  }

  @Test
  void withoutALibraryAutoOpensWithoutGpusAndNvmlDoesNot() throws Exception {
    ChildJvm.Result child = ChildJvm.run(OpenBoth.class, Map.of());
    assertEquals(0, child.exitCode(), child.output());
    assumeFalse(Character.isDigit(child.value("nvml").charAt(0)), "this machine has a driver");
    assertEquals("0", child.value("auto"));
    String logged = "no GPUs: libnvidia-ml.so.1 cannot be loaded";
    assertTrue(child.output().contains(logged), child.output());
    String message = child.value("nvml");
    assertTrue(
        message.startsWith("NVML is not usable: libnvidia-ml.so.1 cannot be loaded"), message);
  }

  @Test
  void whereNativeAccessIsDeniedTheMessageNamesTheFlag() throws Exception {
    assumeTrue(Runtime.version().feature() >= 24, "Java cannot be told to deny it before");
    ChildJvm.Result child =
        ChildJvm.run(OpenNvmlOrNone.class, nvml.environment(), ChildJvm.DENY_NATIVE_ACCESS);
    assertEquals(0, child.exitCode(), child.output());
    for (String backend : List.of("AUTO", "NVML")) {
      String message = child.value(backend);
      assertTrue(message.contains("--enable-native-access=ALL-UNNAMED"), message);
    }
    assertEquals("0 GPUs", child.value("NONE"));
  }

  /** Opens a node with each of three backends; AUTO does not wait until a JVM is warm. */
  static final class OpenNvmlOrNone {
    public static void main(String[] args) {
      for (GpuBackend backend : List.of(GpuBackend.NVML, GpuBackend.AUTO, GpuBackend.NONE)) {
        try (Node node = Node.open(NVML.withGpuBackend(backend))) {
          System.out.println(backend + "=" + node.gpus().size() + " GPUs");
        } catch (NodeException e) {
          System.out.println(backend + "=" + e.getMessage());
        }
      }
    }
  }

  @Test
  void withoutADriverAutoOpensWithoutGpusAndNvmlDoesNot() {
    nvml.driverUnloaded(true);
    try (TestLog log = new TestLog(Node.class.getName());
        Node node = Node.open(AUTO)) {
      assertEquals(List.of(), node.gpus());
      assertEquals(List.of("no GPUs: " + NOT_LOADED), log.lines(Level.WARNING));
      NodeException e = assertThrows(NodeException.class, () -> Node.open(NVML));
      assertEquals("NVML is not usable: " + NOT_LOADED, e.getMessage());
    } finally {
      nvml.driverUnloaded(false);
    }
  }

  @Test
  void gpusThatComeAfterTheNodeAreFound() throws Exception {
    nvml.driverUnloaded(true);
    try (TestLog log = new TestLog(Node.class.getName());
        Node node = Node.open(AUTO)) {
      assertEquals(List.of(), node.gpus());
      Subscription<GpuPowerSample> toNothing = node.gpuPower().subscribe(List.of());
      nvml.driverUnloaded(false).deviceCount(0);
      long inits = nvml.calls(INIT);
      Await.until("it looks again", () -> node.gpus().isEmpty() && nvml.calls(INIT) > inits);
      nvml.deviceCount(4);
      Await.until("GPUs are found", () -> node.gpus().size() == 4);
      assertTrue(toNothing.isClosed());
      assertEquals(85_000, node.gpuPower().read(1).get().powerMw());
      assertEquals("NVIDIA Fake GPU", node.gpus().get(3).device().info().name());
      assertEquals(
          List.of("no GPUs: " + NOT_LOADED, "no GPUs by NVML, driver 575.57.08"),
          log.lines(Level.WARNING));
      assertEquals("GPUs are there now: [0, 1, 2, 3]", log.lines(Level.INFO).getLast());
    }
    assertEquals(nvml.calls(SHUTDOWN) + 1, nvml.calls(INIT), "but for the one that failed");
  }

  @Test
  void aDriverThatHangsWhenItIsLookedForHoldsUpNobodyForLong() throws Exception {
    TestClock clock = new TestClock();
    nvml.driverUnloaded(true);
    Node node = Node.of(AUTO, List.of(), List.of(), clock);
    nvml.driverUnloaded(false).delay(INIT, Duration.ofMinutes(1));
    try {
      clock.jump(Duration.ofSeconds(5).toNanos());
      long start = System.nanoTime();
      assertEquals(List.of(), node.gpus(), "after the two seconds that one may wait");
      Await.until("it looks again", () -> nvml.inFlight() == 1);
      for (int i = 0; i < 100; i++) {
        clock.jump(Duration.ofSeconds(3).toNanos());
        assertEquals(List.of(), node.gpus());
      }
      assertTrue(System.nanoTime() - start < 60_000_000_000L, "each time is waited for it");
      assertEquals(1, nvml.inFlight(), "it is not called again");
      nvml.delay(INIT, Duration.ZERO);
      Await.until("GPUs are found", () -> node.gpus().size() == 4);
    } finally {
      nvml.delay(INIT, Duration.ZERO);
      node.close();
    }
  }

  /** Wherever in the opening: the node is there at once, and the GPUs when they are. */
  @ParameterizedTest
  @EnumSource(
      value = Call.class,
      names = {"INIT", "GET_COUNT", "GET_DRIVER_VERSION"})
  void aDriverThatHangsAtTheStartDoesNotKeepTheNode(Call call) throws Exception {
    nvml.delay(call, Duration.ofMinutes(5));
    long start = System.nanoTime();
    for (NodeConfig config : List.of(AUTO, NVML)) {
      try (TestLog log = new TestLog(Node.class.getName());
          Node node = Node.open(config)) {
        assertTrue(System.nanoTime() - start < 10_000_000_000L, "the node waits");
        String waiting = "no GPUs: NVML has not answered yet; if it stays so, the driver hangs";
        assertEquals(List.of(), log.lines(Level.WARNING), "it may just take long");
        assertEquals(List.of(waiting), node.problems());
        assertEquals(List.of(), node.gpus());
        nvml.delay(call, Duration.ZERO);
        // Without anybody who asks.
        Await.until(
            "GPUs are found",
            () -> log.lines(Level.INFO).contains("GPUs are there now: [0, 1, 2, 3]"));
        assertEquals(4, node.gpus().size());
        assertEquals(List.of(), node.problems());
      } finally {
        nvml.delay(call, Duration.ZERO);
      }
      nvml.delay(call, Duration.ofMinutes(5));
      start = System.nanoTime();
    }
    nvml.delay(call, Duration.ZERO);
    assertEquals(2, nvml.calls(INIT), "each was called once");
    assertEquals(2, nvml.calls(SHUTDOWN));
  }

  /** There is no moment in which they are found and not there. */
  @Test
  void whoAsksWhileGpusThatWereFoundLateSayWhatTheyAreGetsThem() throws Exception {
    nvml.delay(INIT, Duration.ofMinutes(5));
    nvml.gpu(2).delay(GET_PCI_INFO, Duration.ofMinutes(5));
    try (Node node = Node.open(AUTO)) {
      nvml.delay(INIT, Duration.ZERO);
      Await.until("GPU 2 is asked what it is", () -> nvml.gpu(2).inFlight() == 1);
      AtomicInteger gpus = new AtomicInteger();
      Thread asking = Thread.ofPlatform().start(() -> gpus.set(node.gpus().size()));
      Await.until(
          "it waits, or has an answer",
          () -> asking.getState() == Thread.State.TIMED_WAITING || !asking.isAlive());
      nvml.gpu(2).delay(GET_PCI_INFO, Duration.ZERO);
      asking.join();
      assertEquals(4, gpus.get());
      assertEquals(List.of(), node.problems());
    } finally {
      nvml.delay(INIT, Duration.ZERO);
      nvml.gpu(2).delay(GET_PCI_INFO, Duration.ZERO);
    }
  }

  @Test
  void aDriverThatAnswersAfterTheNodeClosedIsShutDown() throws Exception {
    nvml.driverUnloaded(true);
    Node node = Node.open(AUTO);
    nvml.driverUnloaded(false).delay(INIT, Duration.ofMinutes(1));
    try {
      Await.until("it looks again", () -> node.gpus().isEmpty() && nvml.inFlight() == 1);
      long before = nvml.calls(SHUTDOWN);
      node.close();
      nvml.delay(INIT, Duration.ZERO);
      Await.until("it is shut down", () -> nvml.calls(SHUTDOWN) == before + 1);
    } finally {
      nvml.delay(INIT, Duration.ZERO);
    }
  }

  @Test
  void anNvmlThatIsOpenAfterTheNodeWasClosedIsShutDown() throws Exception {
    nvml.delay(INIT, Duration.ofMinutes(5));
    try {
      Node node = Node.open(AUTO);
      long start = System.nanoTime();
      node.close();
      assertTrue(System.nanoTime() - start < 60_000_000_000L, "close waits for NVML");
      assertEquals(0, nvml.calls(SHUTDOWN));
    } finally {
      nvml.delay(INIT, Duration.ZERO);
    }
    Await.until("it is shut down", () -> nvml.calls(SHUTDOWN) == 1);
    assertEquals(1, nvml.calls(INIT));
  }

  // ---- Letting go ----

  @Test
  void whatIsLetGoOfIsOpenedAgainByTheNextRequest() throws Exception {
    try (Node node = Node.open(NVML)) {
      List<DeviceWorker<Gpu>> gpus = node.gpus();
      try (Subscription<GpuPowerSample> power = node.gpuPower().subscribe(List.of(2))) {
        power.poll(Duration.ofSeconds(20));
        assertEquals(Node.Release.STREAMED, node.releaseGpus());
      }
      assertEquals(Node.Release.DONE, node.releaseGpus());
      assertEquals(1, nvml.calls(SHUTDOWN));
      long calls = nvml.totalCalls();
      assertEquals(4, node.gpus().size());
      assertEquals("NVIDIA Fake GPU", gpus.get(1).device().info().name());
      Await.rest();
      assertEquals(calls, nvml.totalCalls(), "it stays so");
      assertTrue(works(gpus.get(1)));
      assertEquals(2, nvml.calls(INIT));
      assertEquals(4, node.gpus().size());
      assertEquals(0, nvml.gpu(0).calls() - callsAtStart(0), "others are not asked for it");
      nvml.gpu(3).delay(GET_POWER_LIMIT, Duration.ofMinutes(1));
      gpus.get(3).submit(Gpu::powerLimitMw);
      Await.until("GPU 3 hangs", () -> nvml.gpu(3).inFlight() == 1);
      assertEquals(Node.Release.BUSY, node.releaseGpus());
      assertTrue(works(gpus.get(2)));
    } finally {
      nvml.gpu(3).delay(GET_POWER_LIMIT, Duration.ZERO);
    }
  }

  /** To be listed: handle, name, UUID twice, address, energy, the module's power, MIG mode. */
  private static long callsAtStart(int gpu) {
    return 8;
  }

  @Test
  void anIdleDriverIsLetGoOfByItself() throws Exception {
    try (Node node = Node.open(NVML.withGpuIdleRelease(Duration.ofSeconds(1)))) {
      DeviceWorker<Gpu> gpu = node.gpus().get(1);
      try (Subscription<GpuPowerSample> power = node.gpuPower().subscribe(List.of(1))) {
        power.poll(Duration.ofSeconds(20));
        // It may have been idle before, on a machine that stood still.
        long before = nvml.calls(SHUTDOWN);
        awaitLooksOfTheWatcher(3);
        assertEquals(before, nvml.calls(SHUTDOWN), "it is not idle");
      }
      long before = nvml.calls(SHUTDOWN);
      Await.until("it is let go of", () -> nvml.calls(SHUTDOWN) == before + 1);
      assertTrue(works(gpu));
      Await.until("and again", () -> nvml.calls(SHUTDOWN) == before + 2);
    }
    assertEquals(nvml.calls(INIT), nvml.calls(SHUTDOWN));
    assertThrows(
        IllegalArgumentException.class, () -> NVML.withGpuIdleRelease(Duration.ofMillis(999)));
  }

  /** One of its looks comes when a call is an idle time ago. */
  private static void awaitLooksOfTheWatcher(int looks) throws InterruptedException {
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    long watcher =
        Thread.getAllStackTraces().keySet().stream()
            .filter(thread -> thread.getName().equals("release idle NVML"))
            .mapToLong(Thread::threadId)
            .max()
            .orElseThrow();
    long before = threads.getThreadInfo(watcher).getWaitedCount();
    Await.until(
        "it looks whether the driver is idle",
        () -> threads.getThreadInfo(watcher).getWaitedCount() >= before + looks);
  }

  @Test
  void anIdleDriverIsKeptWhileALeaseHoldsASetting() throws Exception {
    try (Node node = Node.open(NVML.withGpuIdleRelease(Duration.ofSeconds(1)))) {
      long limitMw = node.gpus().get(0).call(Gpu::powerLimitMw);
      try (Lease lease = node.lease(List.of(0), Set.of(SettingKey.POWER_LIMIT))) {
        lease.setPowerLimit(limitMw - 50_000);
        long before = nvml.calls(SHUTDOWN);
        awaitLooksOfTheWatcher(3);
        assertEquals(before, nvml.calls(SHUTDOWN), "the driver might forget it");
        assertEquals(Node.Release.LEASED, node.releaseGpus());
      }
      assertEquals(limitMw, nvml.gpu(0).powerLimitMw());
      Await.until("it is let go of", () -> nvml.calls(SHUTDOWN) == nvml.calls(INIT));
    }
  }

  @Test
  void openingThatFailsHalfWayShutsDown() {
    nvml.error(GET_COUNT, 999);
    assertThrows(NodeException.class, () -> Node.open(NVML));
    assertEquals(1, nvml.calls(INIT));
    assertEquals(1, nvml.calls(SHUTDOWN));
  }

  @Test
  void aNodeWithoutGpusOpensAndCloses() {
    nvml.deviceCount(0);
    try (Node node = Node.open(NVML)) {
      assertEquals(List.of(), node.gpus());
      node.gpuPower().subscribe(List.of()).close();
    }
    assertEquals(nvml.calls(INIT), nvml.calls(SHUTDOWN));
  }

  @Test
  void theBackendNoneLoadsNothing() {
    try (Node node = Node.open(NVML.withGpuBackend(GpuBackend.NONE))) {
      assertEquals(List.of(), node.gpus());
      assertEquals(List.of(), node.cpus());
    }
    assertEquals(0, nvml.totalCalls());
  }

  @Test
  void anIdleNodeMakesNoHardwareCall() throws Exception {
    try (Node node = Node.open(NVML)) {
      assertEquals(4, node.gpus().size());
      long calls = nvml.totalCalls();
      Await.rest();
      assertEquals(calls, nvml.totalCalls());
      node.gpus().forEach(gpu -> gpu.device().info());
      assertEquals(calls, nvml.totalCalls());
    }
  }

  @Test
  void closeIsQuickAlthoughAllGpusHang() throws Exception {
    nvml.deviceCount(8);
    Node node = Node.open(NVML);
    nvml.delay(GET_POWER_LIMIT, Duration.ofMinutes(1));
    node.gpus().forEach(gpu -> gpu.submit(Gpu::powerLimitMw));
    Await.until("8 calls hang", () -> nvml.inFlight() == 8);
    long tookMs = closeMs(node);
    nvml.delay(GET_POWER_LIMIT, Duration.ZERO);
    Await.until("they end", () -> nvml.inFlight() == 0);
    // The whole daemon has one second to stop.
    assertTrue(tookMs < 900, "close took " + tookMs + " ms");
  }

  @Test
  void closeIsQuickAlthoughTheDriverHangsInItsShutdown() throws Exception {
    Node node = Node.open(NVML);
    nvml.delay(SHUTDOWN, Duration.ofMinutes(1));
    long tookMs = closeMs(node);
    nvml.delay(SHUTDOWN, Duration.ZERO);
    Await.until("it ends", () -> nvml.inFlight() == 0);
    assertTrue(tookMs < 900, "close took " + tookMs + " ms");
  }

  private static long closeMs(Node node) {
    try (Metronome metronome = new Metronome()) {
      node.close();
      return metronome.beats();
    }
  }

  @Test
  void closeIsIdempotentAndEndsTheThreads() throws Exception {
    Node node = Node.open(NVML);
    DeviceWorker<Gpu> gpu = node.gpus().get(1);
    Thread thread = gpu.call(device -> Thread.currentThread());
    assertEquals("GPU 1", thread.getName());
    node.close();
    node.close();
    thread.join(10_000);
    assertTrue(!thread.isAlive());
    assertEquals(1, nvml.calls(SHUTDOWN));
    assertThrows(DeviceException.Unavailable.class, () -> gpu.call(Gpu::powerLimitMw));
    assertThrows(Exception.class, () -> node.gpuPower().read(1).join());
  }

  @ParameterizedTest
  @MethodSource("wrongRates")
  void aRateOutOfRangeIsRefused(int pollHz) {
    assertThrows(IllegalArgumentException.class, () -> NVML.withGpuPowerPollHz(pollHz));
    assertThrows(IllegalArgumentException.class, () -> NVML.withCpuPowerPollHz(pollHz));
  }

  static IntStream wrongRates() {
    return IntStream.of(Integer.MIN_VALUE, -1, 0, 1001, Integer.MAX_VALUE);
  }

  // ---- GPUs behind NVML ----

  @Test
  void gpusTellWhoTheyAre() {
    nvml.deviceCount(3);
    nvml.gpu(0).name("NVIDIA H100 80GB HBM3").pci(0, 0x19, 0);
    nvml.gpu(1).name("NVIDIA A100").pci(0xABCD, 0xEF, 0x1F);
    nvml.gpu(2).name("Tesla P4").pci(0x12345, 3, 4).error(GET_TOTAL_ENERGY, 3);
    try (Node node = Node.open(NVML)) {
      assertEquals(
          List.of(
              info(0, "NVIDIA H100 80GB HBM3", "0000:19:00.0", true),
              info(1, "NVIDIA A100", "abcd:ef:1f.0", true),
              info(2, "Tesla P4", "12345:03:04.0", false)),
          node.gpus().stream().map(gpu -> gpu.device().info()).toList());
    }
  }

  private static GpuInfo info(int id, String name, String pciAddress, boolean countsEnergy) {
    return new GpuInfo(
        id,
        name,
        Optional.of("GPU-fa4e0000-0000-4000-8000-%012x".formatted(id)),
        Optional.of(pciAddress),
        Optional.of(countsEnergy),
        PowerScope.GPU);
  }

  @Test
  void aGpuThatIsLostAtTheStartIsListedAndHeals() throws Exception {
    nvml.gpu(1).allErrors(15);
    try (TestLog log = new TestLog("dev.zeusd.core.driver.DriverGpu");
        Node node = Node.open(NVML)) {
      assertEquals(4, node.gpus().size());
      assertEquals(1, log.lines(Level.WARNING).size(), log.lines(Level.WARNING).toString());
      DeviceWorker<Gpu> gpu = node.gpus().get(1);
      assertThrows(DeviceException.Failed.class, () -> gpu.call(Gpu::powerMw));
      assertEquals(GpuInfo.unknown(1), gpu.device().info());
      nvml.gpu(1).allErrors(0);
      GpuInfo known = info(1, "NVIDIA Fake GPU", "0000:27:00.0", true);
      Await.until("it heals", () -> works(gpu) && gpu.device().info().equals(known));
      assertEquals("NVIDIA Fake GPU", node.gpus().get(2).device().info().name());
      gpu.call(Gpu::powerMw);
      assertEquals(
          List.of("GPU 1 answers now: NVIDIA Fake GPU at 0000:27:00.0"), log.lines(Level.INFO));
      assertEquals(1, log.lines(Level.WARNING).size());
    }
  }

  /** A fact, the call behind it, and what is known of a GPU without it. */
  private record Fact(String name, Call call, UnaryOperator<GpuInfo> without) {}

  private static final List<Fact> FACTS =
      List.of(
          new Fact(
              "name",
              GET_NAME,
              i ->
                  new GpuInfo(
                      i.id(),
                      "unknown",
                      i.uuid(),
                      i.pciAddress(),
                      i.cumulativeEnergyAvailable(),
                      i.powerScope())),
          new Fact(
              "UUID",
              GET_UUID,
              i ->
                  new GpuInfo(
                      i.id(),
                      i.name(),
                      Optional.empty(),
                      i.pciAddress(),
                      i.cumulativeEnergyAvailable(),
                      i.powerScope())),
          new Fact(
              "PCI address",
              GET_PCI_INFO,
              i ->
                  new GpuInfo(
                      i.id(),
                      i.name(),
                      i.uuid(),
                      Optional.empty(),
                      i.cumulativeEnergyAvailable(),
                      i.powerScope())),
          new Fact(
              "energy",
              GET_TOTAL_ENERGY,
              i ->
                  new GpuInfo(
                      i.id(),
                      i.name(),
                      i.uuid(),
                      i.pciAddress(),
                      Optional.empty(),
                      i.powerScope())));

  @ParameterizedTest
  @ValueSource(ints = {2, 4, 6, 15, 999})
  void aFactThatIsNotToldCostsOnlyItselfAndMayComeLater(int code) throws Exception {
    for (int gpu = 0; gpu < 4; gpu++) {
      nvml.gpu(gpu).error(FACTS.get(gpu).call, code);
    }
    try (TestLog log = new TestLog("dev.zeusd.core.driver.DriverGpu");
        Node node = Node.open(NVML)) {
      for (DeviceWorker<Gpu> gpu : node.gpus()) {
        Fact fact = FACTS.get(gpu.id());
        GpuInfo whole = info(gpu.id(), "NVIDIA Fake GPU", PCI_ADDRESSES.get(gpu.id()), true);
        assertEquals(fact.without.apply(whole), gpu.device().info());
        assertTrue(works(gpu));
        run(gpu, device -> device.setPowerLimit(200_000));
        String line =
            log.lines(Level.WARNING).stream()
                .filter(each -> each.startsWith("GPU " + gpu.id() + " "))
                .findAny()
                .orElseThrow();
        assertTrue(line.contains("does not tell all of itself: no " + fact.name + ": "), line);
        nvml.gpu(gpu.id()).error(fact.call, 0);
        Await.until("it tells", () -> works(gpu) && gpu.device().info().equals(whole));
      }
      assertEquals(4, log.lines(Level.WARNING).size(), () -> "" + log.lines(Level.WARNING));
    }
  }

  private static final List<String> PCI_ADDRESSES =
      List.of("0000:19:00.0", "0000:27:00.0", "0000:35:00.0", "0000:43:00.0");

  @Test
  void textsWithoutAZeroSpoilNoReading() {
    nvml.oddity(GET_NAME, Oddity.NO_ZERO).oddity(GET_UUID, Oddity.NO_ZERO);
    nvml.oddity(GET_DRIVER_VERSION, Oddity.NO_ZERO).oddity(GET_PCI_INFO, Oddity.NO_ZERO);
    try (Node node = Node.open(NVML)) {
      assertEquals("x".repeat(96), node.gpus().get(1).device().info().name());
      assertEquals(Optional.empty(), node.gpus().get(1).device().info().pciAddress());
      assertTrue(works(node.gpus().get(1)));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, Integer.MAX_VALUE})
  void anAbsurdNumberOfGpusIsAFailure(int count) throws Exception {
    nvml.deviceCount(count);
    try (TestLog log = new TestLog(Node.class.getName());
        Node node = Node.open(AUTO)) {
      assertEquals(List.of(), node.gpus());
      String line = log.lines(Level.WARNING).getFirst();
      assertTrue(line.contains(Integer.toUnsignedString(count) + " GPUs"), line);
      nvml.deviceCount(4);
      Await.until("they are counted again", () -> node.gpus().size() == 4);
    }
  }

  @Test
  void aGpuThatHangsAtTheStartKeepsNeitherTheNodeNorTheOthers() throws Exception {
    nvml.gpu(2).delay(GET_PCI_INFO, Duration.ofMinutes(1));
    try (TestLog log = new TestLog(Node.class.getName());
        Node node = Node.open(NVML)) {
      assertEquals(List.of("GPU 2 does not answer yet: going on"), log.lines(Level.WARNING));
      assertEquals("unknown", node.gpus().get(2).device().info().name());
      assertEquals("NVIDIA Fake GPU", node.gpus().get(3).device().info().name());
      assertEquals(105_000, node.gpus().get(3).call(Gpu::powerMw));
      nvml.gpu(2).delay(GET_PCI_INFO, Duration.ZERO);
      assertEquals(95_000, node.gpus().get(2).call(Gpu::powerMw));
      assertEquals("0000:35:00.0", node.gpus().get(2).device().info().pciAddress().get());
    } finally {
      nvml.gpu(2).delay(GET_PCI_INFO, Duration.ZERO);
    }
  }

  @Test
  void aDriverThatDoesNotTellItsVersionHasGpusAllTheSame() {
    nvml.error(GET_DRIVER_VERSION, 999);
    try (TestLog log = new TestLog(Node.class.getName());
        Node node = Node.open(NVML)) {
      assertEquals(4, node.gpus().size());
      assertEquals(
          List.of(
              "4 GPU(s) by NVML, driver unknown (reading the driver's version: the driver failed"
                  + " and does not say why; dmesg may tell more (nvmlSystemGetDriverVersion:"
                  + " NVML_ERROR_UNKNOWN))"),
          log.lines(Level.INFO));
    }
  }

  @Test
  void aGpuThatNeverTellsWhoItIsIsReadAllTheSameAndNotAskedEachTime() throws Exception {
    nvml.gpu(1).error(GET_PCI_INFO, 999);
    try (Node node = Node.open(NVML)) {
      DeviceWorker<Gpu> gpu = node.gpus().get(1);
      for (int i = 0; i < 100; i++) {
        assertEquals(85_000, gpu.call(Gpu::powerMw));
      }
      assertTrue(nvml.gpu(1).calls(GET_PCI_INFO) <= 10, "asked with every reading");
      nvml.gpu(1).error(GET_PCI_INFO, 0);
      Await.until("asked again", () -> works(gpu) && gpu.device().info().pciAddress().isPresent());
    }
  }

  @Test
  void everyReadAndCommandReachesItsGpu() {
    FakeGpu fake = nvml.gpu(2);
    fake.powerMw(123_456).energyMj(-2).powerLimits(100_001, 300_000, 400_001).powerLimitMw(222_222);
    try (Node node = Node.open(NVML)) {
      DeviceWorker<Gpu> gpu = node.gpus().get(2);
      assertEquals(123_456, gpu.call(Gpu::powerMw));
      assertEquals("18446744073709551614", Long.toUnsignedString(gpu.call(Gpu::energyMj)));
      assertEquals(222_222, gpu.call(Gpu::powerLimitMw));
      assertEquals(
          new PowerLimitConstraints(100_001, 400_001), gpu.call(Gpu::powerLimitConstraints));
      run(gpu, device -> device.setPowerLimit(234_567));
      run(gpu, device -> device.setPersistenceMode(true));
      run(gpu, device -> device.setGpuLockedClocks(301, 402));
      run(gpu, device -> device.setMemLockedClocks(503, 604));
      assertEquals(234_567, fake.powerLimitMw());
      assertTrue(gpu.call(Gpu::persistenceMode));
      assertEquals(new FakeNvml.Clocks(301, 402), fake.gpuLockedClocks());
      assertEquals(new FakeNvml.Clocks(503, 604), fake.memLockedClocks());
      run(gpu, Gpu::resetGpuLockedClocks);
      assertEquals(new FakeNvml.Clocks(0, 0), fake.gpuLockedClocks());
      assertEquals(new FakeNvml.Clocks(503, 604), fake.memLockedClocks());
      run(gpu, Gpu::resetMemLockedClocks);
      assertEquals(new FakeNvml.Clocks(0, 0), fake.memLockedClocks());
      assertEquals(1, fake.maxInFlight());
    }
  }

  private static void run(DeviceWorker<Gpu> gpu, Consumer<Gpu> command) {
    gpu.call(
        device -> {
          command.accept(device);
          return null;
        });
  }

  @ParameterizedTest
  @MethodSource("oldGpus")
  void withoutInstantPowerTheAverageIsReportedAndSaidOnce(Consumer<FakeGpu> age) {
    age.accept(nvml.gpu(0));
    try (TestLog log = new TestLog("dev.zeusd.core.nvml.NvmlGpu");
        Node node = Node.open(NVML)) {
      for (int i = 0; i < 5; i++) {
        assertEquals(75_000, node.gpus().get(0).call(Gpu::powerMw));
      }
      assertTrue(nvml.gpu(0).calls(GET_FIELD_VALUES) <= 3, "asked again and again");
      assertEquals(1, log.lines(Level.INFO).size(), log.lines(Level.INFO).toString());
      assertTrue(log.lines(Level.INFO).get(0).startsWith("GPU 0 has no instant power reading"));
      node.gpus().get(1).call(Gpu::powerMw);
      assertEquals(0, nvml.gpu(1).calls(GET_POWER_USAGE));
    }
  }

  static List<Consumer<FakeGpu>> oldGpus() {
    return List.of(
        gpu -> gpu.instantPowerSupported(false),
        gpu -> gpu.instantPowerReturn(2),
        gpu -> gpu.error(GET_FIELD_VALUES, 3),
        gpu -> gpu.error(GET_FIELD_VALUES, 13));
  }

  /** Of the field or of the call, and whatever else a driver may do to it. */
  static Stream<Consumer<FakeGpu>> faultsOfTheField() {
    Stream<Consumer<FakeGpu>> results =
        IntStream.of(1, 2, 3, 4, 6, 7, 9, 10, 13, 15, 17, 20, 21, 25, 26, 27, 28, 77, 999)
            .boxed()
            .flatMap(
                code ->
                    Stream.of(
                        gpu -> gpu.instantPowerReturn(code),
                        gpu -> gpu.error(GET_FIELD_VALUES, code)));
    Stream<Consumer<FakeGpu>> values =
        Stream.of(
            gpu -> gpu.oddity(GET_FIELD_VALUES, Oddity.WRITES_NOTHING),
            gpu -> gpu.oddity(GET_FIELD_VALUES, Oddity.ALL_BITS),
            gpu -> gpu.instantPowerType(77),
            gpu -> gpu.instantPowerType(5).oddity(GET_FIELD_VALUES, Oddity.BITS).oddBits(-75_000),
            gpu ->
                gpu.instantPowerType(0)
                    .oddity(GET_FIELD_VALUES, Oddity.BITS)
                    .oddBits(Double.doubleToLongBits(Double.NaN)));
    return Stream.concat(results, values);
  }

  @ParameterizedTest
  @MethodSource("faultsOfTheField")
  void whereTheFieldFailsTheOtherReadingIsUsed(Consumer<FakeGpu> fault) throws Exception {
    try (Node node = Node.open(NVML)) {
      DeviceWorker<Gpu> gpu = node.gpus().get(0);
      assertEquals(75_000, gpu.call(Gpu::powerMw));
      fault.accept(nvml.gpu(0));
      for (int i = 0; i < 3; i++) {
        assertEquals(75_000, gpu.call(Gpu::powerMw));
      }
      long usages = nvml.gpu(0).calls(GET_POWER_USAGE);
      assertTrue(usages >= 3, () -> usages + " calls");
      nvml.gpu(0)
          .error(GET_FIELD_VALUES, 0)
          .instantPowerReturn(0)
          .instantPowerType(1)
          .oddity(GET_FIELD_VALUES, Oddity.NORMAL);
      // The field is tried again after each initialisation.
      nvml.driverUnloaded(true).driverUnloaded(false);
      assertEquals(75_000, gpu.call(Gpu::powerMw));
      long usagesBefore = nvml.gpu(0).calls(GET_POWER_USAGE);
      assertEquals(75_000, gpu.call(Gpu::powerMw));
      assertEquals(usagesBefore, nvml.gpu(0).calls(GET_POWER_USAGE), "instant power is back");
    }
  }

  @Test
  void aFieldThatFailedOnceComesBackByItself() throws Exception {
    nvml.gpu(0).instantPowerSupported(false);
    try (TestLog log = new TestLog("dev.zeusd.core.nvml.NvmlGpu");
        Node node = Node.open(NVML)) {
      DeviceWorker<Gpu> gpu = node.gpus().get(0);
      assertEquals(75_000, gpu.call(Gpu::powerMw));
      nvml.gpu(0).instantPowerSupported(true).error(GET_POWER_USAGE, 999);
      assertEquals(75_000, gpu.call(Gpu::powerMw), "also where the other reading fails");
      nvml.gpu(0).error(GET_POWER_USAGE, 0);
      long usages = nvml.gpu(0).calls(GET_POWER_USAGE);
      assertEquals(75_000, gpu.call(Gpu::powerMw));
      assertEquals(usages, nvml.gpu(0).calls(GET_POWER_USAGE));
      assertEquals(1, log.lines(Level.INFO).size());
    }
  }

  @Test
  void whereNeitherReadingWorksTheFirstFailureIsTold() throws Exception {
    nvml.gpu(0).error(GET_FIELD_VALUES, 21).oddity(GET_POWER_USAGE, Oddity.ALL_BITS);
    try (Node node = Node.open(NVML)) {
      DeviceWorker<Gpu> gpu = node.gpus().get(0);
      DeviceException e = assertThrows(DeviceException.class, () -> gpu.call(Gpu::powerMw));
      assertTrue(e.getMessage().contains("NVML_ERROR_NO_DATA"), e.getMessage());
      nvml.gpu(0).error(GET_FIELD_VALUES, 0);
      Await.until("it heals", () -> works(gpu));
    }
  }

  @Test
  void aGpuThatRefusesItsOwnPowerTellsItsModules() {
    nvml.gpu(0).instantPowerReturn(2).moduleScope(true);
    nvml.gpu(1).instantPowerSupported(false).moduleScope(true);
    nvml.gpu(2).moduleScope(true);
    nvml.gpu(3).instantPowerSupported(false);
    try (Node node = Node.open(NVML)) {
      assertEquals(
          List.of(PowerScope.MODULE, PowerScope.MODULE, PowerScope.GPU, PowerScope.GPU),
          node.gpus().stream().map(gpu -> gpu.device().info().powerScope()).toList());
      long usages = nvml.calls(GET_POWER_USAGE);
      node.gpus().forEach(gpu -> assertTrue(works(gpu)));
      assertEquals(usages + 1, nvml.calls(GET_POWER_USAGE), "of GPU 3");
    }
  }

  @Test
  void aRefusedSettingNamesWhatWasAskedAndWhatIsPossible() {
    nvml.gpu(0).powerLimits(100_000, 300_000, 400_000);
    try (Node node = Node.open(NVML)) {
      DeviceWorker<Gpu> gpu = node.gpus().get(0);
      assertRefused(
          gpu,
          device -> device.setPowerLimit(5000),
          "power limit 5000 mW is not within 100000 to 400000 mW");
      assertRefused(
          gpu,
          device -> device.setGpuLockedClocks(3, 4000),
          "GPU clock 3 to 4000 MHz is not within 210 to 1980 MHz");
      assertRefused(
          gpu,
          device -> device.setMemLockedClocks(9000, 9000),
          "memory clock 9000 MHz is not within 405 to 2619 MHz");
      nvml.gpu(0).error(SET_POWER_LIMIT, 2);
      assertRefused(
          gpu,
          device -> device.setPowerLimit(200_000),
          "power limit 200000 mW is refused, although within 100000 to 400000 mW");
      nvml.gpu(0).error(GET_POWER_LIMIT_CONSTRAINTS, 3);
      assertRefused(
          gpu,
          device -> device.setPowerLimit(200_000),
          "setting the power limit: the driver does not accept this value");
    }
  }

  private static void assertRefused(DeviceWorker<Gpu> gpu, Consumer<Gpu> command, String words) {
    DeviceException e =
        assertThrows(DeviceException.InvalidArgument.class, () -> run(gpu, command));
    assertTrue(e.getMessage().startsWith(words + " (nvmlDeviceSet"), e.getMessage());
  }

  /** What a GPU can be asked, and the calls behind it. */
  private record Request(Consumer<Gpu> body, Call... calls) {}

  private static final List<Request> REQUESTS =
      List.of(
          new Request(Gpu::powerMw, GET_FIELD_VALUES, GET_POWER_USAGE),
          new Request(Gpu::energyMj, GET_TOTAL_ENERGY),
          new Request(Gpu::powerLimitMw, GET_POWER_LIMIT),
          new Request(Gpu::powerLimitConstraints, GET_POWER_LIMIT_CONSTRAINTS),
          new Request(Gpu::persistenceMode, GET_PERSISTENCE_MODE),
          new Request(gpu -> gpu.setPowerLimit(200_000), SET_POWER_LIMIT),
          new Request(gpu -> gpu.setPersistenceMode(true), SET_PERSISTENCE_MODE),
          new Request(gpu -> gpu.setGpuLockedClocks(300, 400), SET_GPU_LOCKED_CLOCKS),
          new Request(gpu -> gpu.setMemLockedClocks(500, 600), SET_MEM_LOCKED_CLOCKS),
          new Request(Gpu::resetGpuLockedClocks, RESET_GPU_LOCKED_CLOCKS),
          new Request(Gpu::resetMemLockedClocks, RESET_MEM_LOCKED_CLOCKS));

  @ParameterizedTest
  @MethodSource("codes")
  void everyResultOfEveryCallBecomesTheRightError(int code) {
    Class<? extends DeviceException> expected =
        switch (code) {
          case 2, 24 -> DeviceException.InvalidArgument.class;
          case 3, 13 -> DeviceException.NotSupported.class;
          case 4 -> DeviceException.NoPermission.class;
          default -> DeviceException.Failed.class;
        };
    try (Node node = Node.open(NVML)) {
      DeviceWorker<Gpu> gpu = node.gpus().get(0);
      for (Request request : REQUESTS) {
        List.of(request.calls).forEach(call -> nvml.gpu(0).error(call, code));
        DeviceException e =
            assertThrows(DeviceException.class, () -> run(gpu, request.body), "" + request);
        assertInstanceOf(expected, e, request + ": " + e);
        assertTrue(
            e.getMessage().matches(".{20,} \\(nvmlDevice\\w+: NVML_ERROR_.*\\)"), e.getMessage());
        List.of(request.calls).forEach(call -> nvml.gpu(0).error(call, 0));
        run(gpu, request.body);
      }
    }
  }

  static IntStream codes() {
    return IntStream.concat(IntStream.rangeClosed(1, 30), IntStream.of(77, 999));
  }

  @Test
  void theNodeOutlivesAReloadOfTheDriver() throws Exception {
    try (Node node = Node.open(NVML)) {
      node.gpus().forEach(gpu -> gpu.call(Gpu::powerMw));
      nvml.driverUnloaded(true);
      node.gpus()
          .forEach(gpu -> assertThrows(DeviceException.Failed.class, () -> gpu.call(Gpu::powerMw)));
      nvml.driverUnloaded(false);
      for (DeviceWorker<Gpu> gpu : node.gpus()) {
        Await.until("GPU " + gpu.id() + " works again", () -> works(gpu));
      }
    }
  }

  private static boolean works(DeviceWorker<Gpu> gpu) {
    try {
      return gpu.call(Gpu::powerMw) == 75_000 + 10_000 * gpu.id();
    } catch (DeviceException e) {
      return false;
    }
  }
}
