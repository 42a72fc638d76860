package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.zeusd.core.Await;
import dev.zeusd.core.TestLog;
import dev.zeusd.core.device.GpuSelector;
import dev.zeusd.core.settings.SettingKey;
import dev.zeusd.server.auth.Grant;
import dev.zeusd.server.auth.InvalidTokenException;
import dev.zeusd.server.auth.Policy;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.auth.Who;
import dev.zeusd.server.fuzz.HostileClient;
import dev.zeusd.server.fuzz.HostileRequests;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.server.raw.Usage;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.logging.Level;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Hostile clients against a server in this JVM. {@code -Dfuzz.seed} repeats a failure, {@code
 * -Dfuzz.rounds} looks further.
 */
class FuzzTest {
  private static final long ALWAYS_TRIED_SEED = 4938;
  private static final int ROUNDS = Integer.getInteger("fuzz.rounds", 1000);
  private static final Set<ApiGroup> GPU_GROUPS = Set.of(ApiGroup.GPU_READ, ApiGroup.GPU_CONTROL);
  private static final String TIME = "\\{\"timestamp_ms\":\\d{13}}";

  private final FakeNvml nvml = TestServer.freshNvml();

  static LongStream seeds() {
    return LongStream.of(ALWAYS_TRIED_SEED, Long.getLong("fuzz.seed", new Random().nextLong()));
  }

  static Stream<Arguments> transportsAndSeeds() {
    return Stream.of(Transport.values())
        .flatMap(transport -> seeds().mapToObj(seed -> Arguments.of(transport, seed)));
  }

  @ParameterizedTest
  @MethodSource("transportsAndSeeds")
  void survivesWhateverIsSent(Transport transport, long seed) throws Exception {
    try (TestLog log = new TestLog("");
        TestServer server = TestServer.start(transport, GPU_GROUPS, Optional.empty());
        RawConnection healthy = server.connect()) {
      HostileClient client = new HostileClient(server.address(), seed);
      for (int round = 0; round < 100; round++) {
        client.round(round);
      }
      Await.until("streams end", () -> Await.threads("GPU power") == 0);
      long files = Usage.openFiles();
      int threads = Usage.threads().size();
      for (int round = 100; round < ROUNDS; round++) {
        client.round(round);
        healthy.get("/time").assertOkMatching(TIME);
        assertQuiet(log, seed, round);
      }
      Await.until("streams end", () -> Await.threads("GPU power") == 0);
      Await.until("files are closed", () -> Usage.openFiles() <= files + 5);
      Await.until("threads end", () -> Usage.threads().size() <= threads + 5);
    }
  }

  @ParameterizedTest
  @MethodSource("transportsAndSeeds")
  void nothingTouchesADeviceWithoutAToken(Transport transport, long seed) throws Exception {
    Tokens tokens = TestTokens.checker();
    String good = TestTokens.header("gpu-read", "gpu-control");
    try (TestLog log = new TestLog("");
        TestServer server =
            TestServer.start(transport, EnumSet.allOf(ApiGroup.class), Optional.of(tokens))) {
      HostileClient client = new HostileClient(server.address(), seed);
      long calls = nvml.totalCalls();
      for (int round = 0; round < ROUNDS; round++) {
        client.round(round);
        SplittableRandom random = new SplittableRandom(seed + round);
        HostileRequests hostile = new HostileRequests(random);
        String header =
            random.nextBoolean() ? hostile.mutated(good) : TestTokens.bearer(hostile.token());
        if (!isGood(tokens, header)) {
          client.send(RawConnection.request("GET", "/gpu/get_power", header), random, round);
        }
        assertEquals(calls, nvml.totalCalls(), () -> "seed " + seed + ", touched by " + header);
        assertQuiet(log, seed, round);
      }
    }
  }

  /** A mutation may leave all that counts as it was. */
  private static boolean isGood(Tokens tokens, String header) {
    try {
      tokens.verify(header.substring(header.indexOf(' ', "Authorization: ".length()) + 1).strip());
      return true;
    } catch (InvalidTokenException e) {
      return false;
    }
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void refusedParametersTouchNoDevice(long seed) throws Exception {
    try (TestLog log = new TestLog("");
        TestServer server = TestServer.start(Transport.UDS, GPU_GROUPS, Optional.empty())) {
      int touched = 0;
      for (int round = 0; round < ROUNDS; round++) {
        String request = new HostileRequests(new SplittableRandom(seed + round)).deviceRequest();
        long calls = nvml.totalCalls();
        RawResponse response = send(server, request);
        if (response.status() == 200 || response.body().contains("\"errors\":")) {
          touched++;
        } else {
          assertEquals(calls, nvml.totalCalls(), () -> "seed " + seed + ", touched by " + request);
        }
        assertQuiet(log, seed, round);
      }
      int count = touched;
      assertTrue(count > 0 && count < ROUNDS, () -> count + " of " + ROUNDS + " got through");
    }
  }

  /** What is granted is done now and then; what is not, never. */
  @ParameterizedTest
  @MethodSource("seeds")
  void nothingForbiddenReachesADevice(long seed) throws Exception {
    Grant limits =
        new Grant(
            List.of(Who.parse("uid:" + Files.getAttribute(Path.of("/proc/self"), "unix:uid"))),
            GPU_GROUPS,
            false,
            List.of(new GpuSelector.Index(0), new GpuSelector.Index(1)),
            Set.of(SettingKey.POWER_LIMIT),
            Map.of(SettingKey.POWER_LIMIT, new Grant.Range(200_000, 250_000)));
    Policy policy = new Policy(List.of(limits));
    try (TestServer server =
        TestServer.start(Transport.UDS, GPU_GROUPS, Optional.empty(), policy)) {
      HostileClient client = new HostileClient(server.address(), seed);
      for (int round = 0; round < ROUNDS; round++) {
        client.round(round);
        send(server, new HostileRequests(new SplittableRandom(seed + round)).deviceRequest());
      }
      send(
          server,
          RawConnection.request(
              "POST", "/gpu/set_power_limit?gpu_ids=1&power_limit_mw=200000&block=true"));
      assertEquals(200_000, nvml.gpu(1).powerLimitMw());
      nvml.history().stream()
          .filter(call -> call.call().name().contains("SET_"))
          .forEach(
              call ->
                  assertTrue(
                      call.call() == Call.SET_POWER_LIMIT
                          && call.device() < 2
                          && call.a() >= 200_000
                          && call.a() <= 250_000,
                      () -> "seed " + seed + ": forbidden " + call));
    }
  }

  private static RawResponse send(TestServer server, String request) throws IOException {
    try (RawConnection connection = server.connect()) {
      return connection.send(request).readResponse();
    }
  }

  /** Strangers cannot fill the log: it tells only of commands that a GPU was given. */
  private static void assertQuiet(TestLog log, long seed, int round) {
    Stream.of(Level.WARNING, Level.SEVERE)
        .flatMap(level -> log.lines(level).stream())
        .filter(line -> !line.contains(" on GPUs ["))
        .forEach(line -> fail("seed " + seed + ", round " + round + " made the log say: " + line));
  }
}
