package dev.zeusd.ffm.amdsmi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.ffm.amdsmi.AmdSmiDevice.Bound;
import dev.zeusd.ffm.amdsmi.AmdSmiDevice.ClockKind;
import dev.zeusd.ffm.amdsmi.AmdSmiSensors.Sensor;
import dev.zeusd.ffm.driver.DriverException.Kind;
import dev.zeusd.ffm.fake.FakeAmdSmi;
import dev.zeusd.ffm.fake.FakeAmdSmi.Call;
import dev.zeusd.ffm.fake.InFlight;
import dev.zeusd.testkit.nvml.FakeNvml.Clocks;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Calls of the fake library, in each edition's form. */
@Timeout(60)
class AmdSmiDeviceTest {
  private static AmdSmiLibrary open(FakeAmdSmi fake) throws AmdSmiException {
    return AmdSmiLibrary.openIn(fake.libraryDirectory());
  }

  private static List<AmdSmiDevice> devices(AmdSmiLibrary library) {
    return library.places().stream().map(library::device).toList();
  }

  @ParameterizedTest
  @ValueSource(ints = {24, 25, 26})
  void everyEditionIsReadAsItIs(int edition) throws AmdSmiException {
    FakeAmdSmi fake = FakeAmdSmi.inProcess(edition).reset();
    try (AmdSmiLibrary library = open(fake)) {
      String version = edition == 24 ? "24.7.2.0" : edition == 25 ? "25.25.2.0" : "26.2.0 ";
      assertTrue(library.description().startsWith(version), library.description());
      assertEquals(edition < 26, library.description().contains("one call at a time"));
      AmdSmiDevice gpu = devices(library).get(1);
      assertEquals("AMD Fake Instinct", gpu.name());
      assertEquals("0000:c2:00.0", gpu.pciAddress());
      assertEquals("fa4e0001-0000-1000-8000-000000000000", gpu.uuid());
      assertEquals(160_000, gpu.powerMw());
      fake.gpu(1).powerW(0xFFFF, 170);
      assertEquals(170_000, gpu.powerMw(), "averaged where it has no other");
      fake.gpu(1).powerW(-1, -1);
      assertEquals(Kind.NOT_SUPPORTED, assertThrows(AmdSmiException.class, gpu::powerMw).kind());
      assertEquals(caps(750_000, 750_000, 100_000, 750_000), gpu.powerCap());
      gpu.setPowerLimitMw(500_000);
      assertEquals(500_000, fake.gpu(1).powerCapMw());
      assertEquals(1900, gpu.clock(ClockKind.GPU).mhz());
      gpu.setClockBound(ClockKind.MEMORY, Bound.LOWER, 1000);
      gpu.setClockBound(ClockKind.GPU, Bound.UPPER, 1500);
      assertEquals(new Clocks(1000, 1300), fake.gpu(1).memBounds());
      assertEquals(new Clocks(132, 1500), fake.gpu(1).gpuBounds());
      gpu.resetClocks();
      assertEquals(new Clocks(132, 2100), fake.gpu(1).gpuBounds());
      assertEquals(51, gpu.sensors().temperatureC(Sensor.HOTSPOT));
      assertEquals(46, gpu.sensors().temperatureC(Sensor.MEMORY));
      assertEquals(new AmdSmiSensors.Utilization(80, 40), gpu.sensors().utilization());
      assertEquals(new AmdSmiSensors.Memory(64L << 30, 192L << 30), gpu.sensors().memory());
      fake.gpu(1).energy(15.259F, 1e6);
      double energyUj = gpu.energyUj();
      assertTrue(energyUj > 0 && energyUj < 60 * 1e12, "" + energyUj);
    }
    assertEquals(1, fake.calls(Call.SHUT_DOWN));
  }

  /** Zero: it is not told. */
  private static AmdSmiDevice.PowerCap caps(long limit, long byDefault, long min, long max) {
    return new AmdSmiDevice.PowerCap(told(limit), told(byDefault), told(min), told(max));
  }

  private static OptionalLong told(long mw) {
    return mw == 0 ? OptionalLong.empty() : OptionalLong.of(mw);
  }

  /** The library answers zeros for those limits that it could not ask for. */
  @Test
  void aPowerLimitThatIsNotToldCostsItself() throws AmdSmiException {
    FakeAmdSmi fake = FakeAmdSmi.inProcess(26).reset();
    try (AmdSmiLibrary library = open(fake)) {
      AmdSmiDevice gpu = devices(library).getFirst();
      fake.gpu(0).powerCapsMw(750_000, 0, 0, 0);
      assertEquals(caps(750_000, 0, 0, 0), gpu.powerCap());
      fake.gpu(0).powerCapsMw(0, 750_000, 100_000, 750_000);
      assertEquals(caps(0, 750_000, 100_000, 750_000), gpu.powerCap());
      fake.gpu(0).powerCapsMw(750_000, 750_000, 0, 750_000);
      assertEquals(OptionalLong.of(0), gpu.powerCap().minMw(), "the lower end of a range");
      fake.gpu(0).powerCapsMw(0, 0, 0, 0);
      assertEquals(Kind.NOT_SUPPORTED, assertThrows(AmdSmiException.class, gpu::powerCap).kind());
    }
  }

  @Test
  void whatTheDriverLeavesUntouchedOrMarksAsNoneIsNoValue() throws AmdSmiException {
    FakeAmdSmi fake = FakeAmdSmi.inProcess(26).reset();
    try (AmdSmiLibrary library = open(fake)) {
      AmdSmiDevice gpu = devices(library).getFirst();
      for (int oddity : new int[] {1, 2}) {
        for (Call call : Call.values()) {
          fake.gpu(0).oddity(call, oddity);
        }
        assertThrows(AmdSmiException.class, gpu::powerMw);
        assertThrows(AmdSmiException.class, gpu::energyUj);
        assertThrows(AmdSmiException.class, gpu::powerCap);
        assertThrows(AmdSmiException.class, () -> gpu.clock(ClockKind.GPU));
        assertThrows(AmdSmiException.class, () -> gpu.sensors().temperatureC(Sensor.HOTSPOT));
        assertThrows(AmdSmiException.class, gpu.sensors()::utilization);
        assertThrows(AmdSmiException.class, gpu.sensors()::memory);
        assertThrows(AmdSmiException.class, gpu::name);
      }
    }
  }

  @Test
  void gpusOfOneSocketAndEqualUuidsAreToldApart() throws AmdSmiException {
    FakeAmdSmi fake = FakeAmdSmi.inProcess(26).reset().gpuCount(5).gpusInSocket(2);
    fake.gpu(1).uuid("same");
    fake.gpu(3).uuid("same").bdf(0x1_0000L + 0xc502);
    fake.gpu(4).uuid("same").bdf(0x1_0000L + 0xc502);
    try (AmdSmiLibrary library = open(fake)) {
      List<AmdSmiDevice> gpus = devices(library);
      assertEquals(5, gpus.size());
      assertEquals("same", gpus.get(1).uuid());
      assertEquals("0001:c5:00.2", gpus.get(3).pciAddress());
      assertEquals("same@0001:c5:00.2", gpus.get(3).uuid());
      assertEquals("same@0001:c5:00.2#1", gpus.get(4).uuid());
      for (int i = 0; i < 5; i++) {
        assertEquals(150_000 + 10_000L * i, gpus.get(i).powerMw(), "GPU " + i);
      }
    }
  }

  @Test
  void errorsSayInWordsWhatToDo() throws AmdSmiException {
    FakeAmdSmi fake = FakeAmdSmi.inProcess(26).reset();
    try (AmdSmiLibrary library = open(fake)) {
      AmdSmiDevice gpu = devices(library).getFirst();
      fake.gpu(0).error(Call.SET_POWER_CAP, 10);
      AmdSmiException e = assertThrows(AmdSmiException.class, () -> gpu.setPowerLimitMw(200_000));
      assertEquals(Kind.NO_PERMISSION, e.kind());
      assertEquals(
          "setting the power limit: zeusd lacks the privilege; run it as root"
              + " (amdsmi_set_power_cap: AMDSMI_STATUS_NO_PERM)",
          e.getMessage());
      fake.gpu(0).error(Call.GET_POWER, 4711);
      e = assertThrows(AmdSmiException.class, gpu::powerMw);
      assertEquals(Kind.FAILED, e.kind());
      assertTrue(e.getMessage().contains("AMDSMI_STATUS 4711"), e.getMessage());
    }
  }

  @Test
  void afterAReloadOfTheDriverTheSameGpuAnswers() throws AmdSmiException {
    FakeAmdSmi fake = FakeAmdSmi.inProcess(26).reset();
    try (AmdSmiLibrary library = open(fake)) {
      AmdSmiDevice gpu = devices(library).get(1);
      assertEquals(160_000, gpu.powerMw());
      fake.driverUnloaded(true);
      assertThrows(AmdSmiException.class, gpu::powerMw);
      // They come back in another order.
      fake.gpu(0).bdf(0xc2L << 8);
      fake.gpu(1).bdf(0xc1L << 8);
      fake.driverUnloaded(false);
      long limit = System.nanoTime() + Duration.ofSeconds(20).toNanos();
      while (true) {
        try {
          assertEquals(150_000, gpu.powerMw(), "the one at c2:00.0");
          break;
        } catch (AmdSmiException e) {
          assertTrue(System.nanoTime() < limit, e.getMessage());
        }
      }
      assertEquals(2, library.generation());
    }
  }

  @Test
  void lettingGoOpensAgainWithTheNextCall() throws AmdSmiException {
    FakeAmdSmi fake = FakeAmdSmi.inProcess(26).reset();
    try (AmdSmiLibrary library = open(fake)) {
      AmdSmiDevice gpu = devices(library).getFirst();
      gpu.powerMw();
      assertFalse(library.release(Long.MAX_VALUE), "just used");
      assertTrue(library.release(Long.MIN_VALUE));
      assertFalse(library.isOpen());
      assertEquals(1, fake.calls(Call.SHUT_DOWN));
      assertEquals(150_000, gpu.powerMw());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {25, 26})
  void callsForDifferentGpusOverlapOnlyWhereTheLibraryAllowsIt(int edition) throws Exception {
    FakeAmdSmi fake = FakeAmdSmi.inProcess(edition).reset().gpuCount(4);
    try (AmdSmiLibrary library = open(fake)) {
      fake.delay(Call.GET_POWER, Duration.ofMillis(100));
      List<CompletableFuture<Void>> all = new ArrayList<>();
      for (AmdSmiDevice gpu : devices(library)) {
        CompletableFuture<Void> one = new CompletableFuture<>();
        Thread.ofPlatform()
            .start(
                () -> {
                  try {
                    gpu.powerMw();
                    one.complete(null);
                  } catch (AmdSmiException | RuntimeException e) {
                    one.completeExceptionally(e);
                  }
                });
        all.add(one);
      }
      for (CompletableFuture<Void> one : all) {
        one.get();
      }
      if (edition == 25) {
        assertEquals(1, fake.maxInFlight());
      } else {
        assertTrue(fake.maxInFlight() > 1, "one at a time");
      }
    }
  }

  @Test
  void whereOneCallAtATimeIsPossibleOneThatHangsRefusesTheOthers() throws Exception {
    FakeAmdSmi fake = FakeAmdSmi.inProcess(24).reset();
    try (AmdSmiLibrary library = open(fake)) {
      List<AmdSmiDevice> gpus = devices(library);
      fake.gpu(0).delay(Call.GET_POWER, Duration.ofMinutes(10));
      CompletableFuture<Long> hung = new CompletableFuture<>();
      Thread.ofPlatform()
          .daemon()
          .start(
              () -> {
                try {
                  hung.complete(gpus.get(0).powerMw());
                } catch (AmdSmiException e) {
                  hung.completeExceptionally(e);
                }
              });
      InFlight.await(1, fake::inFlight);
      AmdSmiException e = assertThrows(AmdSmiException.class, () -> gpus.get(1).powerMw());
      assertEquals(AmdSmiStatus.BUSY, e.status());
      fake.gpu(0).delay(Call.GET_POWER, Duration.ZERO);
      assertEquals(150_000, hung.get(20, TimeUnit.SECONDS));
      assertEquals(160_000, gpus.get(1).powerMw());
    } finally {
      fake.delay(Call.GET_POWER, Duration.ZERO);
    }
  }
}
