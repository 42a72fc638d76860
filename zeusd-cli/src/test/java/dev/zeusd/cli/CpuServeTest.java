package dev.zeusd.cli;

import static dev.zeusd.core.rapl.RaplTree.TYPICAL_RANGE_UJ;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.rapl.RaplTree;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** CPU energy from a daemon in a process of its own: killed, started again, without root. */
@Timeout(120)
class CpuServeTest {
  private static final long JOULE = 1_000_000L;
  private static final Pattern ENERGY = Pattern.compile("\"cpu_energy_uj\":(\\d+)");

  @TempDir private Path directory;

  private RaplTree.Zone zone;
  private Path state;

  @BeforeEach
  void makeTree() {
    zone = new RaplTree(directory.resolve("rapl")).zone(0, "package-0");
    state = directory.resolve("state");
  }

  private ZeusdProcess start(List<String> prefix, String classPath) throws Exception {
    List<String> args = new ArrayList<>(List.of("serve", "--enable", "cpu-read"));
    args.addAll(List.of("--socket-path", "" + directory.resolve("zeusd.sock")));
    args.addAll(List.of("--state-dir", "" + state, "--rapl-dir", "" + directory.resolve("rapl")));
    return ZeusdProcess.start(directory, Map.of(), prefix, classPath, args.toArray(String[]::new));
  }

  private ZeusdProcess start() throws Exception {
    ZeusdProcess zeusd = start(List.of(), ClassPath.OWN);
    zeusd.awaitListening();
    return zeusd;
  }

  private long energyUj() throws IOException {
    try (RawConnection connection =
        RawConnection.open(UnixDomainSocketAddress.of(directory.resolve("zeusd.sock")))) {
      RawResponse response = connection.get("/cpu/get_cumulative_energy?cpu=true&dram=false");
      Matcher energy = ENERGY.matcher(response.body());
      assertTrue(energy.find(), response::toString);
      return Long.parseLong(energy.group(1));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"KILL", "TERM"})
  void energyGoesOnOverARestart(String signal) throws Exception {
    zone.energy(TYPICAL_RANGE_UJ - 10 * JOULE);
    try (ZeusdProcess zeusd = start()) {
      assertEquals(TYPICAL_RANGE_UJ - 10 * JOULE, energyUj());
      zone.energy(20 * JOULE);
      assertEquals(TYPICAL_RANGE_UJ + 20 * JOULE, energyUj(), "wrapped");
      zone.energy(35 * JOULE);
      assertEquals(TYPICAL_RANGE_UJ + 35 * JOULE, energyUj());
      zeusd.signal(signal);
      zeusd.awaitExit();
    }
    assertEquals("rw-------", permissions(state.resolve("cpu-energy")));
    zone.energy(50 * JOULE);
    try (ZeusdProcess zeusd = start()) {
      assertEquals(TYPICAL_RANGE_UJ + 50 * JOULE, energyUj());
      assertTrue(zeusd.isAlive());
    }
  }

  private static String permissions(Path file) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(file));
  }

  @Test
  void damagedStateAndOneThatCannotBeWrittenStopNothing() throws Exception {
    Files.createDirectory(state);
    Files.writeString(state.resolve("cpu-energy"), "garbage");
    zone.energy(5 * JOULE);
    try (ZeusdProcess zeusd = start()) {
      assertEquals(5 * JOULE, energyUj());
      assertTrue(zeusd.err().contains(state.resolve("cpu-energy") + " is damaged"), zeusd.err());
    }
    state = Path.of("/proc/zeusd");
    try (ZeusdProcess zeusd = start()) {
      assertEquals(5 * JOULE, energyUj());
      assertTrue(
          zeusd.err().contains("the state directory /proc/zeusd cannot be used"), zeusd.err());
    }
  }

  @Test
  void afterARestartNoWrapIsMissedThoughNobodyAsks() throws Exception {
    // At 1 kW, a wrap takes 15 s: longer than a restart, even on a machine with much to do.
    zone.range(15_000 * JOULE).energy(14_950 * JOULE);
    try (ZeusdProcess zeusd = start()) {
      assertEquals(14_950 * JOULE, energyUj());
      zeusd.signal("KILL");
      zeusd.awaitExit();
    }
    try (ZeusdProcess zeusd = start()) {
      zone.energy(40 * JOULE);
      String wrapped = " " + 15_040 * JOULE + " ";
      Await.until("the wrap is seen and saved", () -> savedEnergy().contains(wrapped));
      assertEquals(15_040 * JOULE, energyUj());
      assertTrue(zeusd.isAlive());
    }
  }

  private String savedEnergy() {
    try {
      return Files.readString(state.resolve("cpu-energy"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
