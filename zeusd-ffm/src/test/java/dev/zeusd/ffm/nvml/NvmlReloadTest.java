package dev.zeusd.ffm.nvml;

import static dev.zeusd.testkit.nvml.FakeNvml.Call.*;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.zeusd.ffm.fake.InFlight;
import dev.zeusd.testkit.nvml.FakeNvml;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The driver goes away and comes back, and so do GPUs, under a running library. */
@Timeout(60)
class NvmlReloadTest {
  private static final long LIMIT_NANOS = 20_000_000_000L;
  private static final int INVALID_ARGUMENT = 2;

  private final FakeNvml nvml = FakeNvml.inProcess();
  private NvmlLibrary library;

  /** When they began. They used a handle that was good at that time. */
  private final Set<Long> callsThatHung = new HashSet<>();

  @BeforeEach
  void open() throws NvmlException {
    nvml.reset();
    library = NvmlLibrary.open();
  }

  @AfterEach
  void close() {
    library.close();
    List<FakeNvml.CallRecord> history = nvml.history();
    for (FakeNvml.CallRecord call : history) {
      // The fake refuses a handle of before a reload with INVALID_ARGUMENT; here nothing else does.
      boolean stale = isOnHandle(call) && call.result() == INVALID_ARGUMENT;
      assertTrue(!stale || callsThatHung.contains(call.startNs()), "stale handle: " + call);
      if (call.call() == SHUTDOWN && call.result() == 0) {
        List<FakeNvml.CallRecord> under =
            history.stream().filter(other -> isOnHandle(other) && overlap(call, other)).toList();
        assertEquals(List.of(), under, "calls while NVML was shut down");
      }
    }
  }

  private static boolean isOnHandle(FakeNvml.CallRecord call) {
    return call.device() >= 0 && call.call() != GET_HANDLE_BY_INDEX;
  }

  private static boolean overlap(FakeNvml.CallRecord a, FakeNvml.CallRecord b) {
    return a.startNs() < b.endNs() && b.startNs() < a.endNs();
  }

  private static long powerSoon(NvmlDevice device) throws InterruptedException {
    long start = System.nanoTime();
    while (true) {
      try {
        return device.instantPowerMw();
      } catch (NvmlException e) {
        if (System.nanoTime() - start > LIMIT_NANOS) {
          return fail("did not recover", e);
        }
        Thread.sleep(20);
      }
    }
  }

  private void reload() {
    nvml.driverUnloaded(true).driverUnloaded(false);
  }

  @Test
  void aReloadBetweenTwoCallsIsNotNoticed() throws NvmlException {
    NvmlDevice device = library.device(1);
    assertEquals(85_000, device.instantPowerMw());
    reload();
    assertEquals(85_000, device.instantPowerMw());
  }

  @Test
  void uuidsTellWhoDoesNotAnswerAndResetNothing() throws NvmlException {
    nvml.gpu(0).error(GET_UUID, 3); // NOT_SUPPORTED
    nvml.gpu(1).uuid("GPU-one");
    nvml.gpu(2).error(GET_UUID, 4); // NO_PERMISSION
    nvml.gpu(3).error(GET_UUID, 15); // GPU_IS_LOST
    assertEquals(
        List.of(Optional.of(""), Optional.of("GPU-one"), Optional.of(""), Optional.empty()),
        library.uuids());
    assertEquals(1, library.generation());
    assertEquals(1, nvml.calls(INIT));
  }

  @Test
  void aDeviceOfAUuidIsFoundWhereverItIs() throws NvmlException {
    nvml.gpu(3).uuid("GPU-three");
    assertEquals(105_000, library.device(1, "GPU-three").instantPowerMw());
  }

  @Test
  void whileTheDriverIsUnloadedCallsFailAndThenWorkAgain() throws Exception {
    NvmlDevice device = library.device(1);
    device.instantPowerMw();
    nvml.driverUnloaded(true);
    for (int i = 0; i < 50; i++) {
      NvmlReturn result = assertThrows(NvmlException.class, device::instantPowerMw).result();
      assertTrue(
          result == NvmlReturn.UNINITIALIZED || result == NvmlReturn.DRIVER_NOT_LOADED,
          result.toString());
    }
    assertTrue(nvml.calls(INIT) < 10, "not one try to initialise for each failing call");
    nvml.driverUnloaded(false);
    assertEquals(85_000, powerSoon(device));
    assertEquals(95_000, library.device(2).instantPowerMw());
    assertEquals(4, library.deviceCount());
  }

  @Test
  void gpusThatSwappedTheirIndicesAreFoundByUuid() throws Exception {
    NvmlDevice first = library.device(0);
    NvmlDevice second = library.device(1);
    nvml.gpu(0).uuid("GPU-first").powerMw(111_000);
    nvml.gpu(1).uuid("GPU-second").powerMw(222_000);
    assertEquals(111_000, first.instantPowerMw());
    assertEquals(222_000, second.instantPowerMw());
    nvml.gpu(0).uuid("GPU-second").powerMw(222_000);
    nvml.gpu(1).uuid("GPU-first").powerMw(111_000);
    reload();
    assertEquals(111_000, powerSoon(first));
    assertEquals(222_000, powerSoon(second));
    first.setPowerLimitMw(150_000);
    assertEquals(150_000, nvml.gpu(1).powerLimitMw());
    assertEquals(300_000, nvml.gpu(0).powerLimitMw());
  }

  @Test
  void aGpuWhoseIndexIsGoneIsFoundByUuid() throws Exception {
    nvml.deviceCount(3);
    NvmlDevice last = library.device(2);
    nvml.gpu(2).uuid("GPU-last").powerMw(222_000);
    assertEquals(222_000, last.instantPowerMw());
    // GPU 0 broke: the others moved up, and index 2 is none any more.
    nvml.deviceCount(2);
    nvml.gpu(1).uuid("GPU-last").powerMw(222_000);
    reload();
    assertEquals(222_000, powerSoon(last));
  }

  @Test
  void aGpuThatDoesNotAnswerDoesNotHideOneBehindIt() throws Exception {
    NvmlDevice moved = library.device(0);
    nvml.gpu(0).uuid("GPU-moved").powerMw(333_000);
    assertEquals(333_000, moved.instantPowerMw());
    nvml.gpu(0).uuid("GPU-broken").error(GET_UUID, 999);
    nvml.gpu(1).error(GET_HANDLE_BY_INDEX, 11);
    nvml.gpu(3).uuid("GPU-moved").powerMw(333_000);
    reload();
    assertEquals(333_000, powerSoon(moved));
  }

  @Test
  void aGpuThatIsGoneIsMissedAndNotTakenForAnother() throws Exception {
    NvmlDevice device = library.device(1);
    nvml.gpu(1).uuid("GPU-gone");
    device.instantPowerMw();
    nvml.gpu(1).uuid("GPU-replacement").powerMw(999_000);
    reload();
    for (int i = 0; i < 5; i++) {
      NvmlException e = assertThrows(NvmlException.class, device::instantPowerMw);
      assertEquals(NvmlReturn.GPU_NOT_FOUND, e.result(), e.getMessage());
      assertTrue(e.getMessage().contains("GPU-gone"), e.getMessage());
    }
    assertEquals(75_000, powerSoon(library.device(0)));
    nvml.gpu(3).uuid("GPU-gone").powerMw(444_000);
    assertEquals(444_000, powerSoon(device));
  }

  @Test
  void aLostGpuComesBackAndTheOthersGoOn() throws Exception {
    NvmlDevice lost = library.device(3);
    NvmlDevice other = library.device(0);
    lost.instantPowerMw();
    other.instantPowerMw();
    nvml.gpu(3).error(GET_FIELD_VALUES, 15);
    for (int i = 0; i < 5; i++) {
      NvmlException e = assertThrows(NvmlException.class, lost::instantPowerMw);
      assertEquals(NvmlReturn.GPU_IS_LOST, e.result());
      assertEquals(75_000, other.instantPowerMw());
    }
    nvml.gpu(3).error(GET_FIELD_VALUES, 0);
    assertEquals(105_000, lost.instantPowerMw());
  }

  @Test
  void aDeviceThatWasLostFromTheStartIsFoundLater() throws Exception {
    nvml.gpu(2).error(GET_HANDLE_BY_INDEX, 15); // GPU_IS_LOST
    NvmlDevice device = library.device(2);
    assertThrows(NvmlException.class, device::instantPowerMw);
    nvml.gpu(2).error(GET_HANDLE_BY_INDEX, 0);
    assertEquals(95_000, powerSoon(device));
  }

  @Test
  void gpusWithoutUuidAreKeptByIndex() throws Exception {
    nvml.gpu(1).error(GET_UUID, 3);
    NvmlDevice device = library.device(1);
    assertEquals(85_000, device.instantPowerMw());
    reload();
    assertEquals(85_000, powerSoon(device));
  }

  /** Whatever a fact costs: not the GPU. */
  @ParameterizedTest
  @ValueSource(ints = {1, 3, 4, 13, 15, 18, 28, 77, 999})
  void aUuidThatIsNotToldCostsOnlyItself(int code) throws Exception {
    nvml.gpu(1).error(GET_UUID, code).error(GET_PCI_INFO, code);
    NvmlDevice device = library.device(1);
    assertEquals(85_000, device.instantPowerMw());
    assertEquals("", device.knownUuid());
    nvml.gpu(1).error(GET_UUID, 0);
    assertEquals(device.uuid(), device.knownUuid());
    assertTrue(device.knownUuid().startsWith("GPU-"));
  }

  @Test
  void aGpuWithoutUuidIsFoundByItsPciAddress() throws Exception {
    nvml.gpu(0).error(GET_UUID, 4);
    nvml.gpu(2).error(GET_UUID, 4);
    NvmlDevice device = library.device(0);
    device.pciAddress();
    nvml.gpu(0).pci(0, 0x77, 0);
    nvml.gpu(2).pci(0, 0x19, 0).powerMw(222_000);
    reload();
    assertEquals(222_000, powerSoon(device));
    device.setPowerLimitMw(150_000);
    assertEquals(150_000, nvml.gpu(2).powerLimitMw());
    assertEquals(300_000, nvml.gpu(0).powerLimitMw());
  }

  // ---- One GPU is in trouble, and others work ----

  private long callsToOthers(int gpu) {
    return IntStream.range(0, 8).filter(i -> i != gpu).mapToLong(i -> nvml.gpu(i).calls()).sum();
  }

  /** Also with a handle and an identity that are as good as ever. */
  @ParameterizedTest
  @CsvSource({
    "15, true",
    "15, false",
    "28, true",
    "28, false",
    "1, false",
    "9, false",
    "18, false"
  })
  void aGpuInTroubleIsAskedByItselfWhileOthersAnswer(int code, boolean alsoItsHandle)
      throws Exception {
    nvml.deviceCount(8);
    NvmlDevice lost = library.device(5);
    NvmlDevice other = library.device(0);
    lost.instantPowerMw();
    other.instantPowerMw();
    nvml.gpu(5).allErrors(code).error(GET_HANDLE_BY_INDEX, alsoItsHandle ? code : 0);
    for (int i = 0; i < 20; i++) {
      NvmlException e = assertThrows(NvmlException.class, lost::instantPowerMw);
      assertEquals(NvmlReturn.of(code), e.result());
      assertEquals(75_000, other.instantPowerMw());
    }
    assertEquals(1, nvml.calls(INIT), "NVML is left alone");
    assertEquals(0, nvml.calls(SHUTDOWN));
    assertTrue(callsToOthers(5) <= 25, () -> callsToOthers(5) + " calls to the others");
    nvml.gpu(5).allErrors(0).error(GET_HANDLE_BY_INDEX, 0);
    assertEquals(75_000 + 50_000, lost.instantPowerMw());
  }

  @Test
  void aLostGpuThatIsUsedAloneHasNvmlOpenedAnewSeldom() throws Exception {
    NvmlDevice lost = library.device(1);
    lost.instantPowerMw();
    nvml.gpu(1).allErrors(15);
    long callsToOthers = callsToOthers(1);
    long start = System.nanoTime();
    while (System.nanoTime() - start < 2_500_000_000L) {
      assertThrows(NvmlException.class, lost::instantPowerMw);
      Thread.sleep(10);
    }
    // At 0 s, and 1 s and 3 s later.
    long resets = nvml.calls(SHUTDOWN);
    assertTrue(resets >= 1 && resets <= 3, () -> resets + " resets");
    assertTrue(
        callsToOthers(1) - callsToOthers <= 10 * resets,
        "the others are looked at once for each reset");
    nvml.gpu(1).allErrors(0);
    assertEquals(85_000, powerSoon(lost));
  }

  // ---- The driver is let go of ----

  @Test
  void whatIsLetGoOfIsOpenedByTheNextCall() throws Exception {
    NvmlDevice device = library.device(1);
    device.instantPowerMw();
    assertTrue(library.release());
    assertTrue(library.release(), "nothing to be done is no failure");
    assertEquals(1, nvml.calls(SHUTDOWN));
    assertEquals(85_000, device.instantPowerMw());
    assertEquals(2, nvml.calls(INIT));
    assertTrue(library.release());
    assertEquals(4, library.deviceCount());
  }

  @Test
  void itIsNotLetGoOfWhileACallHangsOrBeforeItIsQuiet() throws Exception {
    assertFalse(library.release(60_000_000_000L));
    CompletableFuture<Long> hung = hang(library.device(0), 0);
    assertFalse(library.release());
    assertEquals(0, nvml.calls(SHUTDOWN));
    assertEquals(85_000, library.device(1).instantPowerMw(), "and others go on");
    assertEquals(75_000, endOfHang(0, hung));
    assertTrue(library.release());
  }

  @Test
  void aDriverThatIsUnloadedMeanwhileIsToldAndFoundAgain() throws Exception {
    NvmlDevice device = library.device(1);
    library.release();
    nvml.driverUnloaded(true);
    for (int i = 0; i < 5; i++) {
      NvmlException e = assertThrows(NvmlException.class, device::instantPowerMw);
      assertEquals(NvmlReturn.DRIVER_NOT_LOADED, e.result(), "never just: not initialised");
    }
    nvml.driverUnloaded(false);
    assertEquals(85_000, powerSoon(device));
  }

  // ---- Other calls that run meanwhile ----

  /** Reads power until closed, whether it succeeds or not. */
  private static final class Reader implements AutoCloseable {
    private final AtomicBoolean stop = new AtomicBoolean();
    private final Thread thread;

    Reader(NvmlDevice device) {
      thread =
          Thread.ofPlatform()
              .start(
                  () -> {
                    while (!stop.get()) {
                      try {
                        device.instantPowerMw();
                      } catch (NvmlException e) {
                        Thread.yield();
                      }
                    }
                  });
    }

    @Override
    public void close() {
      stop.set(true);
      try {
        thread.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  @Test
  void gpusThatAreAlwaysSlowDelayARecoveryOnly() throws Exception {
    NvmlDevice fourth = library.device(3);
    fourth.instantPowerMw();
    for (int i = 0; i < 3; i++) {
      nvml.gpu(i).delay(GET_FIELD_VALUES, Duration.ofMillis(100 + 30 * i));
    }
    try (Reader first = new Reader(library.device(0));
        Reader second = new Reader(library.device(1));
        Reader third = new Reader(library.device(2))) {
      InFlight.await(3, nvml::inFlight);
      library.release();
      assertEquals(105_000, powerSoon(fourth));
      // All of them gone, with initialised NVML; close() looks whether they were let end before.
      long shutdowns = nvml.calls(SHUTDOWN);
      for (int i = 0; i < 4; i++) {
        nvml.gpu(i).error(GET_FIELD_VALUES, 15);
      }
      for (long start = System.nanoTime(); nvml.calls(SHUTDOWN) == shutdowns; Thread.sleep(20)) {
        assertThrows(NvmlException.class, fourth::instantPowerMw);
        assertTrue(System.nanoTime() - start < LIMIT_NANOS, "NVML is never opened anew");
      }
      nvml.gpu(3).error(GET_FIELD_VALUES, 0);
      assertEquals(105_000, powerSoon(fourth));
      assertEquals(3, List.of(first, second, third).size());
    }
  }

  private CompletableFuture<Long> hang(NvmlDevice device, int index) throws Exception {
    device.instantPowerMw();
    nvml.gpu(index).delay(GET_FIELD_VALUES, Duration.ofMinutes(1));
    CompletableFuture<Long> power = new CompletableFuture<>();
    Thread.ofPlatform()
        .daemon()
        .start(
            () -> {
              try {
                power.complete(device.instantPowerMw());
              } catch (NvmlException e) {
                power.completeExceptionally(e);
              }
            });
    InFlight.await(1, nvml.gpu(index)::inFlight);
    callsThatHung.add(nvml.gpu(index).lastCallNs(GET_FIELD_VALUES));
    return power;
  }

  private long endOfHang(int index, CompletableFuture<Long> power) throws Exception {
    nvml.gpu(index).delay(GET_FIELD_VALUES, Duration.ZERO);
    return power.get(20, TimeUnit.SECONDS);
  }

  @Test
  void whileOneGpuHangsTheOthersOutliveAReload() throws Exception {
    CompletableFuture<Long> hung = hang(library.device(0), 0);
    NvmlDevice other = library.device(1);
    other.instantPowerMw();
    reload();
    assertEquals(85_000, powerSoon(other));
    assertEquals(95_000, powerSoon(library.device(2)));
    assertEquals(0, nvml.calls(SHUTDOWN));
    assertTrue(!hung.isDone());
    // Its handle is outdated when the call ends, which is no fault of the GPU's.
    assertEquals(75_000, endOfHang(0, hung));
  }

  @Test
  void whileOneGpuHangsNvmlIsNotShutDownForAnother() throws Exception {
    CompletableFuture<Long> hung = hang(library.device(0), 0);
    NvmlDevice lost = library.device(1);
    NvmlDevice good = library.device(2);
    nvml.gpu(1).error(GET_FIELD_VALUES, 15);
    for (long start = System.nanoTime(); System.nanoTime() - start < 2_500_000_000L; ) {
      assertThrows(NvmlException.class, lost::instantPowerMw);
      assertEquals(95_000, good.instantPowerMw());
    }
    assertEquals(1, nvml.calls(INIT) - nvml.calls(SHUTDOWN), "initialised once");
    assertEquals(0, nvml.calls(SHUTDOWN));
    nvml.gpu(1).error(GET_FIELD_VALUES, 0);
    assertEquals(85_000, lost.instantPowerMw());
    assertEquals(75_000, endOfHang(0, hung));
  }

  /** Readers in the middle of reloads: close() looks for handles that outlived theirs. */
  @Test
  void manyReloadsUnderLoadLeaveNoStaleHandle() throws Exception {
    AtomicBoolean stop = new AtomicBoolean();
    AtomicLongArray wrong = new AtomicLongArray(4);
    List<Thread> readers = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      int index = i;
      NvmlDevice device = library.device(i);
      device.uuid();
      readers.add(
          Thread.ofPlatform()
              .start(
                  () -> {
                    while (!stop.get()) {
                      try {
                        if (device.instantPowerMw() != 75_000 + 10_000 * index) {
                          wrong.incrementAndGet(index);
                        }
                        Thread.sleep(1);
                      } catch (NvmlException e) {
                        Thread.yield();
                      } catch (InterruptedException e) {
                        return;
                      }
                    }
                  }));
    }
    for (int i = 0; i < 20; i++) {
      nvml.driverUnloaded(true);
      Thread.sleep(10);
      nvml.driverUnloaded(false);
      Thread.sleep(50);
    }
    stop.set(true);
    for (Thread reader : readers) {
      reader.join();
    }
    for (int i = 0; i < 4; i++) {
      assertEquals(0, wrong.get(i), "values of another GPU on " + i);
      assertEquals(75_000 + 10_000 * i, powerSoon(library.device(i)));
    }
  }
}
