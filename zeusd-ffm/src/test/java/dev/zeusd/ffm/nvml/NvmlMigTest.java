package dev.zeusd.ffm.nvml;

import static dev.zeusd.testkit.nvml.FakeNvml.Call.*;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.testkit.nvml.FakeGpu;
import dev.zeusd.testkit.nvml.FakeGpu.MigMode;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Oddity;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The instances of a GPU that is partitioned, against the fake library. */
class NvmlMigTest {
  /** Not 0, so that a call on the wrong device is noticed. */
  private static final int INDEX = 2;

  private static final String FIRST = "MIG-11111111-aaaa-5555-9999-000000000001";
  private static final String SECOND = "MIG-22222222-aaaa-5555-9999-000000000002";

  private final FakeNvml nvml = FakeNvml.inProcess();
  private final FakeGpu gpu = nvml.gpu(INDEX);
  private NvmlLibrary library;
  private NvmlDevice device;

  @BeforeEach
  void open() throws NvmlException {
    nvml.reset();
    gpu.migMode(MigMode.ON);
    gpu.instance(1).create(FIRST, 7, 0).memoryBytes(3L << 30, 20L << 30);
    gpu.instance(4).create(SECOND, 9, 1);
    library = NvmlLibrary.open();
    device = library.device(INDEX);
  }

  @AfterEach
  void close() {
    library.close();
  }

  private static NvmlMig.Instance instance(
      int index, String uuid, long gpuInstance, long computeInstance, long usedGib, long gib) {
    return new NvmlMig.Instance(
        index,
        Optional.of(uuid),
        Optional.of("NVIDIA Fake GPU MIG 1g.10gb"),
        Optional.of(gpuInstance),
        Optional.of(computeInstance),
        Optional.of(new NvmlSensors.Memory(usedGib << 30, gib << 30)));
  }

  @Test
  void instancesAreListedWhereTheyAreAndAsTheyComeAndGo() throws NvmlException {
    assertTrue(device.mig().isEnabled());
    NvmlMig.Instance first = instance(1, FIRST, 7, 0, 3, 20);
    NvmlMig.Instance second = instance(4, SECOND, 9, 1, 1, 10);
    assertEquals(List.of(first, second), device.mig().instances());
    gpu.instance(1).destroy();
    assertEquals(List.of(second), device.mig().instances());
    gpu.instance(0).create(FIRST, 7, 0).memoryBytes(3L << 30, 20L << 30);
    assertEquals(List.of(instance(0, FIRST, 7, 0, 3, 20), second), device.mig().instances());
    assertEquals("NVIDIA Fake GPU", device.name(), "the whole GPU's");
  }

  @Test
  void aGpuThatIsNotPartitionedSaysSo() throws NvmlException {
    gpu.migMode(MigMode.OFF);
    assertFalse(device.mig().isEnabled());
    assertEquals(List.of(), device.mig().instances());
    gpu.migMode(MigMode.NONE);
    NvmlException e = assertThrows(NvmlException.class, device.mig()::isEnabled);
    assertEquals(NvmlReturn.NOT_SUPPORTED, e.result());
    assertTrue(e.isLasting());
  }

  @Test
  void whatAnInstanceDoesNotTellIsMissingAndTheOthersAreThere() throws NvmlException {
    gpu.instance(1).error(999);
    List<NvmlMig.Instance> instances = device.mig().instances();
    assertEquals(
        new NvmlMig.Instance(
            1,
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            Optional.empty()),
        instances.getFirst());
    assertEquals(Optional.of(SECOND), instances.getLast().uuid());
    // Even if the driver says that it is gone: the GPU is there.
    gpu.instance(1).error(15);
    int generation = library.generation();
    assertEquals(2, device.mig().instances().size());
    assertEquals(generation, library.generation());
    gpu.instance(1).error(0);
    gpu.oddity(GET_GPU_INSTANCE_ID, Oddity.WRITES_NOTHING).oddity(GET_MEMORY, Oddity.ALL_BITS);
    for (NvmlMig.Instance odd : device.mig().instances()) {
      assertEquals(Optional.empty(), odd.gpuInstanceId());
      assertEquals(Optional.empty(), odd.memory());
      assertTrue(odd.uuid().isPresent());
    }
  }

  @Test
  void nonsenseOfTheDriversIsNoValue() throws NvmlException {
    gpu.oddity(GET_MIG_MODE, Oddity.WRITES_NOTHING);
    assertThrows(NvmlException.class, device.mig()::isEnabled);
    gpu.oddity(GET_MAX_MIG_DEVICE_COUNT, Oddity.BITS).oddBits(0x7FFF_FFFF);
    assertThrows(NvmlException.class, device.mig()::instances);
    gpu.oddity(GET_MAX_MIG_DEVICE_COUNT, Oddity.NORMAL);
    gpu.oddity(GET_MIG_DEVICE_HANDLE, Oddity.WRITES_NOTHING);
    assertEquals(List.of(), device.mig().instances(), "no handle");
  }

  @Test
  void aLostGpuIsAnErrorAndFoundAgain() throws NvmlException {
    gpu.error(GET_MIG_DEVICE_HANDLE, 15);
    NvmlException e = assertThrows(NvmlException.class, device.mig()::instances);
    assertEquals(NvmlReturn.GPU_IS_LOST, e.result());
    gpu.error(GET_MIG_DEVICE_HANDLE, 0);
    nvml.driverUnloaded(true).driverUnloaded(false);
    assertEquals(2, device.mig().instances().size());
  }
}
