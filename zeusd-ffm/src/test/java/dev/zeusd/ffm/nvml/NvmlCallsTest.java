package dev.zeusd.ffm.nvml;

import static dev.zeusd.testkit.nvml.FakeNvml.Call.*;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.testkit.nvml.FakeGpu;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import dev.zeusd.testkit.nvml.FakeNvml.Clocks;
import dev.zeusd.testkit.nvml.FakeNvml.Oddity;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every call, its values and its errors, against the fake library. */
class NvmlCallsTest {
  /** Not 0, so that a call on the wrong device is noticed. */
  private static final int INDEX = 2;

  private final FakeNvml nvml = FakeNvml.inProcess();
  private final FakeGpu gpu = nvml.gpu(INDEX);
  private NvmlLibrary library;
  private NvmlDevice device;

  @BeforeEach
  void open() throws NvmlException {
    nvml.reset();
    gpu.moduleScope(true).migMode(FakeGpu.MigMode.OFF);
    library = NvmlLibrary.open();
    device = library.device(INDEX);
  }

  @AfterEach
  void close() {
    library.close();
  }

  @Test
  void libraryTellsCountAndVersion() throws NvmlException {
    nvml.deviceCount(7).driverVersion("611.42.07");
    assertEquals(7, library.deviceCount());
    assertEquals("611.42.07", library.driverVersion());
  }

  @Test
  void longestTextsFit() throws NvmlException {
    nvml.driverVersion("9".repeat(79));
    gpu.name("N".repeat(95));
    assertEquals("9".repeat(79), library.driverVersion());
    assertEquals("N".repeat(95), device.name());
  }

  @Test
  void deviceTellsWhoItIs() throws NvmlException {
    gpu.name("NVIDIA H100 80GB HBM3").uuid("GPU-12345678-aaaa-bbbb-cccc-0123456789ab");
    gpu.pci(0x10002, 0xfe, 0x1f);
    assertEquals("NVIDIA H100 80GB HBM3", device.name());
    assertEquals("GPU-12345678-aaaa-bbbb-cccc-0123456789ab", device.uuid());
    assertEquals(new NvmlDevice.PciAddress(0x10002, 0xfe, 0x1f), device.pciAddress());
  }

  @Test
  void domainIsUnsigned() throws NvmlException {
    gpu.pci(0xfedcba98, 1, 2);
    assertEquals(0xfedcba98L, device.pciAddress().domain());
  }

  @Test
  void powerAndEnergyAreRead() throws NvmlException {
    gpu.powerMw(123_457).energyMj(9_876_543_210L);
    assertEquals(123_457, device.instantPowerMw());
    assertEquals(123_457, device.powerUsageMw());
    assertEquals(9_876_543_210L, device.totalEnergyMj());
    assertEquals(1, gpu.calls(GET_FIELD_VALUES));
    assertEquals(1, gpu.calls(GET_POWER_USAGE));
  }

  @Test
  void limitsAreRead() throws NvmlException {
    gpu.powerLimitMw(250_001).powerLimits(100_002, 300_003, 400_004);
    assertEquals(250_001, device.powerLimitMw());
    assertEquals(300_003, device.defaultPowerLimitMw());
    assertEquals(new NvmlDevice.Range(100_002, 400_004), device.powerLimitsMw());
  }

  @Test
  void settersReachTheirDevice() throws NvmlException {
    device.setPowerLimitMw(234_567);
    assertEquals(234_567, gpu.powerLimitMw());
    device.setPersistenceMode(true);
    assertTrue(gpu.persistenceMode());
    assertTrue(device.persistenceMode());
    device.setPersistenceMode(false);
    assertFalse(gpu.persistenceMode());
    assertFalse(device.persistenceMode());
    device.setGpuLockedClocksMhz(301, 1502);
    device.setMemoryLockedClocksMhz(503, 2004);
    assertEquals(new Clocks(301, 1502), gpu.gpuLockedClocks());
    assertEquals(new Clocks(503, 2004), gpu.memLockedClocks());
    device.resetGpuLockedClocks();
    assertEquals(new Clocks(0, 0), gpu.gpuLockedClocks());
    assertEquals(new Clocks(503, 2004), gpu.memLockedClocks());
    device.resetMemoryLockedClocks();
    assertEquals(new Clocks(0, 0), gpu.memLockedClocks());
    assertEquals(300_000, nvml.gpu(INDEX - 1).powerLimitMw());
  }

  @Test
  void valuesAbove31BitsAreWrittenAsTheyAre() throws NvmlException {
    gpu.powerLimits(0, 1, -1);
    device.setPowerLimitMw(3_999_999_999L);
    assertEquals((int) 3_999_999_999L, gpu.powerLimitMw());
    gpu.gpuClockRange(0, -1).memClockRange(0, -1);
    device.setGpuLockedClocksMhz(1, 0xffff_fffeL);
    assertEquals(new Clocks(1, -2), gpu.gpuLockedClocks());
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "9223372036854775807, 9223372036854775807",
    "-9223372036854775808, 9223372036854775808",
    "-1, 18446744073709551615"
  })
  void energyHas64UnsignedBits(long bits, String printed) throws NvmlException {
    gpu.energyMj(bits);
    assertEquals(printed, Long.toUnsignedString(device.totalEnergyMj()));
  }

  /** The types by NVML's numbers: double, u32, unsigned long, u64, i64, i32, u16. */
  @ParameterizedTest
  @CsvSource({
    "0, 3000000001",
    "1, 3000000001",
    "2, 3000000001",
    "3, 3000000001",
    "4, 3000000001",
    "5, 700001",
    "6, 65534",
    "6, 40000"
  })
  void instantPowerOfEveryType(int type, long powerMw) throws NvmlException {
    gpu.instantPowerType(type).powerMw(powerMw);
    assertEquals(powerMw, device.instantPowerMw());
  }

  @Test
  void anUnknownTypeIsAnErrorAndNotANumber() {
    gpu.instantPowerType(99);
    NvmlException e = assertThrows(NvmlException.class, device::instantPowerMw);
    assertEquals(NvmlReturn.UNKNOWN, e.result());
    assertTrue(e.getMessage().contains("99"), e.getMessage());
  }

  @Test
  void theFieldHasAResultOfItsOwn() throws NvmlException {
    gpu.instantPowerSupported(false);
    NvmlException e = assertThrows(NvmlException.class, device::instantPowerMw);
    assertEquals(NvmlReturn.NOT_SUPPORTED, e.result());
    assertEquals(75_000 + 10_000 * INDEX, device.powerUsageMw());
    gpu.instantPowerReturn(999);
    assertEquals(
        NvmlReturn.UNKNOWN, assertThrows(NvmlException.class, device::instantPowerMw).result());
    // What an earlier read left in the struct must not count as this one's result.
    gpu.instantPowerReturn(0).error(GET_FIELD_VALUES, 4);
    assertEquals(
        NvmlReturn.NO_PERMISSION,
        assertThrows(NvmlException.class, device::instantPowerMw).result());
    gpu.error(GET_FIELD_VALUES, 0);
    assertEquals(75_000 + 10_000 * INDEX, device.instantPowerMw());
  }

  @Test
  void theModuleHasAPowerOfItsOwn() throws NvmlException {
    gpu.instantPowerReturn(2).powerMw(700_000);
    assertThrows(NvmlException.class, device::instantPowerMw);
    assertEquals(700_000, device.module().powerMw());
    gpu.moduleScope(false);
    assertThrows(NvmlException.class, device.module()::powerMw);
  }

  @Test
  void theModuleHasALimitOfItsOwn() throws NvmlException {
    gpu.moduleScope(true).modulePowerLimits(200_001, 900_000, 1_000_000);
    device.module().setPowerLimitMw(200_001);
    assertEquals(200_001, gpu.modulePowerLimitMw());
    assertEquals(200_001, device.module().powerLimitMw());
    assertEquals(900_000, device.module().defaultPowerLimitMw());
    assertEquals(300_000, gpu.powerLimitMw(), "the GPU's is another one");
    assertEquals(0, gpu.calls(SET_POWER_LIMIT));
    NvmlException refused =
        assertThrows(NvmlException.class, () -> device.module().setPowerLimitMw(200_000));
    assertEquals(NvmlReturn.INVALID_ARGUMENT, refused.result());
    gpu.error(SET_POWER_LIMIT_OF_SCOPE, 4);
    refused = assertThrows(NvmlException.class, () -> device.module().setPowerLimitMw(900_000));
    assertEquals(NvmlReturn.NO_PERMISSION, refused.result());
    assertEquals(3, gpu.calls(SET_POWER_LIMIT_OF_SCOPE));
    gpu.moduleScope(false);
    refused = assertThrows(NvmlException.class, () -> device.module().setPowerLimitMw(900_000));
    assertEquals(NvmlReturn.NOT_SUPPORTED, refused.result());
    assertEquals(3, gpu.calls(SET_POWER_LIMIT_OF_SCOPE), "not even asked");
  }

  @Test
  void clocksThatThereAre() throws NvmlException {
    gpu.gpuClockRange(211, 1981).memClockRange(406, 2620);
    assertEquals(new NvmlDevice.Range(211, 1981), device.gpuClocksMhz());
    assertEquals(new NvmlDevice.Range(406, 2620), device.memoryClocksMhz());
  }

  // ---- Values that are none ----

  /** The type, and the bits that the driver answers with. */
  @ParameterizedTest
  @CsvSource({
    "0, 0x7ff8000000000000", // NaN
    "0, 0x7ff0000000000000", // infinite
    "0, 0xfff0000000000000",
    "0, 0xc05edd2f1a9fbe77", // -123.456
    "0, 0x7fefffffffffffff", // the greatest there is
    "1, 0xffffffff",
    "1, 0xfffffffe",
    "1, 0x7fffffff",
    "2, 0xffffffffffffffff",
    "3, 0x8000000000000000",
    "3, 0x00000000ffffffff",
    "3, 0x0000000100000000",
    "4, 0x7fffffffffffffff",
    "4, 0xffffffffffffffff",
    "4, 0xfffffffffffffc18", // -1000
    "5, 0xffffffff",
    "5, 0x80000000",
    "6, 0xffff",
    "99, 75000",
    "-1, 75000"
  })
  void aPowerThatNothingDrawsIsAFailedRead(int type, String bits) throws NvmlException {
    gpu.instantPowerType(type).oddity(GET_FIELD_VALUES, Oddity.BITS).oddBits(decode(bits));
    for (Executable read : List.<Executable>of(device::instantPowerMw, device.module()::powerMw)) {
      NvmlException e = assertThrows(NvmlException.class, read);
      assertEquals(NvmlReturn.UNKNOWN, e.result());
      assertTrue(e.getMessage().startsWith("reading the power: the driver answers with "), "" + e);
    }
    gpu.oddity(GET_FIELD_VALUES, Oddity.NORMAL).instantPowerType(1);
    assertEquals(75_000 + 10_000 * INDEX, device.instantPowerMw());
  }

  private static long decode(String bits) {
    return bits.startsWith("0x")
        ? Long.parseUnsignedLong(bits.substring(2), 16)
        : Long.parseLong(bits);
  }

  @ParameterizedTest
  @ValueSource(longs = {0xffff_ffffL, 0xffff_fffeL, 0x7fff_ffffL})
  void neitherIsOneOfTheOtherReading(long bits) {
    gpu.oddity(GET_POWER_USAGE, Oddity.BITS).oddBits(bits);
    assertThrows(NvmlException.class, device::powerUsageMw);
  }

  @ParameterizedTest
  @ValueSource(longs = {0x8000_0000L, 0x8000_0001L, 0xffff_fffeL})
  void aSettingOrClockThatNothingHasIsNoAnswer(long bits) throws NvmlException {
    Map<Call, Executable> readers =
        Map.of(
            GET_POWER_LIMIT, device::powerLimitMw,
            GET_DEFAULT_POWER_LIMIT, device::defaultPowerLimitMw,
            GET_POWER_LIMIT_CONSTRAINTS, device::powerLimitsMw,
            GET_ENFORCED_POWER_LIMIT, device.sensors()::enforcedPowerLimitMw,
            GET_CLOCK, device.sensors()::smClockMhz,
            GET_PERFORMANCE_STATE, device.sensors()::performanceState);
    for (Map.Entry<Call, Executable> reader : readers.entrySet()) {
      gpu.oddity(reader.getKey(), Oddity.BITS).oddBits(bits);
      NvmlException e =
          assertThrows(NvmlException.class, reader.getValue(), reader.getKey().name());
      assertEquals(NvmlReturn.UNKNOWN, e.result());
      assertTrue(e.getMessage().contains("answers with " + bits + ", which is no value"), "" + e);
      gpu.oddity(reader.getKey(), Oddity.NORMAL);
    }
  }

  /** An answer that the driver does not write, or that has all bits set, is none. */
  @ParameterizedTest
  @EnumSource(
      value = Oddity.class,
      names = {"WRITES_NOTHING", "ALL_BITS"})
  void whatTheDriverLeavesUntouchedIsNoAnswer(Oddity oddity) throws NvmlException {
    device.uuid();
    List<Function> readers = functions().filter(function -> function.name.contains("Get")).toList();
    for (Function function : readers) {
      function.body.run(device);
      if (function.call == GET_TOTAL_ENERGY && oddity == Oddity.ALL_BITS) {
        continue; // an energy like others
      }
      gpu.oddity(function.call, oddity);
      NvmlException e =
          assertThrows(NvmlException.class, () -> function.body.run(device), function.method);
      assertEquals(NvmlReturn.UNKNOWN, e.result(), function.method);
      gpu.oddity(function.call, Oddity.NORMAL);
      function.body.run(device);
    }
    for (Call call : List.of(GET_COUNT, GET_DRIVER_VERSION)) {
      nvml.oddity(call, oddity);
    }
    assertThrows(NvmlException.class, library::deviceCount);
    assertThrows(NvmlException.class, library::driverVersion);
  }

  @Test
  void textsWithoutAZeroEndWithTheirBuffers() throws NvmlException {
    nvml.oddity(GET_NAME, Oddity.NO_ZERO).oddity(GET_DRIVER_VERSION, Oddity.NO_ZERO);
    assertEquals("x".repeat(96), device.name());
    assertEquals("x".repeat(80), library.driverVersion());
  }

  @Test
  void textsAreMadeReadable() throws NvmlException {
    gpu.name("A\tB\u001b[2J \u00e9 ");
    assertEquals("A?B?[2J \u00e9", device.name());
    // What is no UTF-8.
    gpu.oddity(GET_NAME, Oddity.BITS).oddBits(0x4241ff4241L);
    assertEquals("AB?AB", device.name());
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, Integer.MAX_VALUE, Integer.MIN_VALUE, 257, 1 << 20})
  void moreGpusThanAnyMachineHasAreNone(int count) {
    nvml.deviceCount(count);
    NvmlException e = assertThrows(NvmlException.class, library::deviceCount);
    assertTrue(e.getMessage().contains(Integer.toUnsignedString(count) + " GPUs"), e.getMessage());
    assertThrows(NvmlException.class, library::uuids);
  }

  @Test
  void aHandleThatIsNotGivenIsNotUsed() {
    nvml.gpu(1).oddity(GET_HANDLE_BY_INDEX, Oddity.WRITES_NOTHING);
    NvmlException e = assertThrows(NvmlException.class, library.device(1)::powerUsageMw);
    assertTrue(e.getMessage().contains("no handle"), e.getMessage());
    assertEquals(0, nvml.gpu(1).calls(GET_POWER_USAGE));
  }

  // ---- Errors ----

  interface Body {
    void run(NvmlDevice device) throws NvmlException;
  }

  /** A method of NvmlDevice, NVML's function behind it, and the fake's number for that. */
  record Function(String method, String name, Call call, Body body) {
    @Override
    public String toString() {
      return method;
    }
  }

  static Stream<Function> functions() {
    return Stream.of(
        new Function("name", "nvmlDeviceGetName", GET_NAME, NvmlDevice::name),
        new Function("index", "nvmlDeviceGetName", GET_NAME, NvmlDevice::index),
        new Function("uuid", "nvmlDeviceGetUUID", GET_UUID, NvmlDevice::uuid),
        new Function("pciAddress", "nvmlDeviceGetPciInfo_v3", GET_PCI_INFO, NvmlDevice::pciAddress),
        new Function(
            "instantPowerMw",
            "nvmlDeviceGetFieldValues",
            GET_FIELD_VALUES,
            NvmlDevice::instantPowerMw),
        new Function(
            "module",
            "nvmlDeviceGetFieldValues",
            GET_FIELD_VALUES,
            device -> device.module().powerMw()),
        new Function(
            "mig", "nvmlDeviceGetMigMode", GET_MIG_MODE, device -> device.mig().isEnabled()),
        new Function(
            "powerUsageMw", "nvmlDeviceGetPowerUsage", GET_POWER_USAGE, NvmlDevice::powerUsageMw),
        new Function(
            "totalEnergyMj",
            "nvmlDeviceGetTotalEnergyConsumption",
            GET_TOTAL_ENERGY,
            NvmlDevice::totalEnergyMj),
        new Function(
            "powerLimitMw",
            "nvmlDeviceGetPowerManagementLimit",
            GET_POWER_LIMIT,
            NvmlDevice::powerLimitMw),
        new Function(
            "powerLimitsMw",
            "nvmlDeviceGetPowerManagementLimitConstraints",
            GET_POWER_LIMIT_CONSTRAINTS,
            NvmlDevice::powerLimitsMw),
        new Function(
            "defaultPowerLimitMw",
            "nvmlDeviceGetPowerManagementDefaultLimit",
            GET_DEFAULT_POWER_LIMIT,
            NvmlDevice::defaultPowerLimitMw),
        new Function(
            "persistenceMode",
            "nvmlDeviceGetPersistenceMode",
            GET_PERSISTENCE_MODE,
            NvmlDevice::persistenceMode),
        new Function(
            "setPowerLimitMw",
            "nvmlDeviceSetPowerManagementLimit",
            SET_POWER_LIMIT,
            device -> device.setPowerLimitMw(200_000)),
        new Function(
            "setPersistenceMode",
            "nvmlDeviceSetPersistenceMode",
            SET_PERSISTENCE_MODE,
            device -> device.setPersistenceMode(true)),
        new Function(
            "setGpuLockedClocksMhz",
            "nvmlDeviceSetGpuLockedClocks",
            SET_GPU_LOCKED_CLOCKS,
            device -> device.setGpuLockedClocksMhz(300, 400)),
        new Function(
            "setMemoryLockedClocksMhz",
            "nvmlDeviceSetMemoryLockedClocks",
            SET_MEM_LOCKED_CLOCKS,
            device -> device.setMemoryLockedClocksMhz(500, 600)),
        new Function(
            "resetGpuLockedClocks",
            "nvmlDeviceResetGpuLockedClocks",
            RESET_GPU_LOCKED_CLOCKS,
            NvmlDevice::resetGpuLockedClocks),
        new Function(
            "resetMemoryLockedClocks",
            "nvmlDeviceResetMemoryLockedClocks",
            RESET_MEM_LOCKED_CLOCKS,
            NvmlDevice::resetMemoryLockedClocks),
        new Function(
            "memoryClocksMhz",
            "nvmlDeviceGetSupportedMemoryClocks",
            GET_SUPPORTED_MEM_CLOCKS,
            NvmlDevice::memoryClocksMhz));
  }

  @Test
  void theTableAboveHasEveryMethod() {
    Set<String> tested = functions().map(Function::method).collect(Collectors.toSet());
    Set<String> methods =
        Arrays.stream(NvmlDevice.class.getDeclaredMethods())
            .filter(method -> Modifier.isPublic(method.getModifiers()))
            .map(Method::getName)
            .collect(Collectors.toSet());
    methods.removeAll(Set.of("knownUuid", "isGone", "sensors")); // make no call
    methods.remove("gpuClocksMhz"); // makes two
    assertEquals(methods, tested);
  }

  @ParameterizedTest
  @MethodSource("functions")
  void eachMethodMakesOneCallAndNamesItInItsError(Function function) throws NvmlException {
    device.uuid(); // the handle is known from here on
    long before = nvml.totalCalls();
    function.body.run(device);
    assertEquals(1, nvml.totalCalls() - before);
    assertEquals(INDEX, lastCall().device());
    assertEquals(function.call, lastCall().call());
    gpu.error(function.call, 4);
    NvmlException e = assertThrows(NvmlException.class, () -> function.body.run(device));
    assertEquals(NvmlReturn.NO_PERMISSION, e.result());
    assertTrue(
        e.getMessage().endsWith(" (" + function.name + ": NVML_ERROR_NO_PERMISSION)"),
        e.getMessage());
    assertTrue(
        e.getMessage().contains(": zeusd lacks the privilege; run it as root"), e.getMessage());
    assertEquals(2, nvml.totalCalls() - before, "a lasting error is not tried again");
  }

  private FakeNvml.CallRecord lastCall() {
    List<FakeNvml.CallRecord> history = nvml.history();
    return history.get(history.size() - 1);
  }

  static IntStream codes() {
    return IntStream.concat(IntStream.rangeClosed(1, 30), IntStream.of(77, 999));
  }

  @ParameterizedTest
  @MethodSource("codes")
  void everyCodeOfEveryCallBecomesItsResult(int code) throws NvmlException {
    device.uuid();
    for (Function function : functions().toList()) {
      assertFailsAs(function.name, function.call, code, () -> function.body.run(device));
      function.body.run(device);
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {99_999, 400_001, 0xffff_ffffL})
  void theDeviceRefusesALimitOutOfRange(long limitMw) {
    NvmlException e = assertThrows(NvmlException.class, () -> device.setPowerLimitMw(limitMw));
    assertEquals(NvmlReturn.INVALID_ARGUMENT, e.result());
    assertEquals(300_000, gpu.powerLimitMw());
  }

  @ParameterizedTest
  @MethodSource("codes")
  void everyCodeOfTheLibrarysOwnCallsBecomesItsResult(int code) throws NvmlException {
    assertFailsAs("nvmlDeviceGetCount_v2", GET_COUNT, code, library::deviceCount);
    assertFailsAs("nvmlSystemGetDriverVersion", GET_DRIVER_VERSION, code, library::driverVersion);
    if (code == 2) {
      gpu.error(GET_HANDLE_BY_INDEX, code);
      NvmlException e = assertThrows(NvmlException.class, device::name);
      assertEquals(NvmlReturn.GPU_NOT_FOUND, e.result(), "an index that there is not");
    } else {
      assertFailsAs("nvmlDeviceGetHandleByIndex_v2", GET_HANDLE_BY_INDEX, code, device::name);
    }
    assertFailsAs("nvmlInit_v2", INIT, code, NvmlLibrary::open);
  }

  private void assertFailsAs(String function, Call call, int code, Executable body)
      throws NvmlException {
    nvml.error(call, code);
    NvmlException e = assertThrows(NvmlException.class, body);
    nvml.error(call, 0);
    NvmlReturn expected = NvmlReturn.of(code);
    String number = expected == NvmlReturn.UNKNOWN && code != 999 ? " " + code : "";
    String technical = " (" + function + ": " + expected.nvmlName() + number + ")";
    assertTrue(e.getMessage().endsWith(expected.meaning() + technical), e.getMessage());
    assertEquals(expected, e.result());
  }

  @Test
  void closeShutsDownOnceAndLaterCallsFailCleanly() throws NvmlException {
    device.name();
    long before = nvml.calls(SHUTDOWN);
    library.close();
    library.close();
    assertEquals(1, nvml.calls(SHUTDOWN) - before);
    long inits = nvml.calls(INIT);
    assertThrows(NvmlException.class, device::name);
    assertThrows(NvmlException.class, library::deviceCount);
    assertEquals(inits, nvml.calls(INIT), "a closed library is not initialised again");
  }
}
