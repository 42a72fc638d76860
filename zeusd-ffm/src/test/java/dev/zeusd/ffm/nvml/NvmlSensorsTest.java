package dev.zeusd.ffm.nvml;

import static dev.zeusd.testkit.nvml.FakeNvml.Call.*;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.ffm.fake.ChildJvm;
import dev.zeusd.testkit.nvml.FakeGpu;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import dev.zeusd.testkit.nvml.FakeNvml.Oddity;
import dev.zeusd.testkit.nvml.FakeNvmlLibrary;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** How a GPU is doing, reading by reading, against the fake library. */
class NvmlSensorsTest {
  /** Not 0, so that a call on the wrong device is noticed. */
  private static final int INDEX = 3;

  private final FakeNvml nvml = FakeNvml.inProcess();
  private final FakeGpu gpu = nvml.gpu(INDEX);
  private NvmlLibrary library;
  private NvmlSensors sensors;

  @TempDir Path folder;

  @BeforeEach
  void open() throws NvmlException {
    nvml.reset();
    library = NvmlLibrary.open();
    sensors = library.device(INDEX).sensors();
  }

  @AfterEach
  void close() {
    library.close();
  }

  /** A reading, and the calls that it can be made by: the second where there is no first. */
  record Reading(String name, Body body, Set<Call> calls) {
    interface Body {
      Object read(NvmlSensors sensors) throws NvmlException;
    }

    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Reading> readings() {
    return Stream.of(
        new Reading(
            "enforcedPowerLimitMw",
            NvmlSensors::enforcedPowerLimitMw,
            EnumSet.of(GET_ENFORCED_POWER_LIMIT)),
        new Reading(
            "temperatureC",
            NvmlSensors::temperatureC,
            EnumSet.of(GET_TEMPERATURE_V, GET_TEMPERATURE)),
        new Reading(
            "memoryTemperatureC", NvmlSensors::memoryTemperatureC, EnumSet.of(GET_FIELD_VALUES)),
        new Reading("smClockMhz", NvmlSensors::smClockMhz, EnumSet.of(GET_CLOCK)),
        new Reading("memClockMhz", NvmlSensors::memClockMhz, EnumSet.of(GET_CLOCK)),
        new Reading("utilization", NvmlSensors::utilization, EnumSet.of(GET_UTILIZATION)),
        new Reading("memory", NvmlSensors::memory, EnumSet.of(GET_MEMORY)),
        new Reading(
            "clocksEventReasons",
            NvmlSensors::clocksEventReasons,
            EnumSet.of(GET_EVENT_REASONS, GET_THROTTLE_REASONS)),
        new Reading(
            "performanceState", NvmlSensors::performanceState, EnumSet.of(GET_PERFORMANCE_STATE)));
  }

  @Test
  void theTableAboveHasEveryMethod() {
    Set<String> methods =
        Arrays.stream(NvmlSensors.class.getDeclaredMethods())
            .filter(method -> Modifier.isPublic(method.getModifiers()))
            .map(Method::getName)
            .collect(Collectors.toSet());
    assertEquals(methods, readings().map(Reading::name).collect(Collectors.toSet()));
  }

  @Test
  void eachReadsItsOwn() throws NvmlException {
    gpu.temperaturesC(61, 72)
        .clocksMhz(1234, 987)
        .utilizationPct(34, 56)
        .memoryBytes(5_000_000_001L, 80L << 30, 77)
        .clocksEventReasons(4 | 32)
        .performanceState(2)
        .powerLimitMw(250_000);
    assertEquals(61, sensors.temperatureC());
    assertEquals(72, sensors.memoryTemperatureC());
    assertEquals(1234, sensors.smClockMhz());
    assertEquals(987, sensors.memClockMhz());
    assertEquals(new NvmlSensors.Utilization(34, 56), sensors.utilization());
    assertEquals(new NvmlSensors.Memory(5_000_000_001L, 80L << 30), sensors.memory());
    assertEquals(
        EnumSet.of(ClocksEventReason.SW_POWER_CAP, ClocksEventReason.SW_THERMAL_SLOWDOWN),
        sensors.clocksEventReasons());
    assertEquals(2, sensors.performanceState());
    assertEquals(250_000, sensors.enforcedPowerLimitMw());
    gpu.outsidePowerLimitMw(180_000);
    assertEquals(180_000, sensors.enforcedPowerLimitMw());
  }

  @Test
  void itMayBeFreezing() throws NvmlException {
    gpu.temperaturesC(-7, -12);
    assertEquals(-7, sensors.temperatureC());
    assertEquals(-12, sensors.memoryTemperatureC());
  }

  @Test
  void everyBitHasAName() throws NvmlException {
    gpu.clocksEventReasons(0);
    assertEquals(Set.of(), sensors.clocksEventReasons());
    gpu.clocksEventReasons(0x7ff);
    assertEquals(
        EnumSet.complementOf(EnumSet.of(ClocksEventReason.OTHER)), sensors.clocksEventReasons());
    gpu.clocksEventReasons(1L << 40 | 1);
    assertEquals(
        EnumSet.of(ClocksEventReason.GPU_IDLE, ClocksEventReason.OTHER),
        sensors.clocksEventReasons());
  }

  @ParameterizedTest
  @MethodSource("readings")
  void aFailureIsNamedAfterItsCall(Reading reading) throws NvmlException {
    reading.body.read(sensors);
    reading.calls.forEach(call -> gpu.error(call, 999));
    NvmlException e = assertThrows(NvmlException.class, () -> reading.body.read(sensors));
    assertEquals(NvmlReturn.UNKNOWN, e.result());
    assertTrue(e.getMessage().endsWith("NVML_ERROR_UNKNOWN)"), e.getMessage());
    reading.calls.forEach(call -> gpu.error(call, 0));
    reading.body.read(sensors);
  }

  @ParameterizedTest
  @CsvSource({"GET_TEMPERATURE_V,13", "GET_TEMPERATURE_V,3", "GET_TEMPERATURE_V,25"})
  void theOldCallIsMadeWhereTheNewOneIsNot(Call call, int nvmlReturn) throws NvmlException {
    gpu.temperaturesC(55, 66).clocksEventReasons(8).error(call, nvmlReturn);
    assertEquals(55, sensors.temperatureC());
    gpu.error(GET_EVENT_REASONS, 13);
    assertEquals(EnumSet.of(ClocksEventReason.HW_SLOWDOWN), sensors.clocksEventReasons());
  }

  @Test
  void theMemoryMayHaveNoSensor() {
    gpu.memoryTemperatureReturn(3);
    NvmlException e = assertThrows(NvmlException.class, sensors::memoryTemperatureC);
    assertEquals(NvmlReturn.NOT_SUPPORTED, e.result());
  }

  @ParameterizedTest
  @EnumSource(
      value = Oddity.class,
      names = {"WRITES_NOTHING", "ALL_BITS"})
  void anAnswerThatIsNoneIsNoValue(Oddity oddity) {
    for (Reading reading : readings().toList()) {
      reading.calls.forEach(call -> gpu.oddity(call, oddity));
      assertThrows(
          NvmlException.class, () -> reading.body.read(sensors), () -> reading + " " + oddity);
    }
  }

  @Test
  void whatCannotBeIsNoValue() {
    gpu.utilizationPct(101, 5);
    assertThrows(NvmlException.class, sensors::utilization);
    gpu.memoryBytes(81L << 30, 80L << 30, 0);
    assertThrows(NvmlException.class, sensors::memory);
    gpu.performanceState(32);
    assertThrows(NvmlException.class, sensors::performanceState);
    gpu.temperaturesC(1000, -300);
    assertThrows(NvmlException.class, sensors::temperatureC);
    assertThrows(NvmlException.class, sensors::memoryTemperatureC);
  }

  /** Makes each reading once. */
  static final class AllReadings {
    public static void main(String[] args) throws NvmlException {
      NvmlSensors sensors = NvmlLibrary.open().device(0).sensors();
      for (Reading reading : readings().toList()) {
        String result;
        try {
          result = String.valueOf(reading.body.read(sensors)).split(" ")[0];
        } catch (NvmlException e) {
          result = e.result().name();
        }
        System.out.println(reading.name + "=" + result);
      }
    }
  }

  @Test
  void anOldDriverLosesOnlyWhatItLacks() throws Exception {
    FakeNvmlLibrary.buildWithout(FakeNvmlLibrary.TELEMETRY_FUNCTIONS, folder);
    Map<String, String> environment = new HashMap<>();
    environment.put("LD_LIBRARY_PATH", folder.toString());
    ChildJvm.Result child = ChildJvm.run(AllReadings.class, environment);
    assertEquals(0, child.exitCode(), child.output());
    Map<String, String> expected = new TreeMap<>();
    Map<String, String> actual = new TreeMap<>();
    for (Reading reading : readings().toList()) {
      // A field of a call that older drivers have, too.
      boolean isThere = reading.calls.contains(GET_FIELD_VALUES);
      expected.put(reading.name, isThere ? "48" : "FUNCTION_NOT_FOUND");
      actual.put(reading.name, child.value(reading.name));
    }
    assertEquals(expected, actual);
  }
}
