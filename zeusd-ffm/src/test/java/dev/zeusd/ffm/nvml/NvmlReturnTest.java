package dev.zeusd.ffm.nvml;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.ffm.nvml.raw.Nvml;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The codes that stand twice are the same. */
class NvmlReturnTest {
  private static final Map<String, Integer> GENERATED = new HashMap<>();

  @BeforeAll
  static void readGeneratedConstants() throws ReflectiveOperationException {
    for (Method method : Nvml.class.getMethods()) {
      boolean isResult =
          method.getName().startsWith("NVML_ERROR_") || method.getName().equals("NVML_SUCCESS");
      if (isResult && Modifier.isStatic(method.getModifiers()) && method.getParameterCount() == 0) {
        GENERATED.put(method.getName(), (Integer) method.invoke(null));
      }
    }
    assertTrue(GENERATED.size() >= 32, "found too few constants: " + GENERATED);
  }

  @Test
  void codesEqualTheGeneratedConstants() {
    for (NvmlReturn value : NvmlReturn.values()) {
      assertEquals(GENERATED.get(value.nvmlName()), value.code(), value.nvmlName());
    }
  }

  @Test
  void everyGeneratedConstantIsNamed() {
    GENERATED.forEach((name, code) -> assertEquals(name, NvmlReturn.of(code).nvmlName()));
  }

  /** A bare code is no message. */
  @Test
  void eachSaysWhatItMeans() {
    Set<String> meanings = new TreeSet<>();
    for (NvmlReturn value : NvmlReturn.values()) {
      assertTrue(value.meaning().matches("(?!.*NVML_).{8,}"), value.toString());
      assertTrue(meanings.add(value.meaning()), value.toString());
    }
  }

  @Test
  void codesOfFutureDriversAreUnknown() {
    for (int code : new int[] {-1, 31, 500, 998, 1000, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
      assertEquals(NvmlReturn.UNKNOWN, NvmlReturn.of(code), "code " + code);
    }
  }
}
