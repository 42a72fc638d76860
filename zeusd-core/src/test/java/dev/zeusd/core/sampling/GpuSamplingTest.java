package dev.zeusd.core.sampling;

import static dev.zeusd.testkit.nvml.FakeNvml.Call.*;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.CpuBackend;
import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.Metronome;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.core.TestLog;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.worker.Answer;
import dev.zeusd.testkit.nvml.FakeNvml;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicReference;
import java.util.logging.Level;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** GPUs read on demand, through the fake NVML: who reads, when, and who gets what. */
@Timeout(120)
class GpuSamplingTest {
  private static final Duration LONG = Duration.ofSeconds(20);

  private static final List<Integer> ALL = List.of(0, 1, 2, 3);

  private final FakeNvml nvml = FakeNvml.inProcess();
  private Node node;

  @BeforeEach
  void reset() {
    nvml.reset();
  }

  @AfterEach
  void close() {
    if (node != null) {
      node.close();
    }
  }

  private PowerSampler<Gpu, GpuPowerSample> open(int pollHz) {
    node =
        Node.open(
            NodeConfig.defaults()
                .withGpuBackend(GpuBackend.NVML)
                .withGpuPowerPollHz(pollHz)
                .withCpuBackend(CpuBackend.NONE));
    return node.gpuPower();
  }

  private void countingPower() {
    for (int gpu : ALL) {
      nvml.gpu(gpu).countingPower(100_000);
    }
  }

  private long reads(int gpu) {
    return nvml.gpu(gpu).powerReads();
  }

  private void awaitReads(int gpu, int more) throws InterruptedException {
    long before = reads(gpu);
    Await.until("GPU " + gpu + " is read", () -> reads(gpu) >= before + more);
  }

  private long allReads() {
    return ALL.stream().mapToLong(this::reads).sum();
  }

  /** Polls until each of some devices has given a value. */
  private static void firstOfEach(Subscription<GpuPowerSample> power, int devices)
      throws InterruptedException {
    Set<Integer> seen = new HashSet<>();
    while (seen.size() < devices) {
      List<GpuPowerSample> samples = power.poll(LONG);
      assertTrue(!samples.isEmpty(), "no value of a device in " + LONG + "; seen: " + seen);
      samples.forEach(sample -> seen.add(sample.gpuId()));
    }
  }

  // ---- Who is read, and how often ----

  @Test
  void onlyTheGpusThatAreAskedForAreRead() throws Exception {
    PowerSampler<Gpu, GpuPowerSample> sampler = open(200);
    try (Subscription<GpuPowerSample> power = sampler.subscribe(List.of(1, 3, 1))) {
      assertEquals(2, power.deviceCount());
      Await.until("50 reads", () -> reads(1) >= 50 && reads(3) >= 50);
    }
    assertEquals(0, reads(0));
    assertEquals(0, reads(2));
    assertTrue(nvml.history().stream().noneMatch(call -> call.call() == GET_POWER_USAGE));
  }

  @Test
  void oneSubscriberAndFiftyCostTheSameReads() throws Exception {
    PowerSampler<Gpu, GpuPowerSample> sampler = open(20);
    countingPower();
    assertRate(20, "1 subscriber", sampler, 1);
    assertRate(20, "50 subscribers", sampler, 50);
  }

  /** A busy machine only makes reads fewer. HungGpuTest has the lower bound, by another clock. */
  private void assertRate(
      int hz, String name, PowerSampler<Gpu, GpuPowerSample> sampler, int subscribers)
      throws Exception {
    List<Subscription<GpuPowerSample>> all = new ArrayList<>();
    List<Thread> pollers = new ArrayList<>();
    long before = reads(2);
    long start = System.nanoTime();
    for (int i = 0; i < subscribers; i++) {
      Subscription<GpuPowerSample> power = sampler.subscribe(List.of(2, i % 2));
      all.add(power);
      pollers.add(Thread.startVirtualThread(() -> pollUntilClosed(power)));
    }
    Await.until(name + ": they are read", () -> reads(2) - before >= hz);
    long reads = reads(2) - before;
    double ticks = hz * (System.nanoTime() - start) / 1e9;
    all.forEach(Subscription::close);
    for (Thread poller : pollers) {
      poller.join();
    }
    // One read comes at once, one where the time began within a period.
    assertTrue(reads <= ticks + 2, name + ": " + reads + " reads in " + ticks + " ticks");
  }

  private static void pollUntilClosed(Subscription<GpuPowerSample> power) {
    try {
      while (!power.isClosed()) {
        power.poll(LONG);
      }
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void readingStopsAfterTheLastClose() throws Exception {
    PowerSampler<Gpu, GpuPowerSample> sampler = open(200);
    Subscription<GpuPowerSample> one = sampler.subscribe(List.of(0, 1));
    Subscription<GpuPowerSample> other = sampler.subscribe(List.of(1, 2));
    firstOfEach(one, 2);
    firstOfEach(other, 2);
    one.close();
    one.close();
    one.close();
    // GPU 1 is still wanted: its second subscriber was not counted out three times.
    awaitReads(1, 5);
    long reads = reads(0);
    awaitReads(1, 20);
    assertEquals(reads, reads(0), "nobody wants it");
    other.close();
    Await.rest();
    try (Subscription<GpuPowerSample> again = sampler.subscribe(ALL)) {
      firstOfEach(again, 4);
    }
    Await.rest();
  }

  @Test
  void aCloseWakesWhoPolls() throws Exception {
    Subscription<GpuPowerSample> power = open(20).subscribe(List.of(0));
    firstOfEach(power, 1);
    AtomicReference<List<GpuPowerSample>> last = new AtomicReference<>();
    Thread poller =
        Thread.startVirtualThread(
            () -> {
              try {
                last.set(power.poll(Duration.ofHours(1)));
              } catch (InterruptedException e) {
                throw new AssertionError(e);
              }
            });
    Await.until("it waits", () -> poller.getState() == Thread.State.TIMED_WAITING);
    power.close();
    assertTrue(poller.join(LONG), "still polls");
    assertEquals(List.of(), last.get());
    assertTrue(power.isClosed());
    assertEquals(List.of(), power.poll(LONG));
  }

  @Test
  void unknownDevicesAreRefusedAndNothingIsRead() throws Exception {
    PowerSampler<Gpu, GpuPowerSample> sampler = open(200);
    assertThrows(IllegalArgumentException.class, () -> sampler.subscribe(List.of(0, 4)));
    assertThrows(IllegalArgumentException.class, () -> sampler.subscribe(List.of(-1)));
    assertThrows(IllegalArgumentException.class, () -> sampler.read(4));
    Await.rest();
    assertEquals(0, allReads());
  }

  @Test
  void aSingleReadNeedsNoSubscriberAndLeavesNothingRunning() throws Exception {
    PowerSampler<Gpu, GpuPowerSample> sampler = open(200);
    long before = System.currentTimeMillis();
    GpuPowerSample sample = sampler.read(2).join();
    assertEquals(new GpuPowerSample(sample.timestampMs(), 2, 95_000), sample);
    assertTrue(sample.timestampMs() >= before);
    assertTrue(sample.timestampMs() <= System.currentTimeMillis());
    Await.rest();
    assertEquals(1, allReads());
  }

  // ---- Who gets what ----

  @Test
  void steadyPowerIsToldAtOnceAndThenNotAgain() throws Exception {
    PowerSampler<Gpu, GpuPowerSample> sampler = open(100);
    try (Subscription<GpuPowerSample> first = sampler.subscribe(List.of(0, 2))) {
      firstOfEach(first, 2);
      awaitReads(0, 20);
      assertEquals(List.of(), first.poll(Duration.ZERO), "it is read all the same");
      long before = System.currentTimeMillis();
      // Of two more, the first one has begun since, and its value has been handed over.
      awaitReads(0, 3);
      awaitReads(2, 3);
      try (Subscription<GpuPowerSample> second = sampler.subscribe(List.of(0, 2))) {
        List<GpuPowerSample> current = new ArrayList<>();
        while (current.size() < 2) {
          List<GpuPowerSample> samples = second.poll(LONG);
          assertTrue(!samples.isEmpty(), "the second one waits for a change: " + current);
          current.addAll(samples);
        }
        assertEquals(75_000, current.get(0).powerMw() - 10_000L * current.get(0).gpuId());
        for (GpuPowerSample sample : current) {
          assertTrue(sample.timestampMs() >= before, sample + " is stale");
        }
        awaitReads(0, 20);
        assertEquals(List.of(), second.poll(Duration.ZERO));
        assertEquals(List.of(), first.poll(Duration.ZERO));
        assertEquals(2, second.current().size());
      }
    }
  }

  @Test
  void onlyChangedValuesAreDelivered() throws Exception {
    try (Subscription<GpuPowerSample> power = open(200).subscribe(ALL)) {
      firstOfEach(power, 4);
      for (int i = 1; i <= 20; i++) {
        int gpu = i % 4;
        nvml.gpu(gpu).powerMw(200_000 + i);
        List<GpuPowerSample> samples = power.poll(LONG);
        assertEquals(1, samples.size(), samples.toString());
        assertEquals(gpu, samples.get(0).gpuId());
        assertEquals(200_000 + i, samples.get(0).powerMw());
      }
      awaitReads(0, 20);
      assertEquals(List.of(), power.poll(Duration.ZERO));
    }
  }

  @Test
  void everyReadOfAChangingPowerIsDeliveredOnceAndInOrder() throws Exception {
    nvml.gpu(1).countingPower(100_000);
    try (Subscription<GpuPowerSample> power = open(100).subscribe(List.of(1))) {
      long last = 100_000 - 1;
      long lastMs = 0;
      int whole = 0;
      // One is missing only where this thread did not run for a whole period, maybe for seconds;
      // but there are many others.
      for (int i = 0; i < 100 || whole < 70 && i < 1000; i++) {
        List<GpuPowerSample> samples = power.poll(LONG);
        assertEquals(1, samples.size(), "at most one of a device");
        GpuPowerSample sample = samples.get(0);
        assertTrue(sample.powerMw() > last, sample + " after " + last);
        assertTrue(sample.timestampMs() >= lastMs, sample + " after " + lastMs);
        whole += sample.powerMw() == last + 1 ? 1 : 0;
        last = sample.powerMw();
        lastMs = sample.timestampMs();
      }
      assertTrue(whole >= 70, "only " + whole + " came one after the other");
    }
  }

  @Test
  void aSlowSubscriberGetsTheLatestOnly() throws Exception {
    countingPower();
    PowerSampler<Gpu, GpuPowerSample> sampler = open(200);
    try (Subscription<GpuPowerSample> slow = sampler.subscribe(ALL)) {
      firstOfEach(slow, 4);
      for (int round = 0; round < 3; round++) {
        long before = reads(0);
        Await.until("40 reads", () -> reads(0) >= before + 40);
        long[] newest = ALL.stream().mapToLong(gpu -> 100_000 + reads(gpu) - 1).toArray();
        List<GpuPowerSample> samples = slow.poll(Duration.ZERO);
        assertEquals(ALL, samples.stream().map(GpuPowerSample::gpuId).toList());
        for (GpuPowerSample sample : samples) {
          // The newest read may be on its way; of the 40 before it nothing is left.
          long behind = newest[sample.gpuId()] - sample.powerMw();
          assertTrue(behind <= 10, sample + " is " + behind + " reads behind");
        }
      }
    }
  }

  @Test
  void aSlowSubscriberDoesNotGrow() throws Exception {
    countingPower();
    PowerSampler<Gpu, GpuPowerSample> sampler = open(1000);
    try (Subscription<GpuPowerSample> slow = sampler.subscribe(ALL);
        Subscription<GpuPowerSample> quick = sampler.subscribe(ALL)) {
      firstOfEach(quick, 4);
      long before = reads(0);
      Await.until("500 reads", () -> reads(0) >= before + 500);
      assertTrue(slow.poll(Duration.ZERO).size() <= 4);
      // And what was taken is not given again.
      List<GpuPowerSample> next = slow.poll(LONG);
      assertTrue(next.stream().allMatch(sample -> sample.powerMw() > 100_000 + before));
    }
  }

  @Test
  void theGpusOfOneTickComeInOnePoll() throws Exception {
    countingPower();
    double best = 0;
    for (int attempt = 0; attempt < 10 && best < 0.8; attempt++) {
      reopen();
      try (Subscription<GpuPowerSample> power = open(20).subscribe(ALL)) {
        firstOfEach(power, 4);
        int complete = 0;
        int polls = 0;
        for (long start = System.nanoTime(); System.nanoTime() - start < 1_500_000_000L; polls++) {
          complete += power.poll(LONG).size() == 4 ? 1 : 0;
        }
        best = Math.max(best, (double) complete / polls);
      }
    }
    assertTrue(best >= 0.8, "at best, a share of " + best + " polls had all four");
  }

  private void reopen() {
    if (node != null) {
      node.close();
    }
  }

  @Test
  void subscribersThatComeAndGoNeverSeeTimeGoBack() throws Exception {
    countingPower();
    PowerSampler<Gpu, GpuPowerSample> sampler = open(1000);
    AtomicReference<String> wrong = new AtomicReference<>();
    AtomicBoolean stop = new AtomicBoolean();
    AtomicIntegerArray polls = new AtomicIntegerArray(8);
    List<Thread> threads = new ArrayList<>();
    for (int t = 0; t < 8; t++) {
      int subscriber = t;
      List<Integer> ids = t % 2 == 0 ? ALL : List.of(t % 4, (t + 1) % 4);
      boolean stays = t < 2;
      threads.add(
          Thread.startVirtualThread(
              () -> {
                while (!stop.get()) {
                  try (Subscription<GpuPowerSample> power = sampler.subscribe(ids)) {
                    long[] lastMs = new long[4];
                    long[] lastMw = new long[4];
                    for (int i = 0; !stop.get() && (stays || i < 10); i++) {
                      List<Integer> order = new ArrayList<>();
                      polls.incrementAndGet(subscriber);
                      for (GpuPowerSample sample : power.poll(LONG)) {
                        int gpu = sample.gpuId();
                        order.add(gpu);
                        if (sample.timestampMs() < lastMs[gpu]
                            || sample.powerMw() <= lastMw[gpu]
                            || !ids.contains(gpu)) {
                          wrong.set(sample + " after " + lastMs[gpu] + ", " + lastMw[gpu]);
                        }
                        lastMs[gpu] = sample.timestampMs();
                        lastMw[gpu] = sample.powerMw();
                      }
                      if (!order.equals(order.stream().distinct().sorted().toList())) {
                        wrong.set("order " + order);
                      }
                    }
                  } catch (InterruptedException e) {
                    wrong.set(e.toString());
                  }
                }
              }));
    }
    Await.until(
        "each has polled often",
        () -> IntStream.range(0, 8).allMatch(subscriber -> polls.get(subscriber) >= 500));
    stop.set(true);
    for (Thread thread : threads) {
      assertTrue(thread.join(LONG), "a subscriber hangs");
    }
    assertEquals(null, wrong.get());
    Await.rest();
    for (int gpu : ALL) {
      assertEquals(1, nvml.gpu(gpu).maxInFlight(), "one call at a time on GPU " + gpu);
    }
  }

  // ---- Trouble ----

  @Test
  void aFailingGpuIsLoggedOnceOthersGoOnAndItHeals() throws Exception {
    for (int gpu : List.of(0, 2)) {
      nvml.gpu(gpu).countingPower(100_000);
    }
    PowerSampler<Gpu, GpuPowerSample> sampler = open(100);
    try (TestLog log = new TestLog(PowerSampler.class.getName());
        Subscription<GpuPowerSample> power = sampler.subscribe(List.of(0, 1, 2))) {
      firstOfEach(power, 3);
      nvml.gpu(1).powerError(999);
      long failed = nvml.gpu(1).calls(GET_FIELD_VALUES);
      long good = reads(0);
      Await.until("several failures", () -> nvml.gpu(1).calls(GET_FIELD_VALUES) >= failed + 4);
      Await.until("GPU 0 goes on", () -> reads(0) >= good + 20);
      assertEquals(
          List.of(
              "GPU 1: reading power fails, trying on: reading the power: the driver failed and does"
                  + " not say why; dmesg may tell more (nvmlDeviceGetFieldValues:"
                  + " NVML_ERROR_UNKNOWN)"),
          log.lines(Level.WARNING));
      assertEquals(List.of(0, 2), power.current().stream().map(GpuPowerSample::gpuId).toList());
      // A newcomer gets the others' values, and this one's when it heals.
      try (Subscription<GpuPowerSample> late = sampler.subscribe(List.of(1, 2))) {
        firstOfEach(late, 1);
        nvml.gpu(1).powerError(0).powerMw(123_000);
        firstOfEach(late, 2);
      }
      Await.until("it is current again", () -> power.current().size() == 3);
      Await.until("that is logged", () -> !log.lines(Level.INFO).isEmpty());
      assertEquals(List.of("GPU 1: power can be read again"), log.lines(Level.INFO));
      assertEquals(1, log.lines(Level.WARNING).size());
    }
  }

  @Test
  void theStreamOutlivesAReloadOfTheDriver() throws Exception {
    countingPower();
    try (Subscription<GpuPowerSample> power = open(100).subscribe(ALL)) {
      firstOfEach(power, 4);
      nvml.driverUnloaded(true);
      Await.until("nothing is current", () -> power.current().isEmpty());
      nvml.driverUnloaded(false);
      Await.until("all are current", () -> power.current().size() == 4);
      power.poll(Duration.ZERO);
      firstOfEach(power, 4);
    }
  }

  /** Times are those of a clock that runs slower where the machine does. */
  @Test
  void aSlowGpuHoldsUpNothingButItself() throws Exception {
    countingPower();
    nvml.gpu(3).delay(GET_FIELD_VALUES, Duration.ofMillis(300));
    List<Long> gapsMs = new ArrayList<>();
    List<Long> callsMs = new ArrayList<>();
    int[] samples = new int[4];
    PowerSampler<Gpu, GpuPowerSample> sampler = open(20);
    long start;
    double seconds;
    try (Metronome metronome = new Metronome();
        Subscription<GpuPowerSample> power = sampler.subscribe(ALL)) {
      firstOfEach(power, 4);
      start = System.nanoTime();
      long begin = metronome.beats();
      for (long last = begin; last - begin < 2_000; ) {
        List<GpuPowerSample> polled = power.poll(LONG);
        polled.forEach(sample -> samples[sample.gpuId()]++);
        if (polled.stream().anyMatch(sample -> sample.gpuId() == 0)) {
          long now = metronome.beats();
          gapsMs.add(now - last);
          last = now;
        }
        for (int gpu = 0; gpu < 3; gpu++) {
          long callStart = metronome.beats();
          node.gpus().get(gpu).call(Gpu::powerLimitMw);
          callsMs.add(metronome.beats() - callStart);
        }
      }
      seconds = (System.nanoTime() - start) / 1e9;
    }
    // Nominally 40 and 6 samples, 50 ms, and well below 1 ms.
    for (int gpu = 0; gpu < 3; gpu++) {
      assertTrue(samples[gpu] >= 30, "GPU " + gpu + ": " + Arrays.toString(samples));
    }
    assertTrue(samples[3] >= 3, Arrays.toString(samples));
    assertTrue(samples[3] <= seconds / 0.3 + 2, Arrays.toString(samples) + " in s: " + seconds);
    assertTrue(share(gapsMs, 120) >= 0.9, "gaps in ms: " + gapsMs);
    assertTrue(share(callsMs, 100) >= 0.9, "calls in ms: " + callsMs);
  }

  private static double share(List<Long> values, long below) {
    return (double) values.stream().filter(value -> value < below).count() / values.size();
  }

  @Test
  void aGpuThatHangsHoldsUpNothingButItself() throws Exception {
    countingPower();
    PowerSampler<Gpu, GpuPowerSample> sampler = open(100);
    try (Subscription<GpuPowerSample> power = sampler.subscribe(ALL)) {
      firstOfEach(power, 4);
      nvml.gpu(0).delay(GET_FIELD_VALUES, Duration.ofMinutes(1));
      Await.until("GPU 0 hangs", () -> nvml.gpu(0).inFlight() == 1);
      int[] samples = new int[4];
      while (LongStream.of(samples[1], samples[2], samples[3]).min().orElseThrow() < 50) {
        List<GpuPowerSample> polled = power.poll(LONG);
        assertTrue(!polled.isEmpty(), "all hang: " + Arrays.toString(samples));
        polled.forEach(sample -> samples[sample.gpuId()]++);
      }
      // A newcomer is served too, and leaves without waiting.
      try (Subscription<GpuPowerSample> late = sampler.subscribe(List.of(0, 1))) {
        assertEquals(1, late.poll(LONG).get(0).gpuId());
      }
      nvml.gpu(0).delay(GET_FIELD_VALUES, Duration.ZERO);
      int before = samples[0];
      while (samples[0] < before + 5) {
        List<GpuPowerSample> polled = power.poll(LONG);
        assertTrue(!polled.isEmpty(), "GPU 0 did not come back");
        polled.forEach(sample -> samples[sample.gpuId()]++);
      }
    }
  }

  /** Ten of eleven, one after the other, each in the middle of a tick; HungGpuTest tells when. */
  @Test
  void gpusThatHangOneAfterTheOtherLeaveTheRest() throws Exception {
    int gpus = 11;
    nvml.deviceCount(gpus);
    List<Integer> ids = IntStream.range(0, gpus).boxed().toList();
    ids.forEach(gpu -> nvml.gpu(gpu).countingPower(100_000));
    try (Subscription<GpuPowerSample> power = open(100).subscribe(ids)) {
      firstOfEach(power, gpus);
      for (int hung = 0; hung < gpus - 1; hung++) {
        int gpu = hung;
        nvml.gpu(gpu).delay(GET_FIELD_VALUES, Duration.ofMinutes(1));
        Await.until("it hangs", () -> nvml.gpu(gpu).inFlight() == 1);
        for (int other = gpu + 1; other < gpus; other++) {
          int rest = other;
          long reads = reads(rest);
          Await.until("GPU " + rest + " goes on", () -> reads(rest) >= reads + 5);
        }
      }
      ids.forEach(gpu -> nvml.gpu(gpu).delay(GET_FIELD_VALUES, Duration.ZERO));
      firstOfEach(power, gpus);
      Await.until("no thread stays behind", () -> Await.threads("GPU power") == 2);
    }
    Await.until("nor after the last close", () -> Await.threads("GPU power") == 0);
  }

  @Test
  void commandsAndSamplesOfOneGpuTakeTurns() throws Exception {
    countingPower();
    nvml.gpu(1).delay(SET_POWER_LIMIT, Duration.ofMillis(150));
    try (Subscription<GpuPowerSample> power = open(100).subscribe(List.of(1))) {
      firstOfEach(power, 1);
      long before = reads(1);
      List<Integer> limits = new ArrayList<>();
      for (int i = 0; i < 10; i++) {
        limits.add(200_000 + i);
      }
      var results =
          limits.stream()
              .map(
                  limit ->
                      node.gpus()
                          .get(1)
                          .submit(
                              gpu -> {
                                gpu.setPowerLimit(limit);
                                return limit;
                              }))
              .toList();
      results.forEach(Answer::await);
      long between = reads(1) - before;
      // One after each command, since a tick is always due by then.
      assertTrue(between >= 8, between + " reads during 10 commands of 150 ms");
      assertEquals(
          limits,
          nvml.history().stream()
              .filter(call -> call.call() == SET_POWER_LIMIT)
              .map(call -> (int) call.a())
              .toList());
      assertEquals(1, nvml.gpu(1).maxInFlight());
    }
  }

  @Test
  void subscribingAfterTheNodeClosedGivesNothingAndDoesNotHang() throws Exception {
    PowerSampler<Gpu, GpuPowerSample> sampler = open(100);
    node.close();
    try (Subscription<GpuPowerSample> power = sampler.subscribe(ALL)) {
      assertEquals(List.of(), power.poll(Duration.ofMillis(100)));
    }
    assertThrows(DeviceException.Unavailable.class, () -> Answer.await(sampler.read(0)));
  }

  /** Fails whenever it is told something. */
  private static void failingListener() {
    throw new IllegalStateException("the subscriber's own fault");
  }

  @Test
  void aSubscriberThatFailsWhenItIsToldSilencesNobody() throws Exception {
    countingPower();
    PowerSampler<Gpu, GpuPowerSample> sampler = open(100);
    try (TestLog log = new TestLog(Subscription.class.getName());
        Subscription<GpuPowerSample> before = sampler.subscribe(ALL)) {
      firstOfEach(before, 4);
      Subscription<GpuPowerSample> failing =
          sampler.subscribe(ALL, GpuSamplingTest::failingListener);
      Subscription<GpuPowerSample> error =
          sampler.subscribe(
              List.of(0),
              () -> {
                throw new StackOverflowError();
              });
      try (Subscription<GpuPowerSample> after = sampler.subscribe(ALL)) {
        for (int i = 0; i < 20; i++) {
          assertTrue(!before.poll(LONG).isEmpty());
          assertTrue(!after.poll(LONG).isEmpty());
        }
      }
      assertTrue(!failing.poll(LONG).isEmpty(), "it has its values even so");
      failing.close();
      error.close();
      assertEquals(2, log.lines(Level.SEVERE).size(), "each is logged once");
    }
    Await.rest();
  }

  @Test
  void aSubscriberThatFailsWhenItIsToldDoesNotKeepTheNodeOpen() {
    countingPower();
    try (TestLog log = new TestLog(Subscription.class.getName())) {
      Subscription<GpuPowerSample> failing =
          open(100).subscribe(ALL, GpuSamplingTest::failingListener);
      node.close();
      node = null;
      assertTrue(failing.isClosed());
      assertEquals(nvml.calls(INIT), nvml.calls(SHUTDOWN));
      assertEquals(1, log.lines(Level.SEVERE).size());
    }
  }
}
