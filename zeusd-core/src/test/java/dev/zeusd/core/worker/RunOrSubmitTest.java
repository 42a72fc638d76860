package dev.zeusd.core.worker;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.testkit.TestClock;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A quick and idle device, asked by the calling thread itself. */
@Timeout(60)
class RunOrSubmitTest {
  private final DeviceWorker<String> worker = new DeviceWorker<>(7, "GPU 7", "the device");
  private final CountDownLatch release = new CountDownLatch(1);

  @AfterEach
  void close() {
    release.countDown();
    worker.close();
  }

  private void awaitRelease() {
    awaitQuietly(release);
  }

  private static void awaitQuietly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private Thread asker() {
    return worker.runOrSubmit(device -> Thread.currentThread()).join();
  }

  private void untilQuick() throws InterruptedException {
    Await.until("the device counts as quick", () -> asker() == Thread.currentThread());
  }

  @Test
  void theCallerAsksOnlyWhileTheDeviceIsQuick() throws InterruptedException {
    untilQuick();
    makeSlow();
    assertNotSame(Thread.currentThread(), asker(), "a slow device is asked on its own thread");
    untilQuick();
  }

  @Test
  void anErrorIsTheCallersAlone() throws InterruptedException {
    untilQuick();
    AssertionError error = new AssertionError("a bug");
    CompletableFuture<String> failed =
        worker.runOrSubmit(
            device -> {
              throw error;
            });
    assertSame(error, assertThrows(CompletionException.class, failed::join).getCause());
    assertEquals("the device", worker.call(device -> device));
    untilQuick();
  }

  /** As {@code runOrSubmit(Cpu::cpuEnergyUj)} does, which starts the guard. */
  @Test
  void timedWorkThatACallerSchedulesRuns() throws Exception {
    CountDownLatch ran = new CountDownLatch(3);
    // A busy machine makes the device slow now and then, and its own thread then answers.
    Await.until("a caller schedules", () -> scheduledByTheCaller(ran));
    assertTrue(ran.await(20, TimeUnit.SECONDS), "nobody wakes the device's thread");
  }

  private boolean scheduledByTheCaller(CountDownLatch ran) {
    Thread caller = Thread.currentThread();
    return worker
        .runOrSubmit(
            device -> {
              if (Thread.currentThread() != caller) {
                return false;
              }
              worker.schedule(
                  System.nanoTime() + 1_000_000,
                  due -> {
                    ran.countDown();
                    return ran.getCount() > 0 ? due + 1_000_000 : TimedWork.NEVER;
                  });
              return true;
            })
        .join();
  }

  @Test
  void failuresEndTheFutureAndNothingElse() throws InterruptedException {
    untilQuick();
    CompletableFuture<String> failed =
        worker.runOrSubmit(
            device -> {
              throw new DeviceException.Failed("broken", null);
            });
    CompletionException e = assertThrows(CompletionException.class, failed::join);
    assertInstanceOf(DeviceException.Failed.class, e.getCause());
    untilQuick();
  }

  @Test
  void nothingThatWasSubmittedBeforeIsOvertaken() throws InterruptedException {
    untilQuick();
    List<Integer> order = new ArrayList<>();
    List<CompletableFuture<Boolean>> results = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      int number = i;
      results.add(
          i % 3 == 0
              ? worker.submit(device -> order.add(number))
              : worker.runOrSubmit(device -> order.add(number)));
    }
    results.forEach(CompletableFuture::join);
    for (int i = 0; i < order.size(); i++) {
      assertEquals(i, order.get(i));
    }
    assertEquals(1000, order.size());
  }

  @Test
  void callersAndTheDevicesThreadTakeTurns() throws InterruptedException {
    AtomicInteger running = new AtomicInteger();
    AtomicInteger overlaps = new AtomicInteger();
    AtomicInteger done = new AtomicInteger();
    List<Thread> callers = new ArrayList<>();
    for (int t = 0; t < 8; t++) {
      Thread.Builder builder = t % 2 == 0 ? Thread.ofVirtual() : Thread.ofPlatform();
      callers.add(
          builder.start(
              () -> {
                for (int i = 0; i < 2000; i++) {
                  worker
                      .runOrSubmit(
                          device -> {
                            overlaps.addAndGet(running.getAndIncrement());
                            running.getAndDecrement();
                            return done.incrementAndGet();
                          })
                      .join();
                }
              }));
    }
    for (Thread caller : callers) {
      caller.join();
    }
    assertEquals(0, overlaps.get());
    assertEquals(16_000, done.get());
  }

  @Test
  void driversThatHangLeaveACarrierForOtherVirtualThreads() throws InterruptedException {
    int carriers = Runtime.getRuntime().availableProcessors();
    List<DeviceWorker<String>> workers = new ArrayList<>();
    AtomicInteger onVirtualThreads = new AtomicInteger();
    CountDownLatch hanging = new CountDownLatch(carriers + 2);
    try {
      for (int i = 0; i < carriers + 2; i++) {
        DeviceWorker<String> hung = new DeviceWorker<>(i, "GPU " + i, "device");
        workers.add(hung);
        Thread.ofVirtual()
            .start(
                () ->
                    hung.runOrSubmit(
                        device -> {
                          if (Thread.currentThread().isVirtual()) {
                            onVirtualThreads.incrementAndGet();
                          }
                          hanging.countDown();
                          awaitRelease();
                          return device;
                        }));
      }
      hanging.await();
      assertTrue(onVirtualThreads.get() <= carriers - 1, () -> onVirtualThreads + " pinned");
    } finally {
      release.countDown();
      DeviceWorker.closeAll(workers);
    }
  }

  private void makeSlow() {
    worker.call(
        device -> {
          long end = System.nanoTime() + 5_000_000;
          while (System.nanoTime() < end) {
            Thread.onSpinWait();
          }
          return device;
        });
  }

  private void keepSlowAndBusy() throws InterruptedException {
    makeSlow();
    keepBusy();
  }

  private void keepBusy() throws InterruptedException {
    CountDownLatch begun = new CountDownLatch(1);
    worker.submit(
        device -> {
          begun.countDown();
          awaitRelease();
          return device;
        });
    begun.await();
  }

  @Test
  void readsThatWaitAreDoneOnceForAll() throws Exception {
    keepSlowAndBusy();
    AtomicInteger reads = new AtomicInteger();
    Function<String, Integer> read = device -> reads.incrementAndGet();
    CompletableFuture<Integer> impatient = worker.runOrShare(read);
    List<CompletableFuture<Integer>> waiting = new ArrayList<>();
    for (int i = 0; i < 5000; i++) {
      waiting.add(worker.runOrShare(read));
    }
    CompletableFuture<Integer> another = worker.runOrShare(device -> reads.incrementAndGet());
    assertThrows(
        DeviceException.Unavailable.class, () -> Answer.await(impatient, System.nanoTime() - 1));
    release.countDown();
    for (CompletableFuture<Integer> each : waiting) {
      assertEquals(1, Answer.await(each));
    }
    assertEquals(2, Answer.await(another));
    assertEquals(3, Answer.await(worker.runOrShare(read)), "what comes later reads anew");
  }

  @Test
  void readsOfAQuickDeviceThatHangsDoNotPileUp() throws Exception {
    keepBusy();
    AtomicInteger reads = new AtomicInteger();
    Function<String, Integer> read = device -> reads.incrementAndGet();
    List<CompletableFuture<Integer>> waiting = new ArrayList<>();
    for (int i = 0; i < 5000; i++) {
      waiting.add(worker.runOrShare(read));
    }
    release.countDown();
    waiting.forEach(Answer::await);
    assertTrue(reads.get() < 20, () -> reads + " reads");
  }

  @Test
  void aSharedReadThatFailsDoesSoForAll() throws Exception {
    keepSlowAndBusy();
    Function<String, Integer> read =
        device -> {
          throw new DeviceException.Failed("broken", null);
        };
    List<CompletableFuture<Integer>> waiting =
        List.of(worker.runOrShare(read), worker.runOrShare(read));
    release.countDown();
    for (CompletableFuture<Integer> each : waiting) {
      assertThrows(DeviceException.Failed.class, () -> Answer.await(each));
    }
  }

  @Test
  void nobodySharesAReadThatHasBegun() throws Exception {
    CountDownLatch earlier = new CountDownLatch(1);
    CountDownLatch begun = new CountDownLatch(1);
    AtomicInteger value = new AtomicInteger(1);
    Function<String, Integer> read =
        device -> {
          int now = value.get();
          begun.countDown();
          awaitRelease();
          return now;
        };
    makeSlow();
    worker.submit(
        device -> {
          awaitQuietly(earlier);
          return device;
        });
    CompletableFuture<Integer> first = worker.runOrShare(read);
    earlier.countDown();
    begun.await();
    value.set(2);
    CompletableFuture<Integer> second = worker.runOrShare(read);
    release.countDown();
    assertEquals(1, first.join());
    assertEquals(2, second.join());
  }

  /** Reads take turns with commands that wait, but none is older than what has happened. */
  @Test
  void nobodySharesAReadFromBeforeAWriteThatIsDone() throws Exception {
    keepSlowAndBusy();
    AtomicInteger setting = new AtomicInteger(1);
    Function<String, Integer> read = device -> setting.get();
    CompletableFuture<Integer> before = worker.runOrShare(read);
    CompletableFuture<CompletableFuture<Integer>> after =
        worker
            .submit(
                device -> {
                  setting.set(2);
                  return "done";
                })
            .thenApply(done -> worker.runOrShare(read));
    release.countDown();
    assertEquals(1, before.join());
    assertEquals(2, after.join().join());
  }

  /** In a time of the test's own. */
  @Test
  void whoAsksAHungDeviceIsRefusedOnceTheReadHasWaitedForTooLong() throws Exception {
    TestClock clock = new TestClock();
    try (DeviceWorker<String> hung =
        new DeviceWorker<>(8, "GPU 8", "the device", Carriers.OF_THIS_MACHINE, clock)) {
      CountDownLatch begun = new CountDownLatch(1);
      hung.submit(
          device -> {
            // Slow from the start, so that those who ask share a read.
            clock.jump(5_000_000);
            return device;
          });
      hung.submit(
          device -> {
            begun.countDown();
            awaitRelease();
            return device;
          });
      begun.await();
      Function<String, String> read = device -> device;
      CompletableFuture<String> waits = hung.runOrShare(read);
      clock.jump(Answer.PATIENCE.toNanos());
      CompletableFuture<String> behindIt = hung.runOrShare(read);
      clock.jump(1);
      // Each of these would be remembered until the device answers.
      assertThrows(DeviceException.Unavailable.class, () -> hung.runOrShare(read));
      release.countDown();
      assertEquals("the device", waits.join());
      assertEquals("the device", behindIt.join());
      assertEquals("the device", hung.runOrShare(read).join());
    } finally {
      release.countDown();
    }
  }

  @Test
  void theDevicesThreadWaitsForACallerThatAsks() throws InterruptedException {
    untilQuick();
    CountDownLatch asked = new CountDownLatch(1);
    Thread caller =
        Thread.ofPlatform()
            .start(
                () ->
                    worker.runOrSubmit(
                        device -> {
                          asked.countDown();
                          awaitRelease();
                          return device;
                        }));
    asked.await();
    CompletableFuture<String> next = worker.submit(device -> device);
    assertFalse(next.isDone(), "the device's thread waits for the caller that asks");
    release.countDown();
    assertEquals("the device", next.join());
    caller.join();
  }
}
