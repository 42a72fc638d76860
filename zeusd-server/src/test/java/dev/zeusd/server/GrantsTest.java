package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.device.GpuSelector;
import dev.zeusd.core.settings.SettingKey;
import dev.zeusd.server.auth.Grant;
import dev.zeusd.server.auth.Policy;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.auth.Who;
import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Who may do what, by grants: over real sockets, down to the calls that reach the driver. */
class GrantsTest {
  private static final Set<ApiGroup> GPU_GROUPS = Set.of(ApiGroup.GPU_READ, ApiGroup.GPU_CONTROL);
  private static final int OWN_UID = ownId("uid");

  private final FakeNvml nvml = TestServer.freshNvml();

  private static int ownId(String which) {
    try {
      return (Integer)
          java.nio.file.Files.getAttribute(java.nio.file.Path.of("/proc/self"), "unix:" + which);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private static Grant grant(String who, Set<ApiGroup> groups, Integer... gpus) {
    return new Grant(
        List.of(Who.parse(who)),
        groups,
        false,
        Stream.of(gpus).<GpuSelector>map(GpuSelector.Index::new).toList(),
        EnumSet.allOf(SettingKey.class),
        Map.of());
  }

  private static Grant bounded(Grant grant, SettingKey key, long min, long max) {
    return new Grant(
        grant.who(),
        grant.groups(),
        false,
        grant.gpus(),
        grant.settingKeys(),
        Map.of(key, new Grant.Range(min, max)));
  }

  private static Policy policy(Grant... grants) {
    return new Policy(List.of(grants));
  }

  private static RawResponse request(TestServer server, String method, String target, String... h)
      throws IOException {
    try (RawConnection connection = server.connect()) {
      return connection.send(RawConnection.request(method, target, h)).readResponse();
    }
  }

  private static String powerLimit(String gpus, long milliwatts) {
    return "/gpu/set_power_limit?gpu_ids=" + gpus + "&power_limit_mw=" + milliwatts + "&block=true";
  }

  // ---- The table ----

  private record Grants(String name, Policy policy) {}

  private static List<Grants> policies() {
    String self = "uid:" + OWN_UID;
    Grant control = grant(self, GPU_GROUPS);
    Grant byToken =
        bounded(grant("token:alice", GPU_GROUPS, 1), SettingKey.POWER_LIMIT, 0, 200_000);
    return List.of(
        new Grants("none", Policy.OPEN),
        new Grants("somebody else's", policy(grant("uid:54321", GPU_GROUPS))),
        new Grants("all", policy(control)),
        new Grants("by group", policy(grant("gid:" + ownId("gid"), GPU_GROUPS, 0, 2))),
        new Grants("reading", policy(grant(self, Set.of(ApiGroup.GPU_READ), 1))),
        new Grants("bounds", policy(bounded(control, SettingKey.POWER_LIMIT, 150_000, 200_000))),
        new Grants(
            "bounds of one GPU, and another one",
            policy(
                bounded(grant(self, GPU_GROUPS, 0), SettingKey.POWER_LIMIT, 150_000, 200_000),
                bounded(grant(self, GPU_GROUPS, 1, 0), SettingKey.POWER_LIMIT, 250_000, 300_000))),
        new Grants("a token's", policy(byToken)),
        new Grants(
            "a certificate's",
            policy(
                bounded(
                    grant("cert:" + TestTls.CLIENT_SUBJECT, GPU_GROUPS, 1),
                    SettingKey.POWER_LIMIT,
                    0,
                    200_000))),
        new Grants("both", policy(grant(self, GPU_GROUPS, 0), byToken)));
  }

  /** What somebody may do, in the words of the documentation. */
  private static boolean allows(
      Policy policy, Set<String> who, ApiGroup group, int gpu, long milliwatts) {
    for (Grant grant : policy.grants()) {
      boolean isFor = grant.who().stream().anyMatch(each -> who.contains(each.toString()));
      boolean isOfGpu = grant.gpus().isEmpty() || grant.gpus().contains(new GpuSelector.Index(gpu));
      Grant.Range range =
          grant.bounds().getOrDefault(SettingKey.POWER_LIMIT, new Grant.Range(0, 1L << 32));
      boolean isWithin = milliwatts >= range.min() && milliwatts <= range.max();
      if (isFor && isOfGpu && grant.groups().contains(group) && isWithin) {
        return true;
      }
    }
    return policy.isOpen();
  }

  @ParameterizedTest
  @EnumSource(Transport.class)
  void theTableIsAsTheModelSays(Transport transport) throws IOException {
    for (boolean withToken : new boolean[] {false, true}) {
      Optional<Tokens> tokens = withToken ? Optional.of(TestTokens.checker()) : Optional.empty();
      String[] headers =
          withToken ? new String[] {TestTokens.header("gpu-read", "gpu-control")} : new String[0];
      Set<String> who =
          Stream.of(
                  switch (transport) {
                    case UDS -> List.of("uid:" + OWN_UID, "gid:" + ownId("gid"));
                    case TLS -> List.of("cert:" + TestTls.CLIENT_SUBJECT);
                    case TCP -> List.<String>of();
                  },
                  withToken ? List.of("token:alice") : List.<String>of())
              .flatMap(List::stream)
              .collect(Collectors.toSet());
      for (Grants grants : policies()) {
        try (TestServer server = TestServer.start(transport, GPU_GROUPS, tokens, grants.policy)) {
          for (int gpu = 0; gpu < 3; gpu++) {
            String row = transport + " " + who + " by " + grants.name + ", GPU " + gpu;
            for (long milliwatts : new long[] {149_999, 150_000, 200_000, 200_001, 300_000}) {
              assertWrite(server, grants.policy, who, gpu, milliwatts, headers, row);
            }
            boolean mayRead = allowsReading(grants.policy, who, gpu);
            RawResponse read =
                request(server, "GET", "/gpu/get_power_limit?gpu_ids=" + gpu, headers);
            assertEquals(mayRead ? 200 : 403, read.status(), row + ": " + read);
          }
        }
      }
    }
  }

  private static boolean allowsReading(Policy policy, Set<String> who, int gpu) {
    return IntStream.of(0, 150_000, 300_000)
        .anyMatch(any -> allows(policy, who, ApiGroup.GPU_READ, gpu, any));
  }

  private void assertWrite(
      TestServer server,
      Policy policy,
      Set<String> who,
      int gpu,
      long milliwatts,
      String[] headers,
      String row)
      throws IOException {
    boolean allowed = allows(policy, who, ApiGroup.GPU_CONTROL, gpu, milliwatts);
    long writes = nvml.calls(Call.SET_POWER_LIMIT);
    RawResponse response = request(server, "POST", powerLimit("" + gpu, milliwatts), headers);
    String what = row + ", " + milliwatts + " mW: " + response;
    assertEquals(allowed ? 200 : 403, response.status(), what);
    assertEquals(writes + (allowed ? 1 : 0), nvml.calls(Call.SET_POWER_LIMIT), what);
  }

  // ---- What is told, and what is open ----

  @Test
  void aRefusalNamesWhoWhatAndWhatWouldBeAllowed() throws IOException {
    Policy policy =
        policy(
            bounded(
                grant("uid:" + OWN_UID, Set.of(ApiGroup.GPU_CONTROL), 0),
                SettingKey.POWER_LIMIT,
                150_000,
                200_500));
    try (TestServer server =
        TestServer.start(Transport.UDS, GPU_GROUPS, Optional.empty(), policy)) {
      request(server, "POST", powerLimit("0", 250_000))
          .assertError(403, "local user", "250000 mW", "GPU 0", "150 to 200.5 W");
      request(server, "POST", powerLimit("0,1", 200_000))
          .assertError(403, "local user", "GPU 1", "granted is GPU 0");
      request(server, "GET", "/gpu/get_power")
          .assertError(403, "local user", "gpu-read", "granted are gpu-control");
      server.replaceAccess(Optional.empty(), policy(grant("uid:54321", GPU_GROUPS)));
      request(server, "GET", "/gpu/get_power").assertError(403, "local user", "none is for it");
    }
  }

  @Test
  void whatIsPublicStaysPublic() throws IOException {
    Policy nobody = policy(grant("uid:54321", GPU_GROUPS));
    try (TestServer server =
        TestServer.start(Transport.TCP, GPU_GROUPS, Optional.empty(), nobody)) {
      assertEquals(200, server.get("/discover").status());
      assertEquals(200, server.get("/time").status());
      assertEquals(404, server.get("/nothing").status());
    }
  }

  @Test
  void aReadOfAllIsAReadOfWhatMayBeRead() throws IOException {
    Policy policy = policy(grant("uid:" + OWN_UID, Set.of(ApiGroup.GPU_READ), 1, 3));
    try (TestServer server =
        TestServer.start(Transport.UDS, GPU_GROUPS, Optional.empty(), policy)) {
      server.get("/gpu/get_power_limit").assertOkMatching("\\{\"1\":\\{.*},\"3\":\\{.*}}");
      server.get("/gpu/get_power_limit?gpu_ids=1").assertOkMatching("\\{\"1\":\\{.*}}");
      server.get("/gpu/get_power_limit?gpu_ids=1,2").assertError(403, "GPU 2", "GPUs 1, 3");
      try (EventStream stream = server.stream("/gpu/stream_power")) {
        assertEquals(1, stream.nextSample().gpuId());
        assertEquals(3, stream.nextSample().gpuId());
      }
      try (RawConnection connection = server.connect()) {
        connection.get("/gpu/stream_power?gpu_ids=0").assertError(403, "GPU 0");
      }
    }
  }

  /** What the driver would choose is within no range; other settings are not granted at all. */
  @Test
  void resetsAreWithinBoundsOnlyIfWhatTheySetIs() throws IOException {
    Grant clocks = bounded(grant("uid:" + OWN_UID, GPU_GROUPS), SettingKey.GPU_CLOCKS, 900, 1500);
    try (TestServer server =
        TestServer.start(Transport.UDS, GPU_GROUPS, Optional.empty(), policy(clocks))) {
      String set = "/gpu/set_gpu_locked_clocks?gpu_ids=0&block=true&min_clock_mhz=";
      assertEquals(200, request(server, "POST", set + "900&max_clock_mhz=1500").status());
      request(server, "POST", set + "900&max_clock_mhz=1501").assertError(403, "900 to 1500 MHz");
      request(server, "POST", set + "899&max_clock_mhz=1500").assertError(403, "899-1500 MHz");
      for (String reset : List.of("reset_gpu_locked_clocks", "reset_locked_clocks")) {
        request(server, "POST", "/gpu/" + reset + "?gpu_ids=0&block=true")
            .assertError(403, "what the driver chooses");
      }
      assertEquals(
          200,
          request(server, "POST", "/gpu/reset_mem_locked_clocks?gpu_ids=0&block=true").status());
      server.replaceAccess(
          Optional.empty(),
          policy(bounded(grant("uid:" + OWN_UID, GPU_GROUPS), SettingKey.POWER_LIMIT, 0, 100_000)));
      long writes = nvml.calls(Call.SET_POWER_LIMIT);
      RawResponse reset = request(server, "POST", "/gpu/reset_power_limit?gpu_ids=0&block=true");
      assertEquals(403, reset.status(), reset::toString);
      assertTrue(reset.body().contains("0 to 100 W"), reset::toString);
      assertEquals(writes, nvml.calls(Call.SET_POWER_LIMIT));
    }
  }

  @Test
  void theDriverIsReleasedByWhoHasAllGpus() throws IOException {
    Grant some = grant("uid:" + OWN_UID, GPU_GROUPS, 0, 1, 2, 3);
    try (TestServer server =
        TestServer.start(Transport.UDS, GPU_GROUPS, Optional.empty(), policy(some))) {
      request(server, "POST", "/gpu/release").assertError(403, "all GPUs", "GPUs 0, 1, 2, 3");
      server.replaceAccess(Optional.empty(), policy(grant("uid:" + OWN_UID, GPU_GROUPS)));
      assertEquals(200, request(server, "POST", "/gpu/release").status());
    }
  }

  @Test
  void metricsTellOfNoLeasesOfOtherGpus() throws IOException {
    try (TestServer server =
        TestServer.start(Transport.UDS, GPU_GROUPS, Optional.empty(), Policy.OPEN)) {
      for (int gpu : List.of(0, 1)) {
        String lease = "/lease?ttl_s=60&keys=power_limit&gpu_ids=" + gpu;
        assertEquals(201, request(server, "POST", lease).status());
      }
      String self = "uid:" + OWN_UID;
      server.replaceAccess(Optional.empty(), policy(grant(self, GPU_GROUPS, 1)));
      String text = request(server, "GET", "/metrics").body();
      assertTrue(text.contains("zeusd_leases{state=\"active\"} 1.0"), text);
      assertTrue(text.contains("zeusd_setting_lease_info{gpu=\"1\""), text);
      assertFalse(text.contains("gpu=\"0\""), text);
      server.replaceAccess(Optional.empty(), policy(grant(self, Set.of(ApiGroup.GPU_READ), 2)));
      text = request(server, "GET", "/metrics").body();
      assertTrue(text.contains("zeusd_leases{state=\"active\"} 0.0"), text);
      assertFalse(text.contains("zeusd_setting_lease_info"), text);
    }
  }

  @Test
  void leasesAreOfWhatMayBeChanged() throws IOException {
    Grant grant = grant("uid:" + OWN_UID, GPU_GROUPS, 0);
    Grant limitsOnly =
        new Grant(
            grant.who(),
            grant.groups(),
            false,
            grant.gpus(),
            Set.of(SettingKey.POWER_LIMIT),
            Map.of(SettingKey.POWER_LIMIT, new Grant.Range(150_000, 200_000)));
    try (TestServer server =
        TestServer.start(Transport.UDS, GPU_GROUPS, Optional.empty(), policy(limitsOnly))) {
      String lease = "/lease?ttl_s=60&gpu_ids=";
      request(server, "POST", lease + "0,1&keys=power_limit").assertError(403, "GPU 1");
      request(server, "POST", lease + "0&keys=power_limit,gpu_clocks")
          .assertError(403, "gpu_clocks", "power_limit 150 to 200 W");
      RawResponse taken = request(server, "POST", lease + "0&keys=power_limit");
      assertEquals(201, taken.status(), taken::toString);
      String header =
          "Zeusd-Lease: "
              + taken.body().replaceAll(".*\"lease_id\":\"([^\"]+)\",\"epoch\":(\\d+).*", "$1:$2");
      request(server, "POST", powerLimit("0", 250_000), header).assertError(403, "200 W");
      assertEquals(200, request(server, "POST", powerLimit("0", 160_000), header).status());
      // The daemon's own act, although 300 W are out of bounds.
      String id = header.replaceAll(".* (.*):.*", "$1");
      assertEquals(200, request(server, "POST", "/lease/end?lease_id=" + id).status());
      assertEquals(300_000, nvml.gpu(0).powerLimitMw());
    }
  }

  // ---- Reloads ----

  @Test
  void aStreamEndsWhenItsRightIsGoneAndOthersGoOn() throws Exception {
    Policy both = policy(grant("uid:" + OWN_UID, Set.of(ApiGroup.GPU_READ)));
    Policy one = policy(grant("uid:" + OWN_UID, Set.of(ApiGroup.GPU_READ), 1));
    try (TestServer server = TestServer.start(Transport.UDS, GPU_GROUPS, Optional.empty(), both);
        RawConnection connection = server.connect();
        EventStream first = connection.stream("/gpu/stream_power?gpu_ids=0");
        EventStream second = server.stream("/gpu/stream_power?gpu_ids=1")) {
      first.nextData();
      second.nextData();
      assertEquals(1, server.replaceAccess(Optional.empty(), one));
      connection.drain(RawConnection.PATIENCE);
      assertGoesOn(second);
      assertEquals(0, server.replaceAccess(Optional.empty(), Policy.OPEN));
      assertGoesOn(second);
    }
  }

  @Test
  void whoMayNotChangeAGpuAnyMoreKeepsNoLeaseOfIt() throws Exception {
    Policy both = policy(grant("uid:" + OWN_UID, GPU_GROUPS));
    Policy one = policy(grant("uid:" + OWN_UID, GPU_GROUPS, 1));
    try (TestServer server = TestServer.start(Transport.UDS, GPU_GROUPS, Optional.empty(), both);
        RawConnection connection = server.connect()) {
      String ofGpu0 = leaseId(request(server, "POST", LEASE + "0"));
      String ofGpu1 = leaseId(request(server, "POST", LEASE + "1"));
      try (EventStream lost = connection.stream("/lease/hold?lease_id=" + ofGpu0);
          EventStream kept = server.stream("/lease/hold?lease_id=" + ofGpu1)) {
        lost.nextData();
        kept.nextData();
        assertEquals(1, server.replaceAccess(Optional.empty(), one));
        connection.drain(RawConnection.PATIENCE);
        assertGoesOn(kept);
      }
      request(server, "POST", "/lease/renew?lease_id=" + ofGpu0).assertError(403, "GPU 0");
      request(server, "GET", "/lease/hold?lease_id=" + ofGpu0).assertError(403, "GPU 0");
      assertEquals(200, request(server, "POST", "/lease/renew?lease_id=" + ofGpu1).status());
      // To give it back is always right.
      assertEquals(200, request(server, "POST", "/lease/end?lease_id=" + ofGpu0).status());
    }
  }

  private static final String LEASE = "/lease?ttl_s=60&keys=power_limit,gpu_clocks&gpu_ids=";

  private static String leaseId(RawResponse taken) {
    return taken.body().replaceAll(".*\"lease_id\":\"([^\"]+)\".*", "$1");
  }

  /** Power is steady, so there are but signs of life. */
  private static void assertGoesOn(EventStream stream) throws IOException {
    for (int i = 0; i < 3; i++) {
      stream.next(RawConnection.PATIENCE);
    }
  }

  @Test
  void aStreamEndsWhenItsTokenIsRevoked() throws Exception {
    Tokens tokens = TestTokens.checker();
    String bad = TestTokens.hs256("{\"sub\":\"eve\",\"scopes\":[\"gpu-read\"],\"jti\":\"e1\"}");
    try (TestServer server =
            TestServer.start(Transport.TCP, GPU_GROUPS, Optional.of(tokens), Policy.OPEN);
        RawConnection connection = server.connect();
        EventStream stream = connection.stream("/gpu/stream_power", TestTokens.bearer(bad));
        RawConnection other = server.connect();
        EventStream good = other.stream("/gpu/stream_power", TestTokens.header("gpu-read"))) {
      stream.nextData();
      good.nextData();
      assertEquals(
          1, server.replaceAccess(Optional.of(tokens.withRevoked(Set.of("e1"))), Policy.OPEN));
      connection.drain(RawConnection.PATIENCE);
      assertGoesOn(good);
      request(server, "GET", "/gpu/get_power", TestTokens.bearer(bad)).assertError(401, "revoked");
    }
  }

  /** A policy that allows one range of power limits; which one changes all the time. */
  private static Policy allowing(int band) {
    long min = 100_000 + band * 10_000L;
    return policy(
        bounded(
            grant("uid:" + OWN_UID, Set.of(ApiGroup.GPU_CONTROL)),
            SettingKey.POWER_LIMIT,
            min,
            min + 9_999));
  }

  @Test
  void noReloadLetsAForbiddenWriteThrough() throws Exception {
    long seed = Long.getLong("grants.seed", new Random().nextLong());
    Random random = new Random(seed);
    List<Integer> bands = java.util.Collections.synchronizedList(new ArrayList<>(List.of(0)));
    AtomicInteger begun = new AtomicInteger();
    AtomicInteger done = new AtomicInteger();
    AtomicBoolean stop = new AtomicBoolean();
    // By power limit, each of which is asked for once: the first and last state that may count.
    Map<Long, int[]> asked = new ConcurrentHashMap<>();
    Map<Long, Integer> answers = new ConcurrentHashMap<>();
    try (TestServer server =
        TestServer.start(Transport.UDS, GPU_GROUPS, Optional.empty(), allowing(0))) {
      List<Thread> writers = new ArrayList<>();
      List<Throwable> failures = java.util.Collections.synchronizedList(new ArrayList<>());
      AtomicInteger unique = new AtomicInteger();
      for (int writer = 0; writer < 3; writer++) {
        writers.add(
            Thread.ofPlatform()
                .start(
                    () -> {
                      try (RawConnection connection = server.connect()) {
                        while (!stop.get()) {
                          int n = unique.incrementAndGet();
                          long value = 100_000 + n % 3 * 10_000L + n / 3 % 10_000;
                          int first = done.get();
                          connection.send(
                              RawConnection.request("POST", powerLimit("" + n % 4, value)));
                          answers.put(value, connection.readResponse().status());
                          asked.put(value, new int[] {first, begun.get()});
                        }
                      } catch (IOException | RuntimeException | Error e) {
                        failures.add(e);
                      }
                    }));
      }
      for (int reload = 1; reload <= 150; reload++) {
        int band = random.nextInt(3);
        bands.add(band);
        begun.set(reload);
        server.replaceAccess(Optional.empty(), allowing(band));
        done.set(reload);
        Thread.sleep(random.nextInt(4));
      }
      stop.set(true);
      for (Thread writer : writers) {
        writer.join();
      }
      assertEquals(List.of(), failures);
    }
    Set<Long> reached =
        nvml.history().stream()
            .filter(call -> call.call() == Call.SET_POWER_LIMIT)
            .map(call -> call.a())
            .collect(Collectors.toSet());
    int refused = 0;
    for (Map.Entry<Long, int[]> request : asked.entrySet()) {
      long value = request.getKey();
      int band = (int) ((value - 100_000) / 10_000);
      Set<Integer> inForce =
          Set.copyOf(bands.subList(request.getValue()[0], request.getValue()[1] + 1));
      String what = "seed " + seed + ": " + value + " mW while " + inForce + " counted";
      boolean isReached = reached.contains(value);
      assertEquals(isReached, answers.get(value) == 200, what);
      assertTrue(isReached ? inForce.contains(band) : !inForce.equals(Set.of(band)), what);
      refused += isReached ? 0 : 1;
    }
    int refusals = refused;
    assertTrue(refused > 10 && reached.size() > 10, () -> refusals + " and " + reached.size());
    assertFalse(asked.isEmpty());
  }

  @Test
  void anEnergyWindowMeasuresWhatMayBeRead() throws IOException {
    Grant own = grant("uid:" + OWN_UID, Set.of(ApiGroup.GPU_READ), 1);
    try (TestServer server =
        TestServer.start(Transport.UDS, GPU_GROUPS, Optional.empty(), policy(own))) {
      request(server, "POST", "/energy/begin?gpu_ids=0,1").assertError(403, "GPU 0");
      RawResponse begun = request(server, "POST", "/energy/begin");
      assertEquals(201, begun.status(), begun::toString);
      String id = begun.body().replaceFirst("\\{\"window_id\":\"([0-9a-f]{32})\".*", "$1");
      String energy = request(server, "GET", "/energy/window?window_id=" + id).body();
      assertTrue(energy.contains("\"gpus\":{\"1\":{"), energy);
      Grant others = grant("uid:" + OWN_UID, Set.of(ApiGroup.GPU_READ), 0);
      server.replaceAccess(Optional.empty(), policy(others));
      request(server, "POST", "/energy/end?window_id=" + id).assertError(403, "GPU 1");
      Grant nothing = grant("uid:" + OWN_UID, Set.of(ApiGroup.GPU_CONTROL));
      server.replaceAccess(Optional.empty(), policy(nothing));
      request(server, "POST", "/energy/begin").assertError(403, "gpu-read");
    }
  }
}
