package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.Metronome;
import dev.zeusd.core.rapl.RaplTree;
import dev.zeusd.server.auth.Claims;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What Prometheus scrapes, over real connections down to the driver's calls. */
@Timeout(60)
class MetricsTest {
  private static final String GPU_1 =
      "{gpu=\"1\",gpu_uuid=\"GPU-fa4e0000-0000-4000-8000-000000000001\",pci_bus_id=\"0000:27:00.0\"";

  private final FakeNvml nvml = TestServer.freshNvml();

  @BeforeEach
  void twoGpus() {
    nvml.deviceCount(2);
  }

  private static String scrape(TestServer server, String query, String... headers)
      throws IOException {
    try (RawConnection connection = server.connect()) {
      connection.send(RawConnection.request("GET", "/metrics" + query, headers));
      RawResponse response = connection.readResponse();
      assertEquals(200, response.status(), response::toString);
      return response.body();
    }
  }

  private static void assertLine(String line, String text) {
    assertTrue(
        text.lines().anyMatch(line::equals),
        () -> "no line " + line + " in\n" + String.join("\n", samplesOf(family(line), text)));
  }

  private static String family(String line) {
    return line.split("[{ ]")[0];
  }

  private static List<String> samplesOf(String labels, String text) {
    return text.lines().filter(line -> line.contains(labels) && !line.startsWith("#")).toList();
  }

  @ParameterizedTest
  @EnumSource
  void tellsWhatTheDriverTellsInBaseUnits(Transport transport) throws IOException {
    nvml.gpu(1)
        .powerMw(123_457)
        .energyMj(-1L)
        .temperaturesC(61, 72)
        .clocksMhz(1234, 987)
        .utilizationPct(57, 7)
        .memoryBytes(5_000_000_001L, 80L << 30, 77)
        .clocksEventReasons(4)
        .powerLimitMw(250_000)
        .outsidePowerLimitMw(180_000);
    try (TestServer server = TestServer.start(transport)) {
      String text = scrape(server, "");
      assertLine("zeusd_gpu_up" + GPU_1 + "} 1.0", text);
      assertLine("zeusd_gpu_power_watts" + GPU_1 + "} 123.457", text);
      assertLine("zeusd_gpu_energy_joules_total" + GPU_1 + "} 1.844674407370955E16", text);
      assertLine("zeusd_gpu_power_limit_watts" + GPU_1 + "} 250.0", text);
      assertLine("zeusd_gpu_enforced_power_limit_watts" + GPU_1 + "} 180.0", text);
      assertLine("zeusd_gpu_default_power_limit_watts" + GPU_1 + "} 300.0", text);
      assertLine("zeusd_gpu_temperature_celsius" + GPU_1 + "} 61.0", text);
      assertLine("zeusd_gpu_memory_temperature_celsius" + GPU_1 + "} 72.0", text);
      assertLine("zeusd_gpu_utilization_ratio" + GPU_1 + "} 0.57", text);
      assertLine("zeusd_gpu_memory_utilization_ratio" + GPU_1 + "} 0.07", text);
      assertLine("zeusd_gpu_memory_used_bytes" + GPU_1 + "} 5.000000001E9", text);
      assertLine("zeusd_gpu_memory_total_bytes" + GPU_1 + "} 8.589934592E10", text);
      assertLine("zeusd_gpu_clock_hertz{domain=\"sm\"," + GPU_1.substring(1) + "} 1.234E9", text);
      assertLine("zeusd_gpu_clock_hertz{domain=\"mem\"," + GPU_1.substring(1) + "} 9.87E8", text);
      assertLine("zeusd_gpu_throttled" + GPU_1 + ",reason=\"sw_power_cap\"} 1.0", text);
      assertLine("zeusd_gpu_throttled" + GPU_1 + ",reason=\"hw_slowdown\"} 0.0", text);
      assertLine(
          "zeusd_gpu_info{driver=\"575.57.08\","
              + GPU_1.substring(1).replace(",pci", ",name=\"NVIDIA Fake GPU\",pci")
              + ",power_scope=\"gpu\",vendor=\"nvidia\"} 1",
          text);
    }
  }

  @Test
  void readsEachGpuOnceAndNothingWithoutAScrape() throws IOException {
    try (TestServer server = TestServer.start(Transport.UDS)) {
      scrape(server, "?names=dcgm");
      for (Call call :
          List.of(
              Call.GET_TOTAL_ENERGY,
              Call.GET_POWER_LIMIT,
              Call.GET_TEMPERATURE_V,
              Call.GET_UTILIZATION,
              Call.GET_MEMORY)) {
        long before = nvml.gpu(0).calls(call);
        scrape(server, "?names=dcgm");
        assertEquals(1, nvml.gpu(0).calls(call) - before, call.name());
      }
      long before = nvml.totalCalls();
      assertEquals(404, server.get("/metric").status());
      assertEquals(before, nvml.totalCalls());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.5 | true",
        "application/openmetrics-text | true",
        "text/plain;version=0.0.4;q=0.3,application/openmetrics-text;q=0.2 | false",
        "text/plain | false",
        "*/* | false",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily | false",
        "application/openmetrics-text;q=0 | false",
        "application/openmetrics-text;q=x,;;,garbage | false",
      })
  void theFormIsTheOneThatTheClientLikesBetter(String accept, boolean isOpenMetrics)
      throws IOException {
    try (TestServer server = TestServer.start(Transport.UDS);
        RawConnection connection = server.connect()) {
      connection.send(RawConnection.request("GET", "/metrics", "Accept: " + accept));
      RawResponse response = connection.readResponse();
      assertEquals(
          isOpenMetrics
              ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
              : "text/plain; version=0.0.4; charset=utf-8",
          response.header("Content-Type"));
      assertEquals(isOpenMetrics, response.body().endsWith("# EOF\n"));
    }
  }

  @Test
  void aGpuThatHangsCostsTwoSecondsAndItsOwnSeries() throws IOException {
    try (TestServer server = TestServer.start(Transport.UDS)) {
      nvml.gpu(0).delay(Call.GET_UTILIZATION, Duration.ofMinutes(1));
      long start = System.nanoTime();
      String text;
      try (Metronome metronome = new Metronome()) {
        text = scrape(server, "");
        assertTrue(metronome.beats() < 8000, "took " + metronome.beats() + " ms");
      }
      assertTrue(System.nanoTime() - start >= 1_900_000_000L, "it did not wait");
      assertEquals(
          List.of("0.0", "1"),
          samplesOf("gpu=\"0\"", text).stream().map(line -> line.split("} ")[1]).sorted().toList());
      assertLine("zeusd_gpu_power_watts" + GPU_1 + "} 85.0", text);
      assertTrue(
          scrape(server, "", "X-Prometheus-Scrape-Timeout-Seconds: 0.5").contains("up" + GPU_1));
      nvml.gpu(0).delay(Call.GET_UTILIZATION, Duration.ZERO);
    }
  }

  @Test
  void whileAGpuHangsOnlyTheFirstScrapesWaitForIt() throws Exception {
    try (Metronome metronome = new Metronome();
        TestServer server = TestServer.start(Transport.UDS)) {
      nvml.gpu(0).delay(Call.GET_UTILIZATION, Duration.ofMinutes(1));
      List<String> texts = Collections.synchronizedList(new ArrayList<>());
      List<Thread> scrapers = new ArrayList<>();
      for (int i = 0; i < 40; i++) {
        scrapers.add(Thread.ofVirtual().start(() -> texts.add(scrapeUnchecked(server))));
      }
      for (Thread scraper : scrapers) {
        scraper.join();
      }
      assertEquals(40, texts.size());
      texts.forEach(text -> assertLine("zeusd_gpu_up" + GPU_1 + "} 1.0", text));
      // From now on it is known; one of a few is not slow for another reason.
      long quickestMs = Long.MAX_VALUE;
      for (int i = 0; i < 5; i++) {
        long start = metronome.beats();
        String text = scrape(server, "");
        quickestMs = Math.min(quickestMs, metronome.beats() - start);
        assertTrue(text.contains("zeusd_gpu_up{gpu=\"0\""), text);
        assertLine("zeusd_gpu_up" + GPU_1 + "} 1.0", text);
      }
      assertTrue(quickestMs < 1000, "they wait once more: " + quickestMs + " ms");
      nvml.gpu(0).delay(Call.GET_UTILIZATION, Duration.ZERO);
      Await.until("it is back", () -> isUp(server, 0, "1.0"));
    }
  }

  private static String scrapeUnchecked(TestServer server, String... headers) {
    try {
      return scrape(server, "", headers);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void tellsOfTheProcess() throws IOException {
    try (TestServer server = TestServer.start(Transport.UDS)) {
      String text = scrape(server, "");
      double now = System.currentTimeMillis() / 1e3;
      double start = value("process_start_time_seconds", text);
      assertTrue(start > now - 86_400 && start < now, "started at " + start);
      double cpu = value("process_cpu_seconds_total", text);
      assertTrue(cpu > 0 && cpu < (now - start + 1) * Runtime.getRuntime().availableProcessors());
      double resident = value("process_resident_memory_bytes", text);
      assertTrue(resident > 10e6 && resident < value("process_virtual_memory_bytes", text));
      double files = value("process_open_fds", text);
      try (RawConnection one = server.connect();
          RawConnection another = server.connect()) {
        // Both ends are of this process.
        one.send(RawConnection.request("GET", "/time"));
        one.readResponse();
        another.send(RawConnection.request("GET", "/time"));
        another.readResponse();
        assertTrue(value("process_open_fds", scrape(server, "")) > files);
      }
    }
  }

  private static double value(String name, String text) {
    return text.lines()
        .filter(line -> line.startsWith(name + " "))
        .mapToDouble(line -> Double.parseDouble(line.substring(name.length() + 1)))
        .findFirst()
        .orElseThrow(() -> new AssertionError(name + " is missing in " + text));
  }

  @ParameterizedTest
  @ValueSource(strings = {"NaN", "-1", "0", "0.2", "0.15", "soon", "Infinity"})
  void aClientInAHurryOrTalkingNonsenseIsToldOfHealthyGpus(String timeout) throws Exception {
    try (TestServer server = TestServer.start(Transport.UDS)) {
      scrape(server, "");
      // On a busy machine, a healthy GPU's thread may not come to it within a tenth of a second.
      Await.until(
          "GPU 1 is up",
          () ->
              scrapeUnchecked(server, "X-Prometheus-Scrape-Timeout-Seconds: " + timeout)
                  .contains("zeusd_gpu_up" + GPU_1 + "} 1.0"));
    }
  }

  @Test
  void aLostGpuCostsItsOwnSeries() throws IOException {
    try (TestServer server = TestServer.start(Transport.UDS)) {
      nvml.gpu(1).allErrors(15);
      String text = scrape(server, "?names=dcgm");
      assertLine("zeusd_gpu_up" + GPU_1 + "} 0.0", text);
      assertEquals(2, samplesOf("gpu=\"1\"", text).size());
      assertTrue(samplesOf("gpu=\"0\"", text).size() > 30);
      nvml.gpu(1).allErrors(0);
      assertEquals(200, server.get("/gpu/get_power_limit?gpu_ids=0").status());
    }
  }

  @Test
  void takesThePowerThatIsStreamedAnyway() throws Exception {
    try (TestServer server = TestServer.start(Transport.UDS, 1);
        var stream = server.stream("/gpu/stream_power?gpu_ids=0")) {
      stream.next(Duration.ofSeconds(20));
      long before = nvml.gpu(0).powerReads();
      long beforeOther = nvml.gpu(1).powerReads();
      assertTrue(scrape(server, "").contains("zeusd_gpu_power_watts{gpu=\"0\""));
      assertEquals(1, nvml.gpu(1).powerReads() - beforeOther);
      assertTrue(nvml.gpu(0).powerReads() - before <= 1, "a tick at most");
      nvml.gpu(0).powerMw(0xFFFF_FFFFL);
      Await.until("it fails", () -> isUp(server, 0, "0.0"));
      nvml.gpu(0).powerMw(70_000);
      Await.until("it is back", () -> isUp(server, 0, "1.0"));
    }
  }

  private static boolean isUp(TestServer server, int gpu, String value) {
    try {
      return scrape(server, "")
          .lines()
          .anyMatch(
              line -> line.startsWith("zeusd_gpu_up{gpu=\"" + gpu + "\"") && line.endsWith(value));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void countsReadsAndThoseThatFail() throws IOException {
    nvml.gpu(0).error(Call.GET_TOTAL_ENERGY, 3);
    try (TestServer server = TestServer.start(Transport.UDS)) {
      String count = "zeusd_device_read_seconds_count{id=\"0\",kind=\"gpu\"} ";
      String failures = "zeusd_device_read_failures_total{id=\"0\",kind=\"gpu\"} ";
      assertLine(count + "1", scrape(server, ""));
      server.get("/gpu/get_power");
      server.get("/gpu/get_cumulative_energy");
      String text = scrape(server, "");
      assertLine(count + "4", text);
      assertLine(failures + "0.0", text);
      nvml.gpu(0).error(Call.GET_POWER_LIMIT, 999);
      server.get("/gpu/get_power_limit");
      assertLine(failures + "1.0", scrape(server, ""));
      try (var stream = server.stream("/gpu/stream_power")) {
        stream.next(Duration.ofSeconds(20));
        assertFalse(scrape(server, "").contains(count + "7\n"));
      }
    }
  }

  @Test
  void aReadingThatFailsIsMissing() throws IOException {
    nvml.gpu(1).error(Call.GET_TOTAL_ENERGY, 3).error(Call.GET_MEMORY, 3);
    try (TestServer server = TestServer.start(Transport.UDS)) {
      String text = scrape(server, "");
      assertFalse(text.contains("zeusd_gpu_energy_joules_total" + GPU_1));
      assertFalse(text.contains("zeusd_gpu_memory_used_bytes" + GPU_1));
      assertLine("zeusd_gpu_up" + GPU_1 + "} 1.0", text);
    }
  }

  @Test
  void speaksAsNvidiasExporterOnDemand() throws IOException {
    try (TestServer server = TestServer.start(Transport.TCP)) {
      assertFalse(scrape(server, "").contains("DCGM"));
      String text = scrape(server, "?names=dcgm");
      List<String> power = samplesOf("DCGM_FI_DEV_POWER_USAGE", text);
      assertEquals(2, power.size());
      assertTrue(
          power
                  .get(1)
                  .contains("UUID=\"GPU-fa4e0000-0000-4000-8000-000000000001\",device=\"nvidia1\"")
              && power.get(1).contains("pci_bus_id=\"00000000:27:00.0\"} 85.0"),
          power.get(1));
      assertTrue(text.contains("DCGM_FI_DEV_FB_FREE"));
      assertLine("zeusd_gpu_power_watts" + GPU_1 + "} 85.0", text);
      assertEquals(400, server.get("/metrics?names=x").status());
      assertEquals(400, server.get("/metrics?name=dcgm").status());
    }
  }

  @Test
  void countsRequestsByEndpointAndStatus() throws IOException {
    try (TestServer server = TestServer.start(Transport.UDS)) {
      for (int i = 0; i < 3; i++) {
        server.get("/gpu/get_power");
      }
      server.get("/gpu/../gpu/get_power");
      server.get("/gpu/get_power?x=1");
      server.post("/gpu/get_power");
      server.get("/nothing");
      server.get("/cpu/get_power");
      String text = scrape(server, "");
      String get = "zeusd_requests_total{endpoint=\"/gpu/get_power\",status=";
      assertLine(get + "\"200\"} 4.0", text);
      assertLine(get + "\"400\"} 1.0", text);
      assertLine(get + "\"405\"} 1.0", text);
      assertLine("zeusd_requests_total{endpoint=\"none\",status=\"404\"} 2.0", text);
      assertLine("zeusd_streams_open 0.0", text);
      try (var stream = server.stream("/gpu/stream_power")) {
        stream.next(Duration.ofSeconds(20));
        assertLine("zeusd_streams_open 1.0", scrape(server, ""));
      }
    }
  }

  @Test
  void tellsOfLeases() throws IOException {
    try (TestServer server =
        TestServer.start(
            Transport.UDS, EnumSet.of(ApiGroup.GPU_CONTROL, ApiGroup.GPU_READ), Optional.empty())) {
      assertLine("zeusd_leases{state=\"active\"} 0.0", scrape(server, ""));
      assertFalse(scrape(server, "").contains("zeusd_setting_lease"));
      assertEquals(
          201, server.post("/lease?gpu_ids=1&keys=power_limit,gpu_clocks&ttl_s=30").status());
      String text = scrape(server, "");
      List<String> held =
          text.lines().filter(line -> line.startsWith("zeusd_setting_lease_info{")).toList();
      assertEquals(2, held.size(), text);
      for (String label :
          List.of("gpu=\"1\"", "gpu_uuid=\"GPU-", "holder=\"", "state=\"active\"")) {
        held.forEach(line -> assertTrue(line.contains(label), line));
      }
      assertTrue(held.toString().contains("key=\"power_limit\""), held::toString);
      assertTrue(held.toString().contains("key=\"gpu_clocks\""), held::toString);
      assertLine("zeusd_leases{state=\"active\"} 1.0", text);
      assertLine("zeusd_restores_pending 0.0", text);
    }
  }

  @Test
  void tellsOnlyOfTheGroupsThatAreEnabled(@TempDir Path raplDir) throws IOException {
    try (RaplTree tree = new RaplTree(raplDir)) {
      tree.zone(0, "package-0").energy(5_000_000);
      tree.zone(1, "psys").energy(9_000_000);
      try (TestServer server = TestServer.startCpus(Transport.UDS, raplDir)) {
        String text = scrape(server, "?names=dcgm");
        assertFalse(text.contains("gpu"), text);
        assertLine("zeusd_cpu_energy_joules_total{cpu=\"0\",zone=\"package\"} 5.0", text);
        assertFalse(text.contains("cpu=\"1\""), "psys holds the packages");
        tree.zone(0, "package-0").energy(7_500_000);
        assertLine(
            "zeusd_cpu_energy_joules_total{cpu=\"0\",zone=\"package\"} 7.5", scrape(server, ""));
      }
    }
  }

  @Test
  void tellsOnlyWhatTheTokenMayRead(@TempDir Path dir) throws IOException {
    Path key = Files.writeString(dir.resolve("key"), "0123456789abcdef0123456789abcdef");
    Tokens tokens = Tokens.withKeyFile(key);
    try (TestServer server =
        TestServer.start(
            Transport.TCP,
            EnumSet.of(ApiGroup.GPU_READ, ApiGroup.GPU_CONTROL),
            Optional.of(tokens))) {
      assertEquals(401, server.get("/metrics").status());
      try (RawConnection connection = server.connect()) {
        String lease = "/lease?gpu_ids=0&keys=power_limit&ttl_s=30";
        connection.send(RawConnection.request("POST", lease, bearer(tokens, "gpu-control")));
        assertEquals(201, connection.readResponse().status());
      }
      String reader = scrape(server, "", bearer(tokens, "gpu-read"));
      assertTrue(reader.contains("zeusd_gpu_power_watts") && reader.contains("zeusd_leases"));
      assertFalse(reader.contains("zeusd_setting_lease_info"), reader);
      String other = scrape(server, "", bearer(tokens, "cpu-read"));
      assertTrue(other.contains("zeusd_requests_total") && !other.contains("zeusd_gpu_power"));
      assertFalse(other.contains("zeusd_leases"), other);
      String writer = scrape(server, "", bearer(tokens, "gpu-control"));
      assertTrue(
          writer.contains("zeusd_setting_lease_info") && !writer.contains("zeusd_gpu_power"));
    }
  }

  private static String bearer(Tokens tokens, String scope) {
    return "Authorization: Bearer "
        + tokens.issue(new Claims("prometheus", List.of(scope), Optional.empty()));
  }
}
