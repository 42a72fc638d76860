package dev.zeusd.core.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.Node;
import dev.zeusd.testkit.SimulatedDevices;
import dev.zeusd.testkit.TestClock;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Flow;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Power for subscribers of the JDK's kind. */
@Timeout(60)
class SamplePublisherTest {
  private static final Duration PERIOD = Duration.ofMillis(50);

  private final TestClock clock = new TestClock();
  private final Node node = SimulatedDevices.node(clock, 3);

  @AfterEach
  void close() {
    node.close();
  }

  /** Requests {@code first} samples, and no more by itself. */
  private static final class Reader implements Flow.Subscriber<PowerSample> {
    private final long first;
    final List<PowerSample> got = new CopyOnWriteArrayList<>();
    final CompletableFuture<Flow.Subscription> subscription = new CompletableFuture<>();

    /** Its value is why, if there is a reason. */
    final CompletableFuture<Throwable> end = new CompletableFuture<>();

    Reader(long first) {
      this.first = first;
    }

    @Override
    public void onSubscribe(Flow.Subscription own) {
      subscription.complete(own);
      if (first != 0) {
        own.request(first);
      }
    }

    @Override
    public void onNext(PowerSample sample) {
      got.add(sample);
    }

    @Override
    public void onError(Throwable reason) {
      end.complete(reason);
    }

    @Override
    public void onComplete() {
      end.complete(null);
    }

    void awaitSamples(int count) throws InterruptedException {
      Await.until(count + " samples", () -> got.size() >= count);
      assertEquals(count, got.size());
    }
  }

  private Reader read(long first, Integer... gpus) {
    Reader reader = new Reader(first);
    node.gpuPowerPublisher(List.of(gpus)).subscribe(reader);
    return reader;
  }

  @Test
  void eachReadingThatDiffersIsPublished() throws Exception {
    Reader reader = read(Long.MAX_VALUE, 0, 3);
    reader.awaitSamples(2);
    for (int tick = 1; tick <= 5; tick++) {
      clock.advance(PERIOD);
      reader.awaitSamples(2 + 2 * tick);
    }
    assertEquals(
        List.of(0, 3, 0, 3), reader.got.subList(0, 4).stream().map(PowerSample::id).toList());
    assertEquals(TestClock.START_MS + 250, reader.got.getLast().timestampMs());
    reader.subscription.get().cancel();
    Await.until("nobody reads", () -> !node.gpuPower().isSubscribed());
    assertFalse(reader.end.isDone());
  }

  @Test
  void whoRequestsSlowlyGetsTheLatest() throws Exception {
    Reader reader = read(1, 0);
    reader.awaitSamples(1);
    clock.advance(Duration.ofMinutes(1));
    reader.subscription.get().request(1);
    reader.awaitSamples(2);
    assertEquals(TestClock.START_MS + 60_000, reader.got.getLast().timestampMs());
    clock.advance(PERIOD);
    assertEquals(2, reader.got.size());
  }

  @Test
  void whoRequestsNothingHasNothingRead() throws Exception {
    Reader reader = read(0, 0);
    reader.subscription.get();
    clock.advance(Duration.ofSeconds(1));
    assertFalse(node.gpuPower().isSubscribed());
    reader.subscription.get().request(1);
    reader.awaitSamples(1);
  }

  @Test
  void theCloseOfTheNodeIsTheEnd() throws Exception {
    Reader reader = read(Long.MAX_VALUE, 1);
    reader.awaitSamples(1);
    node.close();
    assertEquals(null, reader.end.get());
    assertEquals(null, read(1, 1).end.get(), "after it");
  }

  @Test
  void aGpuThatIsNotThereIsAnError() throws Exception {
    assertEquals("no such device: 9", read(1, 9).end.get().getMessage());
  }

  @Test
  void aRequestForNothingIsAnError() throws Exception {
    assertInstanceOf(IllegalArgumentException.class, read(-1, 0).end.get());
    assertFalse(node.gpuPower().isSubscribed());
  }

  @Test
  void cpusArePublishedToo() throws Exception {
    Reader reader = new Reader(Long.MAX_VALUE);
    node.cpu(0).powerPublisher().subscribe(reader);
    Await.until("a subscriber", node.cpuPower()::isSubscribed);
    clock.advance(Duration.ofSeconds(1));
    Await.until("samples", () -> !reader.got.isEmpty());
    assertTrue(((CpuPowerSample) reader.got.getFirst()).cpuMw() > 50_000);
  }
}
