package dev.zeusd.core.sampling;

import dev.zeusd.bench.PieceBenchmark;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
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

  private Node node;
  private final List<Subscription<GpuPowerSample>> subscriptions = new ArrayList<>();
  private volatile CountDownLatch missing = new CountDownLatch(0);
  private volatile long publication;

  /** Subscribes to the fake GPUs, whose own values do not change. */
  @Setup
  public void open() {
    node = Node.open(NodeConfig.defaults().withGpuPowerPollHz(1));
    List<Integer> ids = node.gpus().stream().map(DeviceWorker::id).toList();
    for (int i = 0; i < subscribers; i++) {
      Subscription<GpuPowerSample> subscription = node.gpuPower().subscribe(ids);
      subscriptions.add(subscription);
      Thread.ofVirtual().start(() -> receive(subscription));
    }
  }

  /** Ends the subscriptions. */
  @TearDown
  public void close() {
    subscriptions.forEach(Subscription::close);
    node.close();
  }

  private void receive(Subscription<GpuPowerSample> subscription) {
    try {
      while (!subscription.isClosed()) {
        List<GpuPowerSample> taken = subscription.poll(LONG);
        // The first values of the GPUs themselves carry another time.
        if (!taken.isEmpty() && taken.getLast().timestampMs() == publication) {
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
    Batch<GpuPowerSample> batch = new Batch<>(node.gpus().size());
    for (int gpu = 0; gpu < node.gpus().size(); gpu++) {
      batch.put(gpu, new GpuPowerSample(number, gpu, number), true);
    }
    missing = all;
    publication = number;
    for (Subscription<GpuPowerSample> subscription : subscriptions) {
      subscription.offer(batch);
    }
    all.await();
  }
}
