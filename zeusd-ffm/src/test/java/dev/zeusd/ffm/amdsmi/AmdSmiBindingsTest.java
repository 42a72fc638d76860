package dev.zeusd.ffm.amdsmi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.ffm.amdsmi.raw.AmdSmi;
import dev.zeusd.ffm.fake.FakeAmdSmi;
import dev.zeusd.ffm.fake.FakeAmdSmi.Call;
import java.lang.foreign.FunctionDescriptor;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * What stands twice is the same. jextract's is checked against amdsmi.h, and that against what AMD
 * has published.
 */
class AmdSmiBindingsTest {
  static {
    // jextract's class looks its functions up when their descriptors are asked for.
    System.load(FakeAmdSmi.inProcess(26).libraryDirectory().resolve("libamd_smi.so.26").toString());
  }

  @ParameterizedTest
  @EnumSource
  void isCalledAsJextractCallsIt(AmdSmiFunction function) throws ReflectiveOperationException {
    Method generated = AmdSmi.class.getMethod(function.symbol() + "$descriptor");
    FunctionDescriptor expected = (FunctionDescriptor) generated.invoke(null);
    assertEquals(expected.toMethodType(), function.descriptor().toMethodType());
  }

  @Test
  void isEveryFunctionOfTheHeaderAndOfTheFake() {
    Set<String> generated =
        Arrays.stream(AmdSmi.class.getMethods())
            .map(Method::getName)
            .filter(name -> name.endsWith("$descriptor"))
            .map(name -> name.replace("$descriptor", ""))
            .collect(Collectors.toCollection(TreeSet::new));
    Set<String> ours =
        Arrays.stream(AmdSmiFunction.values())
            .map(AmdSmiFunction::symbol)
            .collect(Collectors.toCollection(TreeSet::new));
    assertEquals(generated, ours);
    assertEquals(
        Arrays.stream(Call.values()).map(Enum::name).toList(),
        Arrays.stream(AmdSmiFunction.values()).map(Enum::name).toList());
  }

  @Test
  void statusCodesEqualTheGeneratedConstants() throws ReflectiveOperationException {
    Map<String, Integer> generated = new HashMap<>();
    for (Method method : AmdSmi.class.getMethods()) {
      if (method.getName().startsWith("AMDSMI_STATUS_") && method.getParameterCount() == 0) {
        generated.put(method.getName(), (Integer) method.invoke(null));
      }
    }
    assertTrue(generated.size() > 25, generated.toString());
    for (AmdSmiStatus status : AmdSmiStatus.values()) {
      if (status.code() >= 0) {
        assertEquals(generated.remove(status.amdName()), status.code(), status.amdName());
      }
    }
    assertEquals(Map.of(), generated, "each has words");
    for (int code : new int[] {-1, -2, 20, 44, 55, 1000}) {
      assertEquals(AmdSmiStatus.UNKNOWN, AmdSmiStatus.of(code), "code " + code);
    }
  }
}
