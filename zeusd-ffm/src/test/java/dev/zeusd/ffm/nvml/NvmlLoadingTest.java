package dev.zeusd.ffm.nvml;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.zeusd.ffm.fake.ChildJvm;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvmlLibrary;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

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
      assertTrue(message.startsWith("libnvidia-ml.so.1 cannot be loaded; there is none"), message);
      assertTrue(message.contains("; install the NVIDIA driver"), message);
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
                "LD_LIBRARY_PATH", FakeNvmlLibrary.directory().toString(), "FAKE_NVML_GPUS", "3"));
    assertEquals(0, child.exitCode(), child.output());
    assertEquals("3 GPUs", child.value("open1"));
    assertEquals("3 GPUs", child.value("open2"));
  }

  /** It is usually a stub, which answers nothing and stays in the process for good. */
  @Test
  void theNameWithoutVersionIsNoDriver() throws Exception {
    FakeNvmlLibrary.build(folder.resolve("libnvidia-ml.so"), List.of());
    ChildJvm.Result child =
        ChildJvm.run(OpenTwice.class, Map.of("LD_LIBRARY_PATH", folder.toString()));
    assumeFalse(
        NvmlFile.candidates(Optional.empty()).count() > 1, "this machine has a real driver");
    assertEquals(0, child.exitCode(), child.output());
    assertEquals("LIBRARY_NOT_FOUND", child.value("open1"));
  }

  @Test
  void aLibraryNeedNotCarryItsName() throws Exception {
    FakeNvmlLibrary.build(folder.resolve("libnvidia-ml.so.1"), List.of());
    ChildJvm.Result child =
        ChildJvm.run(
            OpenTwice.class, Map.of("LD_LIBRARY_PATH", folder.toString(), "FAKE_NVML_GPUS", "5"));
    assertEquals(0, child.exitCode(), child.output());
    assertEquals("5 GPUs", child.value("open1"));
    assertEquals("5 GPUs", child.value("open2"));
  }

  /** Opens what is there, puts another library in its place, and opens that. */
  static final class OpenFailsThenAnother {
    public static void main(String[] args) throws Exception {
      OpenTwice.main(args);
      Path place = Path.of(System.getenv("LD_LIBRARY_PATH"), "libnvidia-ml.so.1");
      Files.move(place.resolveSibling("later"), place, StandardCopyOption.REPLACE_EXISTING);
      try (NvmlLibrary library = NvmlLibrary.open()) {
        System.out.println("later=" + library.deviceCount() + " GPUs");
      }
    }
  }

  /** A stub, a library of something else, one for another machine: nothing stays in the process. */
  @ParameterizedTest
  @ValueSource(strings = {"stub", "something else", "no library"})
  void whatFailsIsLetGoOf(String first) throws Exception {
    Path place = folder.resolve("libnvidia-ml.so.1");
    switch (first) {
      case "stub" -> FakeNvmlLibrary.buildNumber(7, folder);
      case "something else" ->
          FakeNvmlLibrary.build(
              place, List.of("-Wl,-soname,libnvidia-ml.so.1", "-DnvmlInit_v2=other"));
      default -> Files.writeString(place, "not ELF");
    }
    FakeNvmlLibrary.build(folder.resolve("later"), List.of("-Wl,-soname,libnvidia-ml.so.1"));
    FakeNvml nvml = FakeNvml.create(folder.resolve("state")).kernelNumber(1);
    Map<String, String> environment = new TreeMap<>(nvml.environment());
    environment.put("LD_LIBRARY_PATH", folder.toString());
    ChildJvm.Result child = ChildJvm.run(OpenFailsThenAnother.class, environment);
    assertEquals(0, child.exitCode(), child.output());
    assertEquals(
        first.equals("stub") ? "LIB_RM_VERSION_MISMATCH" : "LIBRARY_NOT_FOUND",
        child.value("open2"));
    assertEquals("4 GPUs", child.value("later"));
  }

  /** LD_LIBRARY_PATH with an empty item, as scripts make it, means the current directory. */
  @ParameterizedTest
  @ValueSource(strings = {":/nowhere", "", ".", "here", "/nowhere:", "FOLDER"})
  void aFifoOfThatNameIsNotOpened(String libraryPath) throws Exception {
    assertEquals(
        0,
        new ProcessBuilder("mkfifo", folder.resolve("libnvidia-ml.so.1").toString())
            .start()
            .waitFor());
    ChildJvm.Result child =
        ChildJvm.runIn(
            folder,
            OpenTwice.class,
            Map.of("LD_LIBRARY_PATH", libraryPath.replace("FOLDER", folder.toString())));
    assumeFalse(child.output().contains("GPUs"), "this machine has a real driver");
    assertEquals(0, child.exitCode(), child.output());
    assertEquals("LIBRARY_NOT_FOUND", child.value("open2"), child.output());
  }

  @Test
  void aLibraryInTheCurrentDirectoryIsNotLoaded() throws Exception {
    FakeNvmlLibrary.build(folder.resolve("libnvidia-ml.so.1"), List.of());
    ChildJvm.Result child =
        ChildJvm.runIn(folder, OpenTwice.class, Map.of("LD_LIBRARY_PATH", ":."));
    assumeFalse(
        NvmlFile.candidates(Optional.empty()).count() > 1, "this machine has a real driver");
    assertEquals("LIBRARY_NOT_FOUND", child.value("open1"), child.output());
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
    FakeNvmlLibrary.buildWithout(FakeNvmlLibrary.YOUNG_FUNCTIONS, folder);
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
                    FakeNvmlLibrary.YOUNG_FUNCTIONS.contains(name)
                        ? "FUNCTION_NOT_FOUND"
                        : "worked");
                actual.put(name + i, child.value(name + i).split(" ")[0]);
              }
            });
    assertEquals(expected, actual);
  }
}
