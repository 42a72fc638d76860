package dev.zeusd.core.worker;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.testkit.TestClock;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A device whose commands wait for something else: it is read meanwhile, and by one at a time. */
@Timeout(60)
class YieldsTurnTest {
  private final TestClock clock = new TestClock();
  private final CountDownLatch started = new CountDownLatch(1);
  private final CountDownLatch release = new CountDownLatch(1);
  private final List<String> told = new CopyOnWriteArrayList<>();
  private final DeviceWorker<Device> worker =
      new DeviceWorker<>(0, "GPU 0", new Device(), Carriers.OF_THIS_MACHINE, clock);

  private final class Device implements YieldsTurn {
    private Yielding whileOthersRead = (atMost, work) -> work.run();

    @Override
    public void yieldTurnBy(Yielding whileOthersRead) {
      this.whileOthersRead = whileOthersRead;
    }

    String set(String value) {
      told.add("begin " + value);
      whileOthersRead.run(Duration.ofMinutes(1), this::waitLong);
      assertTrue(worker.turn().isMine(), "it has the turn again");
      told.add("end " + value);
      return value;
    }

    private void waitLong() {
      assertFalse(worker.turn().isMine());
      started.countDown();
      try {
        release.await();
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
      clock.jump(Duration.ofHours(1).toNanos());
    }

    String read() {
      assertTrue(worker.turn().isMine());
      return "power";
    }
  }

  @AfterEach
  void close() {
    release.countDown();
    worker.close();
  }

  @Test
  void itIsReadWhileItsCommandsWaitForOneAnother() throws Exception {
    CompletableFuture<String> first = worker.runOrSubmit(device -> device.set("1"));
    started.await();
    CompletableFuture<String> second = worker.runOrSubmit(device -> device.set("2"));
    CompletableFuture<String> third = worker.submit(device -> device.set("3"));
    assertEquals("power", worker.runOrShare(Device::read).join());
    assertEquals("power", worker.share(Device::read).join());
    CompletableFuture<String> next = new CompletableFuture<>();
    worker.callNext(() -> worker.device().read(), next::complete);
    assertEquals("power", next.join());
    assertTrue(worker.tryBeginCall(), "as the ticker does");
    worker.endCall(0);
    assertEquals(0, worker.inCallNanos());
    assertEquals(List.of("begin 1"), told);
    release.countDown();
    CompletableFuture.allOf(first, second, third).join();
    assertEquals(
        List.of("begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"), List.copyOf(told));
    assertEquals(0, worker.recentNanos(), "the hours were not the device's");
  }

  /** A program has a time of its own; who comes behind it is not told of a driver that hangs. */
  @Test
  void whoWaitsForAProgramIsPatientAndWhoComesNextIsToldWhy() throws Exception {
    CompletableFuture<String> first = worker.runOrSubmit(device -> device.set("1"));
    started.await();
    assertTrue(Answer.mayTakeLonger(first));
    CompletableFuture<String> second = worker.submit(device -> device.set("2"));
    assertFalse(Answer.mayTakeLonger(second));
    DeviceException.Unavailable busy =
        assertThrows(
            DeviceException.Unavailable.class, () -> Answer.await(second, System.nanoTime()));
    assertTrue(busy.getMessage().contains("a program that changes its settings"), busy::toString);
    DeviceException.Unavailable silent =
        assertThrows(
            DeviceException.Unavailable.class,
            () -> Answer.await(worker.newAnswer(), System.nanoTime()));
    assertTrue(silent.getMessage().contains("a driver call seems to hang"), silent::toString);
    CompletableFuture<String> value =
        CompletableFuture.supplyAsync(() -> Answer.await(first, System.nanoTime()));
    assertThrows(TimeoutException.class, () -> value.get(50, TimeUnit.MILLISECONDS));
    release.countDown();
    assertEquals("1", value.get());
    assertEquals(List.of("begin 1", "end 1"), List.copyOf(told), "the second one was dropped");
  }
}
