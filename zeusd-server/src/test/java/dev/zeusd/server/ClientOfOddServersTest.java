package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.client.ApiGroup;
import dev.zeusd.client.ClientConfig;
import dev.zeusd.client.Discovery;
import dev.zeusd.client.Endpoint;
import dev.zeusd.client.GpuPowerSample;
import dev.zeusd.client.GpuTelemetry;
import dev.zeusd.client.HistoryRange;
import dev.zeusd.client.Lease;
import dev.zeusd.client.LeaseInfo;
import dev.zeusd.client.LeaseRequest;
import dev.zeusd.client.LeaseState;
import dev.zeusd.client.PowerSamples;
import dev.zeusd.client.PowerScope;
import dev.zeusd.client.SettingKey;
import dev.zeusd.client.ThrottleReason;
import dev.zeusd.client.WindowEnergy;
import dev.zeusd.client.ZeusdClient;
import dev.zeusd.client.ZeusdException;
import dev.zeusd.core.Await;
import java.io.Closeable;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The client, of what is no daemon, or one that is in trouble. */
@Timeout(60)
class ClientOfOddServersTest {
  private static final String SAMPLE = "{\"timestamp_ms\":%d,\"gpu_id\":0,\"power_mw\":70}";

  private static ZeusdClient clientOf(OddServer server) {
    return ZeusdClient.open(ClientConfig.of(server.endpoint()));
  }

  private static List<Long> timestamps(PowerSamples<GpuPowerSample> samples, int count) {
    List<Long> timestamps = new ArrayList<>();
    Iterator<GpuPowerSample> all = samples.iterator();
    while (timestamps.size() < count) {
      timestamps.add(all.next().timestampMs());
    }
    return timestamps;
  }

  // ---- Events ----

  /** All that the standard allows, in pieces of any length. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 7, 1000})
  void eventsMayEndInAnyWay(int piece) throws Exception {
    String text =
        "\uFEFFdata: %s\n\n:comment\r\n\r\nid: 5\rretry: 10\rdata:%s\r\rdata: %s\r\n\r\n"
                .formatted(SAMPLE.formatted(1), SAMPLE.formatted(2), SAMPLE.formatted(3))
            + "data: {\"timestamp_ms\":4,\ndata: \"gpu_id\":0,\"power_mw\":70}\n\n\n\ndata\n\n"
            + "event: x\ndata: "
            + SAMPLE.formatted(5)
            + "\n\ndata: {\"cut";
    try (OddServer server =
            new OddServer(
                (request, nth, out) -> {
                  OddServer.beginEvents(out);
                  byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
                  for (int at = 0; at < bytes.length; at += piece) {
                    out.write(bytes, at, Math.min(piece, bytes.length - at));
                    out.flush();
                  }
                });
        ZeusdClient client = clientOf(server);
        PowerSamples<GpuPowerSample> samples = client.streamGpuPower()) {
      // The connection is closed in the middle of an event, and then it begins anew.
      assertEquals(List.of(1L, 2L, 3L, 4L, 5L, 1L), timestamps(samples, 6));
    }
  }

  @Test
  void anEndlessEventDoesNotFillTheHeap() throws Exception {
    CountDownLatch cut = new CountDownLatch(1);
    try (OddServer server =
            new OddServer(
                (request, nth, out) -> {
                  OddServer.beginEvents(out);
                  if (nth > 1) {
                    OddServer.write(out, "data: " + SAMPLE.formatted(nth) + "\n\n");
                    return;
                  }
                  OddServer.write(out, "data: ");
                  try {
                    while (true) {
                      OddServer.write(out, "x".repeat(10_000) + (nth == 1 ? "" : "\ndata: "));
                    }
                  } catch (IOException e) {
                    cut.countDown();
                    throw e;
                  }
                });
        ZeusdClient client = clientOf(server);
        PowerSamples<GpuPowerSample> samples = client.streamGpuPower()) {
      assertEquals(List.of(2L), timestamps(samples, 1));
      assertTrue(cut.await(30, TimeUnit.SECONDS));
    }
  }

  /** As the page of a proxy where people have to log in. */
  @Test
  void aPageIsNoStream() throws Exception {
    try (OddServer server = OddServer.saying("200 OK", "text/html", "<html>data: 5\n\n</html>");
        ZeusdClient client = clientOf(server)) {
      ZeusdException e = assertThrows(ZeusdException.class, client::streamGpuPower);
      assertTrue(e.getMessage().contains("sends no events"), e::getMessage);
    }
  }

  // ---- Answers ----

  private static final Map<String, Consumer<ZeusdClient>> CALLS =
      Map.ofEntries(
          Map.entry("discover", ZeusdClient::discover),
          Map.entry("timeMs", ZeusdClient::timeMs),
          Map.entry("whoAmI", ZeusdClient::whoAmI),
          Map.entry("gpuPower", client -> client.gpuPower()),
          Map.entry("gpuEnergyMj", client -> client.gpuEnergyMj()),
          Map.entry("powerLimitMw", client -> client.powerLimitMw()),
          Map.entry("powerLimitConstraints", client -> client.powerLimitConstraints()),
          Map.entry("persistenceMode", client -> client.persistenceMode()),
          Map.entry("gpuTelemetry", client -> client.gpuTelemetry()),
          Map.entry("cpuPower", client -> client.cpuPower()),
          Map.entry("cpuEnergy", client -> client.cpuEnergy()),
          Map.entry("gpuPowerHistory", client -> client.gpuPowerHistory(HistoryRange.all())),
          Map.entry("cpuPowerHistory", client -> client.cpuPowerHistory(HistoryRange.all())),
          Map.entry("leases", ZeusdClient::leases),
          Map.entry("energyWindows", ZeusdClient::energyWindows),
          Map.entry("energySoFar", client -> client.energySoFar("x")),
          Map.entry("endEnergyWindow", client -> client.endEnergyWindow("x")),
          Map.entry(
              "beginEnergyWindow",
              client -> client.beginEnergyWindow("", List.of(), List.of(), Duration.ofHours(1))),
          Map.entry("setPowerLimit", client -> client.settings().setPowerLimit(List.of(0), 1)),
          Map.entry(
              "lease",
              client ->
                  client
                      .lease(LeaseRequest.of(List.of(0), Set.of(SettingKey.POWER_LIMIT)))
                      .close()),
          Map.entry("streamGpuPower", client -> client.streamGpuPower().close()));

  /** Whatever comes: an answer that makes sense of it, or the one exception of this library. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "null",
        "[]",
        "{}",
        "<html>",
        "{",
        "{\"errors\":[1]}",
        "{\"errors\":{\"gpus\":3}}",
        "{\"errors\":{\"0\":{\"a\":1}}}",
        "{\"error\":5}",
        "{\"power_mw\":[1,2],\"timestamp_ms\":1}",
        "{\"power_mw\":{\"0\":null},\"timestamp_ms\":1}",
        "{\"power_mw\":{\"0\":[]},\"timestamp_ms\":\"1\"}",
        "{\"power_mw\":{\"99999999999\":{\"mean\":[1],\"min\":[],\"max\":[]}},\"from_ms\":1}",
        "{\"0\":5,\"timestamp_ms\":1e999999999}",
        "{\"0\":{\"energy_mj\":1e999999999,\"power_limit_mw\":-1e999999999}}",
        "{\"0\":{\"energy_mj\":\"5\",\"enabled\":1,\"throttle_reasons\":{}}}",
        "{\"leases\":{},\"windows\":5,\"gpus\":5,\"cpus\":\"x\",\"enabled_api_groups\":[1]}",
        "{\"leases\":[5],\"windows\":[null],\"gpus\":[{\"id\":99999999999}],\"cpus\":[[]]}",
        "{\"lease_id\":\"a\",\"epoch\":\"x\",\"window_id\":7,\"sub\":3,\"scopes\":5}",
        "{\"lease_id\":\"a\",\"epoch\":1,\"gpus\":{\"0\":[]},\"cpus\":{\"0\":5}}",
        "{\"started_ms\":1,\"seconds\":2,\"gpus\":{\"x\":{}},\"cpus\":{},\"total_j\":0}",
        "{\"0\":{},\"\\ud800\":{},\"\u0661\":{}}"
      })
  void anOddAnswerIsNoSurprise(String body) throws Exception {
    for (String status : List.of("200 OK", "201 Created", "302 Found", "429 Slow", "500 Oh")) {
      try (OddServer server = OddServer.saying(status, "application/json", body);
          ZeusdClient client = clientOf(server)) {
        CALLS.forEach(
            (name, call) -> {
              try {
                call.accept(client);
              } catch (ZeusdException e) {
                assertFalse(e.getMessage().isBlank(), name);
              } catch (RuntimeException e) {
                throw new AssertionError(name + " of " + status + " " + body, e);
              }
            });
      }
    }
  }

  /** What no version has said so far: its text is there, and what is known beside it. */
  @Test
  void whatANewerDaemonSaysIsNotLost() throws Exception {
    String answer =
        """
        {"gpus": {"0": {"power_limit": {"result": "restored"}, "fan": {"result": "thawed"}}},
         "lease_id": "a", "epoch": 1,
         "leases": [{"lease_id": "a", "holder": "x", "keys": ["fan", "mem_clocks"],
                     "gpu_ids": [], "state": "frozen"}]}
        """;
    try (OddServer server = OddServer.saying("200 OK", "application/json", answer);
        ZeusdClient client = clientOf(server)) {
      LeaseInfo lease = client.leases().getFirst();
      assertEquals(LeaseState.OTHER, lease.state());
      assertEquals("frozen", lease.stateName());
      assertEquals(Set.of(SettingKey.MEM_CLOCKS), lease.settingKeys());
      assertEquals(List.of("fan", "mem_clocks"), lease.settingKeyNames());

      LeaseRequest request = LeaseRequest.of(List.of(0), Set.of(SettingKey.POWER_LIMIT));
      List<Lease.Restored> ended =
          client.lease(request.withKeeping(LeaseRequest.Keeping.NOT)).end();
      assertEquals(Lease.Restored.Outcome.RESTORED, ended.getFirst().outcome());
      assertEquals(Optional.of(SettingKey.POWER_LIMIT), ended.getFirst().settingKey());
      assertEquals(Lease.Restored.Outcome.OTHER, ended.getLast().outcome());
      assertEquals("thawed", ended.getLast().outcomeName());
      assertEquals(Optional.empty(), ended.getLast().settingKey());
      assertEquals("fan", ended.getLast().settingKeyName());
    }
  }

  @Test
  void devicesOfANewerDaemonAreThere() throws Exception {
    String answer =
        """
        {"enabled_api_groups": ["gpu-read", "npu-read"],
         "gpus": [{"id": 0, "vendor": "acme", "power_scope": "rack"}, {"id": 1}],
         "cpus": [{"id": 0, "domain": "socket"}, {"id": 1, "domain": "psys"}],
         "0": {"throttle_reasons": ["sw_power_cap", "moon_phase"]}}
        """;
    try (OddServer server = OddServer.saying("200 OK", "application/json", answer);
        ZeusdClient client = clientOf(server)) {
      Discovery discovery = client.discover();
      assertEquals(Set.of(ApiGroup.GPU_READ), discovery.enabledApiGroups());
      assertEquals(List.of("gpu-read", "npu-read"), discovery.enabledApiGroupNames());
      Discovery.Gpu gpu = discovery.gpus().getFirst();
      assertEquals(Optional.of("acme"), gpu.vendor());
      assertEquals(Optional.empty(), gpu.powerScope());
      assertEquals("rack", gpu.powerScopeName());
      assertEquals(Optional.of(PowerScope.GPU), discovery.gpus().getLast().powerScope());
      assertEquals(Discovery.Cpu.Domain.OTHER, discovery.cpus().getFirst().domain());
      assertEquals("socket", discovery.cpus().getFirst().domainName());
      assertEquals(Discovery.Cpu.Domain.PSYS, discovery.cpus().getLast().domain());

      GpuTelemetry telemetry = client.gpuTelemetry().get(0);
      assertEquals(
          Optional.of(Set.of(ThrottleReason.SW_POWER_CAP, ThrottleReason.OTHER)),
          telemetry.throttleReasons());
      assertEquals(
          Optional.of(List.of("sw_power_cap", "moon_phase")), telemetry.throttleReasonNames());
    }
  }

  @Test
  void energyThatIsMeasuredInANewWayIsTold() throws Exception {
    String answer =
        """
        {"started_ms": 1, "seconds": 1.234567, "total_j": 0.3, "cpus": {},
         "gpus": {"0": {"energy_mj": 100, "method": "dreamt"},
                  "1": {"energy_mj": 200, "method": "integrated"}}}
        """;
    try (OddServer server = OddServer.saying("200 OK", "application/json", answer);
        ZeusdClient client = clientOf(server)) {
      WindowEnergy energy = client.energySoFar("x");
      assertEquals(WindowEnergy.Method.OTHER, energy.gpus().get(0).method());
      assertEquals("dreamt", energy.gpus().get(0).methodName());
      assertEquals(WindowEnergy.Method.INTEGRATED, energy.gpus().get(1).method());
      assertEquals(Duration.ofNanos(1_234_567_000), energy.elapsed());
    }
  }

  @Test
  void anAnswerThatIsNestedTooDeepIsNoSurprise() throws Exception {
    String deep = "{\"a\":".repeat(100_000) + "1" + "}".repeat(100_000);
    try (OddServer server = OddServer.saying("200 OK", "application/json", deep);
        ZeusdClient client = clientOf(server)) {
      assertThrows(ZeusdException.class, client::discover);
    }
  }

  /** It is frozen, and those who came before have filled its queue. */
  @Test
  void aSocketThatTakesNobodyIsGivenUp(@TempDir Path dir) throws Exception {
    UnixDomainSocketAddress address = UnixDomainSocketAddress.of(dir.resolve("z.sock"));
    List<SocketChannel> others = new ArrayList<>();
    try (ServerSocketChannel frozen = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      frozen.bind(address, 1);
      while (joinsQueue(address, others)) {
        assertTrue(others.size() < 100);
      }
      ClientConfig config =
          ClientConfig.of(new Endpoint.Unix(address.getPath())).withTimeout(Duration.ofMillis(100));
      try (ZeusdClient client = ZeusdClient.open(config)) {
        ZeusdException e = assertThrows(ZeusdException.class, client::discover);
        assertTrue(e.getMessage().contains("no answer within 100 ms"), e::getMessage);
      }
      // There is room again, in a moment.
      Thread.ofPlatform().daemon().start(() -> acceptAll(frozen));
      try (ZeusdClient client =
          ZeusdClient.open(ClientConfig.of(new Endpoint.Unix(address.getPath())))) {
        ZeusdException e = assertThrows(ZeusdException.class, client::discover);
        assertFalse(e.getMessage().contains("no answer"), e::getMessage);
      }
    } finally {
      for (SocketChannel other : others) {
        other.close();
      }
    }
  }

  // ---- Closing ----

  /** Whatever it is that does not answer. */
  @ParameterizedTest
  @ValueSource(strings = {"connect", "handshake", "queue", "answer"})
  void closingEndsWhatIsUnderWay(String stalled, @TempDir Path dir) throws Exception {
    List<Closeable> others = new ArrayList<>();
    try {
      Endpoint endpoint = stalledEndpoint(stalled, dir, others);
      ClientConfig config = ClientConfig.of(endpoint).withTimeout(Duration.ofHours(1));
      for (Consumer<ZeusdClient> call :
          List.<Consumer<ZeusdClient>>of(ZeusdClient::discover, ZeusdClient::streamGpuPower)) {
        ZeusdClient client = ZeusdClient.open(config);
        CompletableFuture<Throwable> failure = new CompletableFuture<>();
        Thread asking =
            Thread.ofPlatform()
                .daemon()
                .start(
                    () ->
                        failure.complete(assertThrows(Throwable.class, () -> call.accept(client))));
        Await.until("it waits", () -> isWaiting(asking));
        client.close();
        Throwable e = failure.get(30, TimeUnit.SECONDS);
        assertEquals("this client is closed", e.getMessage());
        assertThrows(ZeusdException.class, client::discover, "closed for good");
      }
    } finally {
      for (Closeable other : others) {
        other.close();
      }
    }
  }

  private static boolean isWaiting(Thread thread) {
    return Arrays.stream(thread.getStackTrace())
        .anyMatch(
            frame ->
                frame.getClassName().endsWith("Wire") || frame.getMethodName().equals("readHead"));
  }

  private static Endpoint stalledEndpoint(String stalled, Path dir, List<Closeable> others)
      throws IOException {
    if (stalled.equals("queue")) {
      UnixDomainSocketAddress address = UnixDomainSocketAddress.of(dir.resolve("z.sock"));
      ServerSocketChannel frozen = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
      others.add(frozen);
      frozen.bind(address, 1);
      List<SocketChannel> queue = new ArrayList<>();
      while (joinsQueue(address, queue)) {
        assertTrue(queue.size() < 100);
      }
      others.addAll(queue);
      return new Endpoint.Unix(address.getPath());
    }
    int backlog = stalled.equals("connect") ? 1 : 50;
    ServerSocket silent = new ServerSocket(0, backlog, InetAddress.getLoopbackAddress());
    others.add(silent);
    String host = silent.getInetAddress().getHostAddress();
    if (stalled.equals("connect")) {
      fill(silent, others);
    }
    return stalled.equals("handshake")
        ? new Endpoint.Tls(host, silent.getLocalPort())
        : new Endpoint.Tcp(host, silent.getLocalPort());
  }

  /** Until it takes no connection any more. */
  private static void fill(ServerSocket listener, List<Closeable> others) throws IOException {
    for (int i = 0; i < 20; i++) {
      Socket other = new Socket();
      others.add(other);
      try {
        other.connect(listener.getLocalSocketAddress(), 200);
      } catch (SocketTimeoutException e) {
        return;
      }
    }
    throw new AssertionError("it takes any number");
  }

  private static boolean joinsQueue(UnixDomainSocketAddress address, List<SocketChannel> queue)
      throws IOException {
    SocketChannel next = SocketChannel.open(StandardProtocolFamily.UNIX);
    queue.add(next);
    next.configureBlocking(false);
    try {
      return next.connect(address);
    } catch (SocketException e) {
      return false;
    }
  }

  private static void acceptAll(ServerSocketChannel listener) {
    try {
      while (true) {
        listener.accept().close();
      }
    } catch (IOException e) {
      // The test is over.
    }
  }

  // ---- Publishers ----

  /** Remembers how it ended. */
  private static final class Remembering implements Flow.Subscriber<GpuPowerSample> {
    private final long requested;
    private final CountDownLatch ended = new CountDownLatch(1);
    private volatile Throwable failure;

    Remembering(long requested) {
      this.requested = requested;
    }

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
      if (requested != Long.MAX_VALUE) {
        subscription.request(Long.MAX_VALUE);
      }
      subscription.request(requested);
    }

    @Override
    public void onNext(GpuPowerSample sample) {}

    @Override
    public void onError(Throwable thrown) {
      failure = thrown;
      ended.countDown();
    }

    @Override
    public void onComplete() {
      ended.countDown();
    }

    Throwable awaitFailure() throws InterruptedException {
      assertTrue(ended.await(30, TimeUnit.SECONDS));
      return failure;
    }
  }

  private static OddServer ofEndless(String event) throws IOException {
    return new OddServer(
        (request, nth, out) -> {
          OddServer.beginEvents(out);
          while (true) {
            OddServer.write(out, "data: " + event + "\n\n");
          }
        });
  }

  @ParameterizedTest
  @ValueSource(longs = {0, -1})
  void aRequestForNothingIsTold(long count) throws Exception {
    try (OddServer server = ofEndless(SAMPLE.formatted(1));
        ZeusdClient client = clientOf(server)) {
      Remembering subscriber = new Remembering(count);
      client.gpuPowerPublisher().subscribe(subscriber);
      assertInstanceOf(IllegalArgumentException.class, subscriber.awaitFailure());
    }
  }

  @Test
  void anEventThatMakesNoSenseIsTold() throws Exception {
    for (String event : List.of("{}", "[]", "7", "{\"a\":".repeat(20_000) + "1")) {
      try (OddServer server = ofEndless(event);
          ZeusdClient client = clientOf(server)) {
        Remembering subscriber = new Remembering(Long.MAX_VALUE);
        client.gpuPowerPublisher().subscribe(subscriber);
        assertInstanceOf(ZeusdException.class, subscriber.awaitFailure());
      }
    }
  }

  /** Samples wait for one that has not requested any: then nothing would end its thread. */
  @Test
  void closingTheClientEndsASubscriberThatRequestsNothing() throws Exception {
    CountDownLatch ended = new CountDownLatch(1);
    CountDownLatch subscribed = new CountDownLatch(1);
    try (OddServer server = ofEndless(SAMPLE.formatted(1))) {
      try (ZeusdClient client = clientOf(server)) {
        client
            .gpuPowerPublisher()
            .subscribe(
                new Flow.Subscriber<>() {
                  @Override
                  public void onSubscribe(Flow.Subscription subscription) {
                    subscription.request(1);
                  }

                  @Override
                  public void onNext(GpuPowerSample sample) {
                    subscribed.countDown();
                  }

                  @Override
                  public void onError(Throwable failure) {}

                  @Override
                  public void onComplete() {
                    ended.countDown();
                  }
                });
        assertTrue(subscribed.await(30, TimeUnit.SECONDS));
      }
      assertTrue(ended.await(30, TimeUnit.SECONDS));
    }
  }
}
