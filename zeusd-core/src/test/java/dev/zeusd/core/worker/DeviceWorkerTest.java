package dev.zeusd.core.worker;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.Metronome;
import dev.zeusd.core.TestLog;
import dev.zeusd.core.device.DeviceException;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.logging.Level;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** One thread, in order, bounded, and never waited for in vain. */
@Timeout(60)
class DeviceWorkerTest {
  private static final int CAPACITY = DeviceWorker.QUEUE_CAPACITY;

  private final DeviceWorker<String> worker = new DeviceWorker<>(7, "GPU 7", "the device");
  private final CountDownLatch release = new CountDownLatch(1);

  @AfterEach
  void close() {
    release.countDown();
    worker.close();
  }

  /** Keeps the worker busy until {@link #release}. */
  private CompletableFuture<String> block() throws InterruptedException {
    CountDownLatch running = new CountDownLatch(1);
    CompletableFuture<String> result =
        worker.submit(
            device -> {
              running.countDown();
              awaitUninterruptibly(release);
              return "released";
            });
    assertTrue(running.await(20, TimeUnit.SECONDS));
    return result;
  }

  private static void awaitUninterruptibly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private static void assertUnavailable(CompletableFuture<?> result) {
    CompletionException e = assertThrows(CompletionException.class, result::join);
    assertInstanceOf(DeviceException.Unavailable.class, e.getCause());
  }

  @Test
  void callsRunOnTheDevicesOwnThread() {
    assertEquals(7, worker.id());
    assertEquals("the device", worker.call(device -> device));
    Thread thread = worker.call(device -> Thread.currentThread());
    assertEquals("GPU 7", thread.getName());
    assertFalse(thread.isVirtual());
    assertTrue(thread.isDaemon(), "a call that hangs must not keep the process");
    assertSame(thread, worker.call(device -> Thread.currentThread()));
  }

  @Test
  void commandsRunInTheOrderTheyArrived() throws Exception {
    block();
    List<Integer> order = new ArrayList<>();
    List<CompletableFuture<Boolean>> results =
        IntStream.range(0, 1000).mapToObj(i -> worker.submit(device -> order.add(i))).toList();
    release.countDown();
    results.forEach(CompletableFuture::join);
    assertEquals(IntStream.range(0, 1000).boxed().toList(), order);
  }

  @Test
  void commandsOfManyThreadsRunOneAtATimeAndEachThreadsInOrder() throws Exception {
    AtomicInteger running = new AtomicInteger();
    AtomicBoolean overlapped = new AtomicBoolean();
    int[] last = {-1, -1, -1, -1};
    AtomicBoolean disordered = new AtomicBoolean();
    List<Thread> threads = new ArrayList<>();
    for (int t = 0; t < last.length; t++) {
      int caller = t;
      threads.add(
          Thread.ofVirtual()
              .start(
                  () -> {
                    for (int i = 0; i < 500; i++) {
                      int number = i;
                      CompletableFuture<Integer> result =
                          worker.submit(
                              device -> {
                                overlapped.compareAndSet(false, running.incrementAndGet() > 1);
                                disordered.compareAndSet(false, last[caller] != number - 1);
                                last[caller] = number;
                                return running.decrementAndGet();
                              });
                      if (i % 100 == 99) {
                        result.join();
                      }
                    }
                  }));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    assertEquals(
        List.of(499, 499, 499, 499), worker.call(d -> IntStream.of(last).boxed().toList()));
    assertFalse(overlapped.get());
    assertFalse(disordered.get());
  }

  @Test
  void theQueueIsBoundedAndUsableAgainAfterwards() throws Exception {
    block();
    List<CompletableFuture<String>> waiting =
        IntStream.range(0, CAPACITY).mapToObj(i -> worker.submit(device -> "done")).toList();
    for (int i = 0; i < 3; i++) {
      DeviceException.Unavailable e =
          assertThrows(DeviceException.Unavailable.class, () -> worker.submit(device -> "more"));
      assertTrue(e.getMessage().startsWith("GPU 7 is busy"), e.getMessage());
    }
    release.countDown();
    waiting.forEach(result -> assertEquals("done", result.join()));
    assertEquals("more", worker.call(device -> "more"));
  }

  @Test
  void anExceptionGoesToItsCallerAndTheWorkerGoesOn() {
    DeviceException thrown = new DeviceException.NotSupported("no", null);
    for (int i = 0; i < 3; i++) {
      assertSame(
          thrown,
          assertThrows(
              DeviceException.NotSupported.class,
              () ->
                  worker.call(
                      device -> {
                        throw thrown;
                      })));
    }
    assertThrows(NullPointerException.class, () -> worker.call(device -> device.concat(null)));
    assertEquals("on", worker.call(device -> "on"));
  }

  @Test
  void anExceptionOfTimedWorkIsLoggedAndTheWorkerGoesOn() throws Exception {
    try (TestLog log = new TestLog(DeviceWorker.class.getName())) {
      worker.schedule(
          System.nanoTime(),
          due -> {
            throw new IllegalStateException("timer");
          });
      worker.callNext(
          () -> {
            throw new IllegalStateException("action");
          },
          value -> {});
      Await.until("both are logged", () -> log.lines(Level.SEVERE).size() == 2);
      assertEquals("on", worker.call(device -> "on"));
    }
  }

  @Test
  void anErrorGoesToItsCallerAndEndsNothing() throws Exception {
    Thread thread = worker.call(device -> Thread.currentThread());
    for (Error error : List.of(new AssertionError("a bug"), new OutOfMemoryError("for the test"))) {
      block();
      CompletableFuture<Object> failing =
          worker.submit(
              device -> {
                throw error;
              });
      CompletableFuture<String> behind = worker.submit(device -> "on");
      release.countDown();
      assertSame(error, assertThrows(CompletionException.class, failing::join).getCause());
      assertEquals("on", behind.join());
      assertSame(
          error,
          assertThrows(
              Error.class,
              () ->
                  worker.call(
                      device -> {
                        throw error;
                      })));
    }
    assertSame(thread, worker.call(device -> Thread.currentThread()));
  }

  @Test
  void anErrorOfTimedWorkEndsNothing() throws Exception {
    CountDownLatch ran = new CountDownLatch(1);
    worker.schedule(
        System.nanoTime(),
        due -> {
          throw new AssertionError("a bug");
        });
    worker.schedule(
        System.nanoTime() + 1_000_000,
        due -> {
          ran.countDown();
          return TimedWork.NEVER;
        });
    assertTrue(ran.await(20, TimeUnit.SECONDS));
    assertEquals("on", worker.call(device -> "on"));
  }

  // ---- A call within a call ----

  @Test
  void aCallWithinACallOfTheSameDeviceRunsAtOnce() {
    assertEquals("inner", worker.call(device -> worker.call(inner -> "inner")));
    assertEquals("inner", worker.call(d -> worker.runOrSubmit(inner -> "inner").join()));
    assertEquals("inner", worker.call(d -> worker.runOrShare(inner -> "inner").join()));
    assertEquals("inner", worker.runOrSubmit(d -> worker.call(inner -> "inner")).join());
    assertEquals("inner", worker.runOrSubmit(d -> worker.runOrShare(i -> "inner").join()).join());
    DeviceException thrown = new DeviceException.NotSupported("no", null);
    assertSame(
        thrown,
        assertThrows(
            DeviceException.class,
            () ->
                worker.call(
                    device ->
                        worker.call(
                            inner -> {
                              throw thrown;
                            }))));
    assertEquals("on", worker.call(device -> "on"));
  }

  @Test
  void whatIsSubmittedWithinACallIsNotWaitedForInVain() {
    for (int i = 0; i < 2; i++) {
      boolean onItsThread = i == 0;
      long start = System.nanoTime();
      IllegalStateException e =
          assertThrows(
              IllegalStateException.class,
              () -> {
                Function<String, String> outer =
                    device -> Answer.await(worker.submit(inner -> "later"));
                Answer.await(onItsThread ? worker.submit(outer) : worker.runOrSubmit(outer));
              });
      assertTrue(e.getMessage().startsWith("GPU 7: a call that was submitted"), e.getMessage());
      assertTrue(System.nanoTime() - start < 9_000_000_000L, "without the time of a hung driver");
    }
    assertEquals("on", worker.call(device -> "on"));
  }

  // ---- Turns ----

  @Test
  void readsTakeTurnsWithCommandsThatWait() throws Exception {
    block();
    int full = CAPACITY;
    AtomicInteger done = new AtomicInteger();
    List<CompletableFuture<Integer>> commands =
        IntStream.range(0, full).mapToObj(i -> worker.submit(d -> done.incrementAndGet())).toList();
    assertThrows(DeviceException.Unavailable.class, () -> worker.submit(d -> 0));
    List<CompletableFuture<Integer>> reads =
        IntStream.range(0, 5).mapToObj(i -> worker.runOrShare(device -> done.get())).toList();
    release.countDown();
    for (int i = 0; i < reads.size(); i++) {
      assertTrue(Answer.await(reads.get(i)) <= i + 1, "one command at most for each read");
    }
    commands.forEach(CompletableFuture::join);
    assertEquals(full, done.get());
  }

  @Test
  void closeRefusesWhatWaitsAndLetsTheRunningCallEnd() throws Exception {
    CompletableFuture<String> running = block();
    List<CompletableFuture<String>> waiting =
        IntStream.range(0, 100).mapToObj(i -> worker.submit(device -> "never")).toList();
    worker.close();
    waiting.forEach(DeviceWorkerTest::assertUnavailable);
    assertFalse(running.isDone());
    release.countDown();
    assertEquals("released", running.join());
    assertThrows(DeviceException.Unavailable.class, () -> worker.call(device -> "never"));
    worker.close();
  }

  @Test
  void hungWorkersAreClosedTogether() throws Exception {
    List<DeviceWorker<String>> hung =
        IntStream.range(0, 10).mapToObj(i -> new DeviceWorker<>(i, "hung " + i, "")).toList();
    CountDownLatch running = new CountDownLatch(hung.size());
    for (DeviceWorker<String> each : hung) {
      each.submit(
          device -> {
            running.countDown();
            awaitUninterruptibly(release);
            return "";
          });
    }
    assertTrue(running.await(20, TimeUnit.SECONDS));
    try (Metronome metronome = new Metronome()) {
      DeviceWorker.closeAll(hung);
      // One after the other it would be 2 s.
      assertTrue(metronome.beats() < 900, "took " + metronome.beats() + " ms");
    }
  }

  @Test
  void noCallIsLostWhenTheWorkerClosesMeanwhile() throws Exception {
    for (int round = 0; round < 200; round++) {
      DeviceWorker<String> closing = new DeviceWorker<>(round, "closing", "");
      Queue<CompletableFuture<String>> results = new ConcurrentLinkedQueue<>();
      CountDownLatch some = new CountDownLatch(20);
      List<Thread> callers = new ArrayList<>();
      for (int t = 0; t < 2; t++) {
        callers.add(
            Thread.ofPlatform()
                .start(
                    () -> {
                      for (int i = 0; i < 200; i++) {
                        try {
                          results.add(closing.submit(device -> "done"));
                        } catch (DeviceException.Unavailable e) {
                          assertTrue(e.getMessage().startsWith("closing is "), e.getMessage());
                        }
                        some.countDown();
                      }
                    }));
      }
      some.await();
      closing.close();
      for (Thread caller : callers) {
        caller.join();
      }
      for (CompletableFuture<String> result : results) {
        // Ended with either, and within a moment.
        assertTrue(result.handle((value, e) -> true).get(20, TimeUnit.SECONDS));
      }
    }
  }

  @Test
  void timedWorkAndCommandsTakeTurns() throws Exception {
    block();
    int each = 200;
    StringBuffer order = new StringBuffer();
    CountDownLatch ticks = new CountDownLatch(each);
    // The first command schedules work that is always due; the others wait already.
    worker.submit(
        device -> {
          worker.schedule(
              System.nanoTime(),
              due -> {
                order.append('t');
                ticks.countDown();
                return ticks.getCount() == 0 ? TimedWork.NEVER : due;
              });
          return null;
        });
    List<CompletableFuture<StringBuffer>> commands =
        IntStream.range(0, each).mapToObj(i -> worker.submit(device -> order.append('c'))).toList();
    release.countDown();
    commands.forEach(CompletableFuture::join);
    assertTrue(ticks.await(20, TimeUnit.SECONDS));
    assertEquals("tc".repeat(each), order.toString());
  }

  @Test
  void timedWorkRunsInOrderOfItsTimeAndNotBefore() throws Exception {
    Queue<String> ran = new ConcurrentLinkedQueue<>();
    CountDownLatch all = new CountDownLatch(3);
    worker.call(
        device -> {
          long now = System.nanoTime();
          for (int ms : new int[] {60, 20, 40}) {
            long wanted = now + ms * 1_000_000L;
            worker.schedule(
                wanted,
                due -> {
                  boolean early = System.nanoTime() - wanted < 0;
                  ran.add(ms + (due == wanted ? "" : " wrong due") + (early ? " early" : ""));
                  all.countDown();
                  return TimedWork.NEVER;
                });
          }
          return null;
        });
    assertTrue(all.await(20, TimeUnit.SECONDS));
    assertEquals(List.of("20", "40", "60"), List.copyOf(ran));
  }

  /** Calls come at all moments: while the thread works, falls asleep and sleeps. */
  @Test
  void noCallFailsToWakeTheThread() throws Exception {
    for (Thread.Builder kind : List.of(Thread.ofPlatform().daemon(), Thread.ofVirtual())) {
      AtomicInteger answered = new AtomicInteger();
      Thread caller =
          kind.start(
              () -> {
                for (int i = 1; i <= 20_000; i++) {
                  for (int left = i * 37 % 512; left > 0; left--) {
                    Thread.onSpinWait();
                  }
                  int number = i;
                  answered.set(worker.call(device -> number));
                }
              });
      caller.join(30_000);
      assertEquals(20_000, answered.get());
    }
  }

  @Test
  void withoutWorkTheThreadSleeps() throws Exception {
    Thread thread = worker.call(device -> Thread.currentThread());
    // For no time, so that nothing wakes it but work.
    Await.until("it sleeps", () -> thread.getState() == Thread.State.WAITING);
    assertEquals("awake", worker.call(device -> "awake"));
  }
}
