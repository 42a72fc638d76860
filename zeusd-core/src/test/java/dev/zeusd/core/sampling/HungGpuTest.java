package dev.zeusd.core.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.testkit.TestClock;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * The rate of eleven GPUs, and what those that hang cost the others, in a time of the test's own.
 */
@Timeout(60)
class HungGpuTest {
  private static final int GPUS = 11;
  private static final long MS = 1_000_000;
  private static final long PERIOD_MS = 50;
  private static final long GRACE_MS = Lead.GRACE.toMillis();

  private final TestClock clock = new TestClock();
  private final Set<Integer> toHang = ConcurrentHashMap.newKeySet();
  private final Set<Integer> hanging = ConcurrentHashMap.newKeySet();
  private final CountDownLatch release = new CountDownLatch(1);

  /** When each GPU was read to the end. */
  private final Map<Integer, List<Long>> readsMs = new TreeMap<>();

  private final List<DeviceWorker<Gpu>> workers =
      IntStream.range(0, GPUS)
          .mapToObj(id -> PublicationOrderTest.worker(id, () -> read(id), clock))
          .toList();
  private final PowerSampler<Gpu, GpuPowerSample> sampler =
      PowerSampler.ofGpus(workers, (int) (1000 / PERIOD_MS), clock);

  HungGpuTest() {
    for (int gpu = 0; gpu < GPUS; gpu++) {
      readsMs.put(gpu, Collections.synchronizedList(new ArrayList<>()));
    }
  }

  private long read(int gpu) {
    if (toHang.contains(gpu)) {
      hanging.add(gpu);
      try {
        release.await();
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
      hanging.remove(gpu);
    }
    readsMs.get(gpu).add(clock.nanoTime() / MS);
    return clock.nanoTime();
  }

  @AfterEach
  void end() {
    release.countDown();
    sampler.close();
    workers.forEach(DeviceWorker::close);
  }

  private Subscription<GpuPowerSample> subscribeToAll() throws InterruptedException {
    Subscription<GpuPowerSample> power =
        sampler.subscribe(IntStream.range(0, GPUS).boxed().toList());
    clock.awaitWaiting(2);
    forgetReads();
    return power;
  }

  private void forgetReads() {
    readsMs.values().forEach(List::clear);
  }

  /** One period, in which whoever ticks has nothing more to do at the end. */
  private void tick() throws InterruptedException {
    clock.jump(PERIOD_MS * MS);
    clock.awaitWaiting(2);
  }

  /** The next tick comes to {@code gpu} and no further; the grace passes, and the rest is read. */
  private void tickThatHangs(int gpu) throws InterruptedException {
    toHang.add(gpu);
    clock.jump(PERIOD_MS * MS);
    Await.until("GPU " + gpu + " hangs", () -> hanging.contains(gpu));
    clock.awaitWaiting(1);
    clock.jump(GRACE_MS * MS);
    clock.awaitWaiting(2);
    clock.jump((PERIOD_MS - GRACE_MS) * MS);
    clock.awaitWaiting(2);
  }

  private static long threads() {
    return Await.threads("GPU power");
  }

  @Test
  void whileNoneHangsEachIsReadAtEachTick() throws Exception {
    try (Subscription<GpuPowerSample> power = subscribeToAll()) {
      for (int i = 1; i <= 100; i++) {
        tick();
      }
      assertEquals(GPUS, power.deviceCount());
      readsMs.forEach((gpu, reads) -> assertEquals(100, reads.size(), "GPU " + gpu));
    }
  }

  @Test
  void aGpuThatHangsForAMinuteInATickCostsTheOthersOneGraceOnce() throws Exception {
    try (Subscription<GpuPowerSample> power = subscribeToAll()) {
      tickThatHangs(4);
      for (int i = 0; i < 1200; i++) {
        tick();
      }
      long startMs = 0;
      List<Long> onTime = new ArrayList<>();
      for (int tick = 2; tick <= 1202; tick++) {
        onTime.add(startMs + tick * PERIOD_MS);
      }
      for (int gpu = 0; gpu < GPUS; gpu++) {
        List<Long> expected = new ArrayList<>(onTime);
        // Those that had their turn before the one that hangs are read once more: it has theirs.
        expected.add(0, PERIOD_MS + GRACE_MS);
        if (gpu < 4) {
          expected.add(0, PERIOD_MS);
        }
        assertEquals(gpu == 4 ? List.of() : expected, readsMs.get(gpu), "GPU " + gpu);
      }
      assertEquals(3, threads());
      assertEquals(GPUS, power.deviceCount());
      assertTrue(sampler.current(4).isEmpty());
      assertTrue(sampler.current(5).isPresent());

      toHang.clear();
      release.countDown();
      Await.until("the thread ends that hung", () -> threads() == 2);
      forgetReads();
      Await.until(
          "it is read again",
          () -> {
            clock.jump(PERIOD_MS * MS);
            return !readsMs.get(4).isEmpty();
          });
    }
    Await.until("no thread stays behind", () -> threads() == 0);
  }

  @Test
  void tenThatHangOneAfterTheOtherLeaveTheEleventhAtItsRate() throws Exception {
    try (Subscription<GpuPowerSample> power = subscribeToAll()) {
      List<Long> expected = new ArrayList<>();
      for (int gpu = 0; gpu < GPUS - 1; gpu++) {
        long dueMs = clock.nanoTime() / MS + PERIOD_MS;
        tickThatHangs(gpu);
        tick();
        tick();
        expected.addAll(List.of(dueMs + GRACE_MS, dueMs + PERIOD_MS));
        expected.addAll(List.of(dueMs + 2 * PERIOD_MS, dueMs + 3 * PERIOD_MS));
      }
      assertEquals(GPUS, power.deviceCount());
      assertEquals(expected, readsMs.get(GPUS - 1));
      assertEquals(2 + GPUS - 1, threads());

      toHang.clear();
      release.countDown();
      Await.until("those threads end that hung", () -> threads() == 2);
    }
    Await.until("no thread stays behind", () -> threads() == 0);
  }
}
