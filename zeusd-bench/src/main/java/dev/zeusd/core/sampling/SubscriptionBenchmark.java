package dev.zeusd.core.sampling;

import dev.zeusd.bench.PieceBenchmark;
import dev.zeusd.core.worker.NanoClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** From a publication of 4 values until every subscriber, a virtual thread each, has taken them. */
@State(Scope.Benchmark)
public class SubscriptionBenchmark extends PieceBenchmark {
  private static final Duration LONG = Duration.ofMinutes(1);

  /** How many wait. */
  @Param({"1", "10", "100", "1000"})
  public int subscribers;

  private static final int DEVICES = 4;

  private final List<Subscription<GpuPowerSample>> subscriptions = new ArrayList<>();
  private volatile Board<GpuPowerSample> board = Board.ofNothing(DEVICES);
  private volatile CountDownLatch missing = new CountDownLatch(0);
  private volatile long publication;

  /** Subscribes to devices that nobody reads. */
  @Setup
  public void open() {
    int[] devices = IntStream.range(0, DEVICES).toArray();
    for (int i = 0; i < subscribers; i++) {
      Subscription<GpuPowerSample> subscription =
          new Subscription<>(
              () -> board, Long.MAX_VALUE, NanoClock.SYSTEM, devices, () -> {}, closed -> {});
      subscriptions.add(subscription);
      Thread.ofVirtual().start(() -> receive(subscription));
    }
  }

  /** Ends the subscriptions. */
  @TearDown
  public void close() {
    subscriptions.forEach(Subscription::close);
  }

  private void receive(Subscription<GpuPowerSample> subscription) {
    try {
      while (!subscription.isClosed()) {
        List<GpuPowerSample> taken = subscription.poll(LONG);
        if (!taken.isEmpty()) {
          missing.countDown();
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** One publication. */
  @Benchmark
  public void publish() throws InterruptedException {
    long number = publication + 1;
    CountDownLatch all = new CountDownLatch(subscribers);
    Board.Entry<GpuPowerSample>[] read = Board.newEntries(DEVICES);
    for (int gpu = 0; gpu < DEVICES; gpu++) {
      read[gpu] = Board.Entry.read(new GpuPowerSample(number, gpu, number), number);
    }
    Board<GpuPowerSample> before = board;
    Board<GpuPowerSample> after = before.with(read);
    missing = all;
    publication = number;
    board = after;
    for (Subscription<GpuPowerSample> subscription : subscriptions) {
      subscription.tell(before, after);
    }
    all.await();
  }
}
