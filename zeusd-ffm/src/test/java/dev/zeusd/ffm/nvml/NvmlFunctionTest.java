package dev.zeusd.ffm.nvml;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.zeusd.ffm.nvml.raw.Nvml;
import dev.zeusd.testkit.nvml.FakeNvmlLibrary;
import java.lang.foreign.FunctionDescriptor;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The descriptors that stand twice are the same. jextract's are checked against nvml.h, and that
 * against NVIDIA's.
 */
class NvmlFunctionTest {
  static {
    // jextract's class looks its functions up when their descriptors are asked for.
    System.load(FakeNvmlLibrary.directory().resolve("libnvidia-ml.so.1").toString());
  }

  @ParameterizedTest
  @EnumSource
  void isCalledAsJextractCallsIt(NvmlFunction function) throws ReflectiveOperationException {
    Method generated = Nvml.class.getMethod(function.symbol() + "$descriptor");
    FunctionDescriptor expected = (FunctionDescriptor) generated.invoke(null);
    // The layouts of what pointers lead to are of no account.
    assertEquals(expected.toMethodType(), function.descriptor().toMethodType());
  }

  @Test
  void isEveryFunctionOfTheHeader() {
    Set<String> generated =
        Arrays.stream(Nvml.class.getMethods())
            .map(Method::getName)
            .filter(name -> name.endsWith("$descriptor"))
            .map(name -> name.replace("$descriptor", ""))
            .collect(Collectors.toCollection(TreeSet::new));
    generated.remove("nvmlErrorString"); // NvmlReturn has words of its own
    Set<String> ours =
        Arrays.stream(NvmlFunction.values())
            .map(NvmlFunction::symbol)
            .collect(Collectors.toCollection(TreeSet::new));
    assertEquals(generated, ours);
  }
}
