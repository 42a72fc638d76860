package dev.zeusd.ffm.nvml;

import static dev.zeusd.ffm.fake.FakeNvml.Call.*;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.zeusd.ffm.fake.FakeNvml;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLongArray;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The driver goes away and comes back, and so do GPUs, under a running library. */
class NvmlReloadTest {
  private static final long LIMIT_NANOS = 20_000_000_000L;
  private static final int INVALID_ARGUMENT = 2;

  private final FakeNvml nvml = FakeNvml.inProcess();
  private NvmlLibrary library;

  @BeforeEach
  void open() throws NvmlException {
    nvml.reset();
    library = NvmlLibrary.open();
  }

  @AfterEach
  void close() {
    library.close();
    // The fake refuses a handle of before a reload with INVALID_ARGUMENT; here nothing else does.
    for (FakeNvml.CallRecord call : nvml.history()) {
      boolean onHandle = call.device() >= 0 && call.call() != GET_HANDLE_BY_INDEX;
      assertTrue(!onHandle || call.result() != INVALID_ARGUMENT, "stale handle: " + call);
    }
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
    nvml.gpu(2).error(GET_UUID, 15);
    NvmlDevice device = library.device(2);
    assertThrows(NvmlException.class, device::instantPowerMw);
    nvml.gpu(2).error(GET_UUID, 0);
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
