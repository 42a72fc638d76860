package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.client.ClientConfig;
import dev.zeusd.client.CpuPowerSample;
import dev.zeusd.client.Endpoint;
import dev.zeusd.client.GpuPowerSample;
import dev.zeusd.client.GpuSettings;
import dev.zeusd.client.HistoryRange;
import dev.zeusd.client.Lease;
import dev.zeusd.client.LeaseRequest;
import dev.zeusd.client.LeaseRequest.Keeping;
import dev.zeusd.client.PowerHistory;
import dev.zeusd.client.PowerSamples;
import dev.zeusd.client.PowerScope;
import dev.zeusd.client.PowerStep;
import dev.zeusd.client.ScopedGpus;
import dev.zeusd.client.SettingKey;
import dev.zeusd.client.ZeusdClient;
import dev.zeusd.client.ZeusdException;
import dev.zeusd.core.Await;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.server.raw.ListeningRelay;
import jakarta.json.Json;
import jakarta.json.JsonObject;
import jakarta.json.JsonValue;
import java.io.StringReader;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * The client has a method for each operation of the API, by what it sends: compared with the
 * document that tells of the API, parameters included.
 */
@Timeout(60)
class ClientCoverageTest {
  private static final List<Integer> GPU = List.of(0);

  @Test
  void eachOperationHasAMethod() throws Exception {
    Duration hour = Duration.ofHours(1);
    NodeConfig config = NodeConfig.simulated().withGpuPowerHistory(hour).withCpuPowerHistory(hour);
    try (TestServer server =
            TestServer.startAll(
                Transport.TCP, Node.open(config), Optional.of(TestTokens.checker()));
        ListeningRelay relay = new ListeningRelay((InetSocketAddress) server.address());
        ZeusdClient client =
            ZeusdClient.open(
                ClientConfig.of(new Endpoint.Tcp("127.0.0.1", relay.port()))
                    .withToken(
                        TestTokens.hs256(
                            "{\"sub\":\"alice\",\"scopes\":[\"gpu-read\",\"gpu-control\",\"cpu-read\"]}")))) {
      askEverything(client, relay);
      assertEquals(documented(server.get("/openapi.json").body()), asked(relay.requests()));
    }
  }

  private static void askEverything(ZeusdClient client, ListeningRelay relay) throws Exception {
    assertTrue(client.timeMs() > 0);
    assertEquals(Optional.of(Duration.ofHours(1)), client.discover().powerHistory());
    assertEquals(Optional.of("simulated"), client.discover().gpus().getFirst().vendor());
    assertEquals("alice", client.whoAmI().orElseThrow().user());
    readGpus(client);
    change(client.settings());
    lend(client, relay);
    measure(client);
    client.cpuPower(0);
    client.cpuEnergy(0);
    try (PowerSamples<GpuPowerSample> gpus = client.streamGpuPower(0);
        PowerSamples<GpuPowerSample> alone = client.gpusOf(PowerScope.GPU).streamPower(0);
        PowerSamples<CpuPowerSample> cpus = client.streamCpuPower(0)) {
      assertEquals(0, gpus.iterator().next().gpuId());
      assertEquals(0, alone.iterator().next().gpuId());
      assertEquals(0, cpus.iterator().next().cpuId());
    }
    readThePast(client);
    assertTrue(client.openApi().contains("\"openapi\""));
    assertTrue(client.metrics().contains("zeusd_build_info"));
    assertTrue(client.metricsWithDcgmNames().contains("DCGM_FI_DEV_POWER_USAGE"));
  }

  private static void readGpus(ZeusdClient client) {
    client.gpuPower(0);
    ScopedGpus alone = client.gpusOf(PowerScope.GPU);
    assertEquals(Set.of(0), alone.power(0).powerMw().values().keySet());
    alone.powerLimitMw(0);
    alone.powerLimitConstraints(0);
    client.gpuEnergyMj(0);
    client.powerLimitMw(0);
    client.powerLimitConstraints(0);
    client.persistenceMode(0);
    client.gpuTelemetry(0);
  }

  private static void change(GpuSettings settings) {
    settings.setPowerLimit(GPU, 300_000);
    settings.setPowerLimit(GPU, PowerScope.GPU, 350_000);
    settings.resetPowerLimit(GPU);
    settings.resetPowerLimit(GPU, PowerScope.GPU);
    settings.setPersistenceMode(GPU, true);
    settings.lockGpuClocks(GPU, 500, 900);
    settings.lockMemClocks(GPU, 500, 900);
    settings.resetGpuClocks(GPU);
    settings.resetMemClocks(GPU);
    settings.resetClocks(GPU);
  }

  private static void lend(ZeusdClient client, ListeningRelay relay) throws Exception {
    LeaseRequest request = LeaseRequest.of(GPU, Set.of(SettingKey.POWER_LIMIT));
    try (Lease lease = client.lease(request)) {
      // Its stream is opened by a thread of its own, which a short lease does not wait for.
      Await.until(
          "the lease is held",
          () -> relay.requests().stream().anyMatch(each -> each.startsWith("GET /lease/hold")));
      assertEquals(1, client.leases().size());
      lease.settings().setPowerLimit(GPU, 250_000);
    }
    try (Lease lease = client.lease(request.withKeeping(Keeping.NOT))) {
      lease.renew();
    }
    // The history keeps it, and says so.
    try {
      client.releaseDriver();
    } catch (ZeusdException e) {
      assertEquals(409, e.status().orElseThrow());
    }
  }

  private static void measure(ZeusdClient client) {
    String window = client.beginEnergyWindow("job", GPU, List.of(1), Duration.ofHours(1));
    assertEquals(
        List.of("job", window),
        client.energyWindows().stream()
            .flatMap(open -> Stream.of(open.name(), open.id()))
            .toList());
    assertEquals(Set.of(0), client.energySoFar(window).gpus().values().keySet());
    assertEquals(client.endEnergyWindow(window), client.endEnergyWindow(window));
    assertEquals(List.of(), client.energyWindows());
  }

  private static void readThePast(ZeusdClient client) throws InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    long nowMs = client.timeMs();
    HistoryRange range =
        HistoryRange.all()
            .since(nowMs - 60_000)
            .until(nowMs + 60_000)
            .inStepsOf(Duration.ofDays(1));
    PowerHistory<List<PowerStep>> gpus = client.gpuPowerHistory(range, 0);
    PowerHistory<PowerHistory.OfCpu> cpus = client.cpuPowerHistory(range, 0);
    while (gpus.devices().get(0).isEmpty() || cpus.devices().get(0).dram().isEmpty()) {
      assertTrue(System.nanoTime() < deadline, gpus + " " + cpus);
      Thread.sleep(20);
      gpus = client.gpuPowerHistory(range, 0);
      cpus = client.cpuPowerHistory(range, 0);
    }
    PowerStep step = gpus.devices().get(0).getFirst();
    assertTrue(step.minMw() <= step.meanMw() && step.meanMw() <= step.maxMw(), step::toString);
    assertTrue(step.minMw() > 0, step::toString);
    assertFalse(client.gpuPowerHistory(HistoryRange.all()).devices().isEmpty());
    assertEquals(
        OptionalLong.empty(), HistoryRange.all().inStepsOf(Duration.ofSeconds(1)).fromMs());
  }

  /** The parameters of each operation, by method and path. */
  private static SortedMap<String, SortedSet<String>> documented(String document) {
    JsonObject root = Json.createReader(new StringReader(document)).readObject();
    SortedMap<String, SortedSet<String>> operations = new TreeMap<>();
    root.getJsonObject("paths")
        .forEach(
            (path, methods) ->
                methods
                    .asJsonObject()
                    .forEach(
                        (method, operation) ->
                            operations.put(
                                method.toUpperCase(Locale.ROOT) + " " + path,
                                parameters(root, operation.asJsonObject()))));
    return operations;
  }

  private static SortedSet<String> parameters(JsonObject root, JsonObject operation) {
    SortedSet<String> names = new TreeSet<>();
    for (JsonValue each :
        operation.getOrDefault("parameters", JsonValue.EMPTY_JSON_ARRAY).asJsonArray()) {
      JsonObject parameter = each.asJsonObject();
      if (parameter.containsKey("$ref")) {
        parameter = root.getValue(parameter.getString("$ref").substring(1)).asJsonObject();
      }
      if (parameter.getString("in").equals("query")) {
        names.add(parameter.getString("name"));
      }
    }
    return names;
  }

  private static SortedMap<String, SortedSet<String>> asked(List<String> requests) {
    SortedMap<String, SortedSet<String>> operations = new TreeMap<>();
    for (String request : requests) {
      String[] parts = request.split("\\?", 2);
      SortedSet<String> names = operations.computeIfAbsent(parts[0], first -> new TreeSet<>());
      if (parts.length > 1) {
        Stream.of(parts[1].split("&")).map(pair -> pair.split("=")[0]).forEach(names::add);
      }
    }
    return operations;
  }
}
