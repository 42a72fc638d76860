package dev.zeusd.ffm.nvml;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.zeusd.ffm.fake.ChildJvm;
import dev.zeusd.ffm.fake.FakeNvml;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is loaded, and what is missing: each in a JVM of its own. */
class NvmlLoadingTest {
  @TempDir Path folder;

  /** Opens the library twice and says how that ended. */
  static final class OpenTwice {
    public static void main(String[] args) {
      for (int i = 1; i <= 2; i++) {
        try (NvmlLibrary library = NvmlLibrary.open()) {
          System.out.println("open" + i + "=" + library.deviceCount() + " GPUs");
        } catch (NvmlException e) {
          System.out.println("open" + i + "=" + e.result());
          System.out.println("message" + i + "=" + e.getMessage());
        }
      }
    }
  }

  @Test
  void withoutALibraryOpenSaysSo() throws Exception {
    ChildJvm.Result child = ChildJvm.run(OpenTwice.class, Map.of());
    assumeFalse(child.output().contains("GPUs"), "this machine has a real driver");
    assertEquals(0, child.exitCode(), child.output());
    for (int i = 1; i <= 2; i++) {
      assertEquals("LIBRARY_NOT_FOUND", child.value("open" + i), child.output());
      String message = child.value("message" + i);
      assertTrue(message.startsWith("libnvidia-ml.so.1 cannot be loaded ("), message);
    }
  }

  @Test
  void aFileThatIsNoLibraryIsNotALibrary() throws Exception {
    Files.writeString(folder.resolve("libnvidia-ml.so.1"), "not ELF");
    ChildJvm.Result child =
        ChildJvm.run(OpenTwice.class, Map.of("LD_LIBRARY_PATH", folder.toString()));
    assumeFalse(child.output().contains("GPUs"), "this machine has a real driver");
    assertEquals(0, child.exitCode(), child.output());
    assertEquals("LIBRARY_NOT_FOUND", child.value("open1"), child.output());
  }

  @Test
  void libraryPathLeadsToTheLibrary() throws Exception {
    ChildJvm.Result child =
        ChildJvm.run(
            OpenTwice.class,
            Map.of(
                "LD_LIBRARY_PATH", FakeNvml.libraryDirectory().toString(), "FAKE_NVML_GPUS", "3"));
    assertEquals(0, child.exitCode(), child.output());
    assertEquals("3 GPUs", child.value("open1"));
    assertEquals("3 GPUs", child.value("open2"));
  }

  @Test
  void theNameWithoutVersionWillDo() throws Exception {
    Files.copy(
        FakeNvml.libraryDirectory().resolve("libnvidia-ml.so.1"),
        folder.resolve("libnvidia-ml.so"));
    ChildJvm.Result child =
        ChildJvm.run(
            OpenTwice.class, Map.of("LD_LIBRARY_PATH", folder.toString(), "FAKE_NVML_GPUS", "5"));
    assertEquals(0, child.exitCode(), child.output());
    assertEquals("5 GPUs", child.value("open1"));
  }

  /** Makes each call of an NVML device twice: what is missing fails the same way again. */
  static final class AllCalls {
    public static void main(String[] args) throws NvmlException {
      NvmlLibrary library = NvmlLibrary.open();
      NvmlDevice device = library.device(0);
      NvmlCallsTest.functions()
          .forEach(
              function -> {
                for (int i = 1; i <= 2; i++) {
                  System.out.println(function.name() + i + "=" + result(function, device));
                }
              });
    }

    private static String result(NvmlCallsTest.Function function, NvmlDevice device) {
      try {
        function.body().run(device);
        return "worked";
      } catch (NvmlException e) {
        return e.result() + " " + e.getMessage();
      }
    }
  }

  @Test
  void anOldDriverLosesOnlyWhatItLacks() throws Exception {
    FakeNvml.buildWithout(FakeNvml.YOUNG_FUNCTIONS, folder);
    ChildJvm.Result child =
        ChildJvm.run(AllCalls.class, Map.of("LD_LIBRARY_PATH", folder.toString()));
    assertEquals(0, child.exitCode(), child.output());
    Map<String, String> expected = new TreeMap<>();
    Map<String, String> actual = new TreeMap<>();
    NvmlCallsTest.functions()
        .map(NvmlCallsTest.Function::name)
        .forEach(
            name -> {
              for (int i = 1; i <= 2; i++) {
                expected.put(
                    name + i,
                    FakeNvml.YOUNG_FUNCTIONS.contains(name)
                        ? "FUNCTION_NOT_FOUND "
                            + name
                            + ": the installed NVIDIA driver does not have this function"
                        : "worked");
                actual.put(name + i, child.value(name + i));
              }
            });
    assertEquals(expected, actual);
  }
}
