package dev.zeusd.core.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.worker.NanoClock;
import dev.zeusd.ffm.fake.ChildJvm;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jetbrains.lincheck.Lincheck;
import org.jetbrains.lincheck.LincheckAssertionError;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The hand-over of samples from who publishes to who polls. */
@Timeout(120)
class SubscriptionTest {
  private static final Duration EVER = Duration.ofHours(1);

  /** Two devices, and one subscription to both. */
  private static final class Publisher {
    private volatile Board<GpuPowerSample> board = Board.ofNothing(2);
    private long reads;
    final Subscription<GpuPowerSample> subscription =
        new Subscription<>(
            () -> board,
            Long.MAX_VALUE,
            NanoClock.SYSTEM,
            new int[] {0, 1},
            () -> {},
            closed -> {});

    void publish(GpuPowerSample... samples) {
      Board.Entry<GpuPowerSample>[] read = Board.newEntries(2);
      for (GpuPowerSample sample : samples) {
        read[sample.gpuId()] = Board.Entry.read(sample, ++reads);
      }
      Board<GpuPowerSample> before = board;
      Board<GpuPowerSample> after = before.with(read);
      board = after;
      subscription.tell(before, after);
    }
  }

  private static GpuPowerSample sample(int gpu, long number) {
    return new GpuPowerSample(number, gpu, number);
  }

  private static <T> T uninterrupted(Callable<T> call) {
    try {
      return call.call();
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  // ---- What is handed over ----

  /**
   * Two threads, which Lincheck runs in one interleaving after the other. It instruments the
   * classes, so it has a JVM of its own.
   */
  static final class Interleavings {
    private static final int COUNT = 500;

    private final Publisher publisher = new Publisher();
    private final Subscription<GpuPowerSample> subscription = publisher.subscription;
    private final long[] last = new long[2];

    public static void main(String[] args) {
      try {
        Lincheck.runConcurrentTest(COUNT, () -> new Interleavings().publicationsMeetPolls());
        System.out.println("result=passed");
      } catch (LincheckAssertionError e) {
        System.out.println("result=" + e.getMessage());
      }
    }

    private void publicationsMeetPolls() {
      GpuPowerSample current = sample(0, 1);
      publisher.publish(current);
      Thread thread =
          new Thread(
              () -> {
                publisher.publish(current, sample(1, 1));
                publisher.publish(sample(0, 2), sample(1, 2));
              });
      thread.start();
      while (last[0] != 2 || last[1] != 2) {
        List<GpuPowerSample> samples = uninterrupted(() -> subscription.poll(EVER));
        require(!samples.isEmpty(), "it returns with a sample");
        require(samples.size() == 1 || samples.get(0).gpuId() == 0, "by ascending id");
        for (GpuPowerSample sample : samples) {
          require(sample.powerMw() > last[sample.gpuId()], "each once, and none after a newer one");
          last[sample.gpuId()] = sample.powerMw();
        }
      }
      uninterrupted(
          () -> {
            thread.join();
            return null;
          });
      require(uninterrupted(() -> subscription.poll(Duration.ZERO)).isEmpty(), "none is left");
    }

    private static void require(boolean condition, String what) {
      if (!condition) {
        throw new AssertionError("not so: " + what);
      }
    }
  }

  @Test
  void noInterleavingLosesOrRepeatsASample() throws Exception {
    ChildJvm.Result child =
        ChildJvm.run(Interleavings.class, Map.of(), "-XX:+EnableDynamicAgentLoading", "-Xmx512m");
    assertEquals("passed", child.value("result"), child.output());
  }

  // ---- Who is woken: Lincheck may wake a thread at any time, so it does not see ----

  /** Publications come at all moments of a poll: before, while and after it goes to sleep. */
  @Test
  void noPublicationFailsToWake() throws Exception {
    Publisher publisher = new Publisher();
    Subscription<GpuPowerSample> subscription = publisher.subscription;
    long count = 50_000;
    AtomicLong last = new AtomicLong();
    Semaphore taken = new Semaphore(1);
    Thread poller =
        Thread.ofPlatform()
            .daemon()
            .start(
                () -> {
                  while (last.get() < count) {
                    last.set(uninterrupted(() -> subscription.poll(EVER)).get(0).powerMw());
                    taken.release();
                  }
                });
    for (long number = 1; number <= count; number++) {
      assertTrue(taken.tryAcquire(20, TimeUnit.SECONDS), "slept through it");
      spin(number);
      publisher.publish(sample(0, number));
    }
    assertTrue(poller.join(Duration.ofSeconds(20)));
  }

  @Test
  void noCloseFailsToWake() throws Exception {
    PowerSampler<?, GpuPowerSample> sampler = PowerSampler.ofGpus(List.of(), 1, NanoClock.SYSTEM);
    for (int round = 0; round < 5_000; round++) {
      Subscription<GpuPowerSample> subscription = sampler.subscribe(List.of());
      Thread poller = Thread.ofVirtual().start(() -> uninterrupted(() -> subscription.poll(EVER)));
      spin(round);
      subscription.close();
      assertTrue(poller.join(Duration.ofSeconds(20)), "slept through it");
    }
  }

  /** From none to some microseconds, so that it hits another moment each time. */
  private static void spin(long round) {
    for (long left = round * 37 % 512; left > 0; left--) {
      Thread.onSpinWait();
    }
  }
}
