package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.rapl.RaplFault;
import dev.zeusd.core.rapl.RaplTree;
import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** CPUs, from files of the shape of sysfs to bytes on a socket. */
class CpuReadTest {
  private static final Pattern SAMPLE =
      Pattern.compile(
          "\\{\"timestamp_ms\":(\\d{13}),\"cpu_id\":(\\d),\"cpu_mw\":(\\d+),\"dram_mw\":(\\d+|null)}");

  private RaplTree tree;
  private RaplTree.Zone package0;
  private RaplTree.Zone dram0;
  private RaplTree.Zone package1;
  private TestServer server;

  @BeforeEach
  void start(@TempDir Path dir) throws IOException {
    tree = new RaplTree(dir);
    package0 = tree.zone(0, "package-0").energy(1_000_000);
    dram0 = package0.subZone(0, "dram").energy(5_000);
    package1 = tree.zone(1, "package-1").energy(2_000_000);
    tree.zone(2, "psys").energy(9_000_000);
    server = TestServer.startCpus(Transport.UDS, tree.dir());
  }

  @AfterEach
  void stop() throws IOException {
    server.close();
    tree.close();
  }

  @Test
  void discoversPackagesTheirDramAndThePlatform() throws IOException {
    server
        .get("/discover")
        .assertOk(
            "{\"gpu_ids\":[],\"cpu_ids\":[0,1,2],\"dram_available\":[true,false,false],\"gpus\":[],"
                + "\"cpus\":[{\"id\":0,\"dram_available\":true,\"domain\":\"package\"},"
                + "{\"id\":1,\"dram_available\":false,\"domain\":\"package\"},"
                + "{\"id\":2,\"dram_available\":false,\"domain\":\"psys\"}],"
                + "\"enabled_api_groups\":[\"cpu-read\"],\"auth_required\":false,\"problems\":"
                + "[\"no GPUs: neither gpu-read nor gpu-control is enabled on this daemon\"]}");
  }

  @Test
  void readsEnergy() throws IOException {
    server
        .get("/cpu/get_cumulative_energy?cpu=true&dram=true")
        .assertOk(
            "{\"0\":{\"cpu_energy_uj\":1000000,\"dram_energy_uj\":5000},"
                + "\"1\":{\"cpu_energy_uj\":2000000,\"dram_energy_uj\":null}}");
    package0.energy(1_000_500);
    dram0.energy(5_001);
    server
        .get("/cpu/get_cumulative_energy?cpu_ids=0&cpu=true&dram=false")
        .assertOk("{\"0\":{\"cpu_energy_uj\":1000500,\"dram_energy_uj\":null}}");
    server
        .get("/cpu/get_cumulative_energy?cpu_ids=1,0&cpu=false&dram=true")
        .assertOk(
            "{\"0\":{\"cpu_energy_uj\":null,\"dram_energy_uj\":5001},"
                + "\"1\":{\"cpu_energy_uj\":null,\"dram_energy_uj\":null}}");
  }

  @Test
  void thePlatformIsReadWhereItIsAskedForByItsId() throws IOException {
    server
        .get("/cpu/get_cumulative_energy?cpu_ids=2&cpu=true&dram=true")
        .assertOk("{\"2\":{\"cpu_energy_uj\":9000000,\"dram_energy_uj\":null}}");
    server
        .get("/cpu/get_power?cpu_ids=0,2")
        .assertOkMatching(
            "\\{\"timestamp_ms\":\\d{13},\"power_mw\":\\{\"0\":\\{\"cpu_mw\":0,\"dram_mw\":0},"
                + "\"2\":\\{\"cpu_mw\":0,\"dram_mw\":null}}}");
    server
        .get("/cpu/get_power")
        .assertOkMatching(
            "\\{\"timestamp_ms\":\\d{13},\"power_mw\":\\{\"0\":\\{\"cpu_mw\":0,\"dram_mw\":0},"
                + "\"1\":\\{\"cpu_mw\":0,\"dram_mw\":null}}}");
    try (EventStream stream = server.stream("/cpu/stream_power?cpu_ids=2")) {
      assertTrue(stream.nextData().contains("\"cpu_id\":2,\"cpu_mw\":0,\"dram_mw\":null"));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"0\n", "1\n", "", "18446744073709551615\n"})
  void aCounterWithoutAUsableRangeIsReadAndNotGuardedInCircles(String range) throws Exception {
    Files.writeString(package1.dir().resolve("max_energy_range_uj"), range);
    String target = "/cpu/get_cumulative_energy?cpu_ids=1&cpu=true&dram=false";
    String answer = "{\"1\":{\"cpu_energy_uj\":2000000,\"dram_energy_uj\":null}}";
    server.get(target).assertOk(answer);
    server.get(target).assertOk(answer);
  }

  @ParameterizedTest
  @EnumSource
  void dramThatCannotBeReadCostsItself(RaplFault fault) throws IOException {
    fault.applyTo(dram0);
    server
        .get("/cpu/get_cumulative_energy?cpu_ids=0&cpu=true&dram=true")
        .assertOk("{\"0\":{\"cpu_energy_uj\":1000000,\"dram_energy_uj\":null}}");
    String alone = "/cpu/get_cumulative_energy?cpu_ids=0&cpu=false&dram=true";
    assertTrue(server.get(alone).body().contains("intel-rapl:0:0"), "alone, it is what fails");
    dram0.restore(6_000);
    server
        .get("/cpu/get_cumulative_energy?cpu_ids=0&cpu=true&dram=true")
        .assertOk("{\"0\":{\"cpu_energy_uj\":1000000,\"dram_energy_uj\":6000}}");
  }

  @ParameterizedTest
  @CsvSource({
    "/cpu/get_cumulative_energy?cpu=true, dram",
    "/cpu/get_cumulative_energy?dram=true, cpu",
    "/cpu/get_cumulative_energy?cpu=1&dram=true, cpu",
    "/cpu/get_cumulative_energy?cpu=true&dram=true&gpu_ids=0, gpu_ids",
    "/cpu/get_cumulative_energy?cpu=true&dram=true&cpu_ids=3, cpu_ids",
    "/cpu/get_power?cpu_ids=, cpu_ids",
    "/cpu/get_power?format=sample, format",
    "/cpu/stream_power?cpu_ids=x, cpu_ids",
    "/cpu/stream_power?format=json, format"
  })
  void refusesWhatItCannotRead(String target, String culprit) throws IOException {
    server.get(target).assertError(400, culprit);
  }

  @ParameterizedTest
  @EnumSource
  void reportsAFaultyPackageByItselfAndHeals(RaplFault fault) throws Exception {
    package0.feed(50, 0, RaplTree.TYPICAL_RANGE_UJ);
    try (EventStream stream = server.stream("/cpu/stream_power?format=snapshot")) {
      awaitSnapshot(stream, "\"1\":{");
      fault.applyTo(package1);
      for (String target :
          List.of("/cpu/get_cumulative_energy?cpu=true&dram=false", "/cpu/get_power")) {
        Await.until("it fails", () -> get(target).status() != 200);
        RawResponse response = get(target);
        assertTrue(
            response.status() == 500 || fault == RaplFault.FORBIDDEN && response.status() == 403,
            response::toString);
        String other = "\"0\":\\{\"cpu_(energy_uj|mw)\":\\d+,\"dram_\\w+\":(null|0)}";
        String culprit = "\"errors\":\\{\"1\":\"[^\"]*intel-rapl:1/.*\"}}";
        assertTrue(
            response.body().matches("\\{(.*\\{)?" + other + "}?," + culprit), response::toString);
      }
      awaitSnapshot(stream, "\"power_mw\":{\"0\":{\"cpu_mw\":\\d+,\"dram_mw\":0}}}");
      package1.restore(7);
      server
          .get("/cpu/get_cumulative_energy?cpu_ids=1&cpu=true&dram=false")
          .assertOkMatching("\\{\"1\":\\{\"cpu_energy_uj\":\\d+,\"dram_energy_uj\":null}}");
      awaitSnapshot(stream, "\"1\":{");
      assertEquals(200, get("/cpu/get_power").status());
    }
  }

  private RawResponse get(String target) {
    try {
      return server.get(target);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  /** Reads to a snapshot that has something, which it does not have all the time. */
  private static void awaitSnapshot(EventStream stream, String regex) throws IOException {
    Pattern pattern = Pattern.compile(regex.replace("{", "\\{"));
    for (int events = 0; !pattern.matcher(stream.nextData()).find(); events++) {
      assertTrue(events < 1000, () -> "never: " + regex);
    }
  }

  @Test
  void powerIsWhatWentIn() throws Exception {
    package0.feed(50, 0, RaplTree.TYPICAL_RANGE_UJ);
    dram0.feed(10, 0, RaplTree.TYPICAL_RANGE_UJ);
    // Threads feed the counters, which a busy machine holds up now and then.
    Await.until("50 W and 10 W", this::isFiftyAndTenWatts);
  }

  private boolean isFiftyAndTenWatts() throws IOException {
    Matcher power =
        server
            .get("/cpu/get_power?cpu_ids=0")
            .assertOkMatching(
                "\\{\"timestamp_ms\":\\d{13},"
                    + "\"power_mw\":\\{\"0\":\\{\"cpu_mw\":(\\d+),\"dram_mw\":(\\d+)}}}");
    return Math.abs(Double.parseDouble(power.group(1)) - 50_000) <= 5_000
        && Math.abs(Double.parseDouble(power.group(2)) - 10_000) <= 1_000;
  }

  @Test
  void streamsWhatWentIn() throws IOException {
    package0.feed(50, 0, RaplTree.TYPICAL_RANGE_UJ);
    double energyMj = 0;
    long firstMs = 0;
    long lastMs = 0;
    double meanMw = 0;
    try (EventStream stream = server.stream("/cpu/stream_power?cpu_ids=0")) {
      // How late the feeder is at the end counts the less, the longer it takes.
      for (int i = 0; i < 25 || i < 250 && Math.abs(meanMw - 50_000) > 500; i++) {
        Matcher sample = SAMPLE.matcher(stream.nextData());
        assertTrue(sample.matches(), sample::toString);
        long timestampMs = Long.parseLong(sample.group(1));
        energyMj +=
            lastMs == 0 ? 0 : Double.parseDouble(sample.group(3)) * (timestampMs - lastMs) / 1e3;
        firstMs = firstMs == 0 ? timestampMs : firstMs;
        lastMs = timestampMs;
        meanMw = energyMj / (lastMs - firstMs) * 1e3;
      }
    }
    // Weighted with its time, each value is right however late the machine was.
    assertEquals(50_000, meanMw, 500);
  }

  @Test
  void steadyPowerComesOnceInASnapshotOfAll() throws IOException {
    try (EventStream stream = server.stream("/cpu/stream_power?format=snapshot")) {
      String snapshot = stream.nextData();
      assertTrue(
          snapshot.matches(
              "\\{\"timestamp_ms\":\\d{13},\"power_mw\":\\{\"0\":\\{\"cpu_mw\":0,\"dram_mw\":0},"
                  + "\"1\":\\{\"cpu_mw\":0,\"dram_mw\":null}}}"),
          snapshot);
      assertTrue(EventStream.isComment(stream.next(RawConnection.PATIENCE)));
    }
  }
}
