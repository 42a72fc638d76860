package dev.zeusd.ffm.nvml;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.ffm.fake.ChildJvm;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvmlLibrary;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The driver is upgraded under a process that has its library mapped; in a JVM of its own. */
class DriverUpgradeTest {
  @TempDir Path folder;

  /** Upgrades kernel and library, one after the other, and says what comes of it. */
  static final class Upgrade {
    public static void main(String[] args) throws Exception {
      FakeNvml nvml = FakeNvml.create(Path.of(System.getenv("FAKE_NVML_STATE")));
      Path folder = Path.of(System.getenv("LD_LIBRARY_PATH"));
      boolean goOn = Boolean.getBoolean("goOn");
      int[] told = {0};
      NvmlLibrary library =
          NvmlLibrary.open(
              Optional.empty(),
              file -> {
                System.out.println("told" + ++told[0] + "=" + file);
                return goOn;
              });
      NvmlDevice device = library.device(1);
      say("before", device);
      nvml.kernelNumber(2);
      say("kernel", device);
      say("again", device);
      FakeNvmlLibrary.buildNumber(2, folder);
      Thread.sleep(300);
      say("library", device);
      long inits = nvml.calls(FakeNvml.Call.INIT);
      for (int i = 0; i < 100; i++) {
        say("later", device);
      }
      System.out.println("tries=" + (nvml.calls(FakeNvml.Call.INIT) - inits < 20));
      nvml.kernelNumber(3);
      FakeNvmlLibrary.buildNumber(3, folder);
      say("twice", device);
      System.out.println("told=" + told[0]);
    }

    private static void say(String when, NvmlDevice device) {
      try {
        System.out.println(when + "=" + device.instantPowerMw());
      } catch (NvmlException e) {
        System.out.println(when + "=" + e.result() + " " + e.getMessage());
      }
    }
  }

  private ChildJvm.Result upgrade(boolean goOn) throws Exception {
    FakeNvmlLibrary.buildNumber(1, folder);
    FakeNvml nvml = FakeNvml.create(folder.resolve("state"));
    Map<String, String> environment = new TreeMap<>(nvml.environment());
    environment.put("LD_LIBRARY_PATH", folder.toString());
    ChildJvm.Result child =
        ChildJvm.run(
            Upgrade.class,
            environment,
            "-DgoOn=" + goOn,
            "-Dfake.nvml.dir=" + FakeNvmlLibrary.directory());
    assertEquals(0, child.exitCode(), child.output());
    assertEquals("85000", child.value("before"));
    assertTrue(child.value("told1").endsWith("/libnvidia-ml.so.1"), child.output());
    for (String when : new String[] {"kernel", "again"}) {
      String error = child.value(when);
      assertTrue(
          error.startsWith("LIB_RM_VERSION_MISMATCH opening NVML: the NVIDIA driver was upg"),
          error);
      assertTrue(error.contains("restart zeusd"), error);
    }
    return child;
  }

  @Test
  void theNewLibraryIsOpenedAsSoonAsItIsThere() throws Exception {
    ChildJvm.Result child = upgrade(true);
    assertEquals("85000", child.value("library"), child.output());
    assertEquals("85000", child.value("twice"), child.output());
    assertEquals("2", child.value("told"), "once for each");
  }

  @Test
  void whereThatIsNotWantedEveryErrorTellsOfTheUpgrade() throws Exception {
    ChildJvm.Result child = upgrade(false);
    for (String when : new String[] {"library", "later", "twice"}) {
      assertTrue(child.value(when).contains("the NVIDIA driver was upgraded"), child.output());
    }
    assertEquals("true", child.value("tries"), "not one try for each request");
    assertEquals("1", child.value("told"));
  }
}
