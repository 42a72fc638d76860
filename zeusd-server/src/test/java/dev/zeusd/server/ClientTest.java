package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.client.ClientConfig;
import dev.zeusd.client.Discovery;
import dev.zeusd.client.Endpoint;
import dev.zeusd.client.GpuPowerSample;
import dev.zeusd.client.GpuTelemetry;
import dev.zeusd.client.Lease;
import dev.zeusd.client.LeaseRequest;
import dev.zeusd.client.LeaseState;
import dev.zeusd.client.PerDevice;
import dev.zeusd.client.PowerLimitConstraints;
import dev.zeusd.client.PowerSamples;
import dev.zeusd.client.SettingKey;
import dev.zeusd.client.TlsFiles;
import dev.zeusd.client.TokenInfo;
import dev.zeusd.client.ZeusdClient;
import dev.zeusd.client.ZeusdException;
import dev.zeusd.core.Await;
import dev.zeusd.core.Metronome;
import dev.zeusd.core.rapl.RaplTree;
import dev.zeusd.server.raw.TestAuthority;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import dev.zeusd.testkit.nvml.FakeNvml.Clocks;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** The client library against the server, down to the driver's calls. */
@Timeout(60)
class ClientTest {
  private static final int NO_PERMISSION = 4;
  private static final int GPU_IS_LOST = 15;

  private final FakeNvml nvml = TestServer.freshNvml();
  private final List<AutoCloseable> open = new ArrayList<>();
  private TestServer server;
  private Transport transport = Transport.UDS;

  private ZeusdClient start(Transport wanted, Path rapl) throws IOException {
    transport = wanted;
    server = TestServer.startAll(wanted, rapl);
    open.add(server);
    return client();
  }

  private ZeusdClient client() throws IOException {
    return opened(ZeusdClient.open(config()));
  }

  private ClientConfig config() throws IOException {
    return switch (transport) {
      case UDS ->
          ClientConfig.of(
              new Endpoint.Unix(((UnixDomainSocketAddress) server.address()).getPath()));
      case TCP -> ClientConfig.of(new Endpoint.Tcp("127.0.0.1", port(server.address())));
      case TLS -> {
        TestAuthority.Issued own = TestTls.authority().client("/CN=client test");
        TlsFiles files =
            new TlsFiles(
                Optional.of(TestTls.authority().certificate()),
                Optional.of(new TlsFiles.Identity(own.certificate(), own.key())));
        yield ClientConfig.of(new Endpoint.Tls("127.0.0.1", port(server.tlsAddress())))
            .withSslContext(files.context());
      }
    };
  }

  private static int port(SocketAddress address) {
    return ((InetSocketAddress) address).getPort();
  }

  private <T extends AutoCloseable> T opened(T resource) {
    open.add(resource);
    return resource;
  }

  @AfterEach
  void closeAll() throws Exception {
    for (AutoCloseable resource : open.reversed()) {
      resource.close();
    }
  }

  private static void await(Await.Condition condition) throws InterruptedException {
    Await.until("what was waited for", condition);
  }

  private static Path rapl(Path dir) {
    RaplTree tree = new RaplTree(dir.resolve("rapl"));
    tree.zone(0, "package-0").energy(1_000_000).subZone(0, "dram").energy(500_000);
    tree.zone(1, "package-1").energy(2_000_000);
    return tree.dir();
  }

  @ParameterizedTest
  @EnumSource
  void readsAllThereIs(Transport wanted, @TempDir Path dir) throws IOException {
    nvml.deviceCount(2);
    nvml.gpu(0).name("Fake A").powerMw(123_456).energyMj(-2).temperaturesC(61, 70);
    nvml.gpu(1).name("Fake B").powerMw(7).powerLimits(100_000, 250_000, 300_000);
    try (ZeusdClient client = start(wanted, rapl(dir))) {
      Discovery all = client.discover();
      assertEquals(
          List.of("Fake A", "Fake B"), all.gpus().stream().map(Discovery.Gpu::name).toList());
      assertEquals(
          List.of(new Discovery.Cpu(0, true, "package"), new Discovery.Cpu(1, false, "package")),
          all.cpus());
      assertFalse(all.authRequired());
      assertEquals(
          wanted == Transport.TLS ? Optional.of("CN=client test") : Optional.empty(),
          client.whoAmI().map(TokenInfo::user));
      assertTrue(Math.abs(client.timeMs() - System.currentTimeMillis()) < 60_000);

      assertEquals(Map.of(0, 123_456L, 1, 7L), client.gpuPower().powerMw().values());
      assertEquals(Set.of(1), client.gpuPower(1).powerMw().values().keySet());
      assertEquals("18446744073709551614", Long.toUnsignedString(client.gpuEnergyMj(0).get(0)));
      assertEquals(
          new PowerLimitConstraints(100_000, 300_000), client.powerLimitConstraints(1).get(1));
      GpuTelemetry telemetry = client.gpuTelemetry(0).get(0);
      assertEquals(OptionalInt.of(61), telemetry.temperatureC());
      assertEquals(OptionalLong.of(300_000), telemetry.powerLimitMw());
      assertFalse(client.persistenceMode().get(1));

      assertEquals(Set.of(0, 1), client.cpuPower().power().values().keySet());
      assertTrue(client.cpuEnergy().get(0).dramEnergyUj().isPresent());
      assertTrue(client.cpuEnergy().get(1).dramEnergyUj().isEmpty());
      assertTrue(client.metrics().contains("zeusd_gpu_power_watts"));
      assertTrue(client.openApi().startsWith("{"));
      client.releaseDriver();
    }
  }

  @Test
  void aDeviceThatFailsCostsItselfAlone(@TempDir Path dir) throws IOException {
    nvml.deviceCount(2);
    nvml.gpu(1).allErrors(GPU_IS_LOST);
    ZeusdClient client = start(Transport.UDS, rapl(dir));
    PerDevice<Long> energy = client.gpuEnergyMj();
    assertEquals(Set.of(0), energy.values().keySet());
    assertEquals(Set.of(1), energy.errors().keySet());
    ZeusdException lost = assertThrows(ZeusdException.class, () -> energy.get(1));
    assertTrue(lost.getMessage().contains(energy.errors().get(1)), lost.getMessage());
    assertThrows(IllegalArgumentException.class, () -> energy.get(7));
    // Nothing at all was read.
    ZeusdException all = assertThrows(ZeusdException.class, () -> client.gpuEnergyMj(1));
    assertEquals(OptionalInt.of(500), all.status());
    assertEquals(Set.of(1), all.deviceErrors().keySet());
  }

  @ParameterizedTest
  @EnumSource
  void writes(Transport transport, @TempDir Path dir) throws Exception {
    nvml.deviceCount(2);
    ZeusdClient client = start(transport, rapl(dir));
    client.settings().setPowerLimit(List.of(0, 1), 222_000);
    assertEquals(Map.of(0, 222_000L, 1, 222_000L), client.powerLimitMw().values());
    client.settings().lockGpuClocks(List.of(1), 600, 900);
    assertEquals(new Clocks(600, 900), nvml.gpu(1).gpuLockedClocks());
    client.settings().setPersistenceMode(List.of(0), true);
    assertTrue(nvml.gpu(0).persistenceMode());
    client.settings().withoutWaiting().setPowerLimit(List.of(0), 221_000);
    await(() -> nvml.gpu(0).powerLimitMw() == 221_000);

    nvml.gpu(1).error(Call.SET_POWER_LIMIT, NO_PERMISSION);
    ZeusdException refused =
        assertThrows(
            ZeusdException.class, () -> client.settings().setPowerLimit(List.of(0, 1), 220_000));
    assertEquals(OptionalInt.of(403), refused.status());
    assertEquals(Set.of(1), refused.deviceErrors().keySet());
    assertTrue(refused.getMessage().startsWith("GPU 1: "), refused.getMessage());
    assertEquals(220_000, nvml.gpu(0).powerLimitMw());

    ZeusdException unknown =
        assertThrows(ZeusdException.class, () -> client.settings().resetClocks(List.of(9)));
    assertEquals(OptionalInt.of(400), unknown.status());
    assertTrue(unknown.getMessage().contains("names device 9"), unknown.getMessage());
  }

  @ParameterizedTest
  @EnumSource
  void aLeaseLastsUntilItIsClosed(Transport transport, @TempDir Path dir) throws Exception {
    ZeusdClient client = start(transport, rapl(dir));
    long before = client.powerLimitMw(0).get(0);
    LeaseRequest request = LeaseRequest.of(List.of(0), EnumSet.of(SettingKey.POWER_LIMIT));
    try (Lease lease = client.lease(request)) {
      lease.settings().setPowerLimit(List.of(0), 201_000);
      assertEquals(201_000, nvml.gpu(0).powerLimitMw());
      await(() -> client.leases().getFirst().state() == LeaseState.KEPT);
      assertEquals(lease.id(), client.leases().getFirst().id());
      ZeusdException held =
          assertThrows(
              ZeusdException.class, () -> client.settings().setPowerLimit(List.of(0), 250_000));
      assertEquals(OptionalInt.of(423), held.status());
      assertEquals(
          OptionalInt.of(409),
          assertThrows(ZeusdException.class, () -> client.lease(request)).status());
      lease.renew();
    }
    assertEquals(before, nvml.gpu(0).powerLimitMw());
    assertEquals(List.of(), client.leases());
  }

  @ParameterizedTest
  @EnumSource(names = {"BY_STREAM", "BY_RENEWING"})
  void aLeaseIsKeptAndEndsAfterItsClient(LeaseRequest.Keeping keeping, @TempDir Path dir)
      throws Exception {
    ZeusdClient watcher = start(Transport.UDS, rapl(dir));
    long before = nvml.gpu(0).powerLimitMw();
    Optional<ZeusdClient> holder = Optional.empty();
    while (holder.isEmpty()) {
      holder = holdLongerThanTheTtl(watcher, keeping);
    }
    assertEquals(202_000, nvml.gpu(0).powerLimitMw());
    // As when its process is killed.
    holder.get().close();
    await(() -> nvml.gpu(0).powerLimitMw() == before);
    await(() -> watcher.leases().isEmpty());
  }

  /**
   * Whoever holds a lease by now; or nobody, where the machine stood still for so long that it was
   * not renewed.
   */
  private Optional<ZeusdClient> holdLongerThanTheTtl(
      ZeusdClient watcher, LeaseRequest.Keeping keeping) throws Exception {
    long start = System.nanoTime();
    try (Metronome metronome = new Metronome()) {
      ZeusdClient holder = client();
      Lease lease =
          holder.lease(
              LeaseRequest.of(List.of(0), EnumSet.of(SettingKey.POWER_LIMIT))
                  .withTtl(Duration.ofSeconds(2))
                  .withKeeping(keeping));
      try {
        lease.settings().setPowerLimit(List.of(0), 202_000);
        await(() -> watcher.leases().isEmpty() || System.nanoTime() - start > 3_500_000_000L);
        assertEquals(1, watcher.leases().size(), "it has ended");
        assertFalse(lease.isLost());
        return Optional.of(holder);
      } catch (ZeusdException | AssertionError e) {
        long lostMs = (System.nanoTime() - start) / 1_000_000 - metronome.beats();
        if (lostMs < 1000) {
          throw e;
        }
        holder.close();
        await(() -> watcher.leases().isEmpty());
        return Optional.empty();
      }
    }
  }

  @Test
  void aLeaseThatSomebodyElseEndsIsLost(@TempDir Path dir) throws Exception {
    ZeusdClient client = start(Transport.UDS, rapl(dir));
    Lease lease = client.lease(LeaseRequest.of(List.of(0), Set.of(SettingKey.GPU_CLOCKS)));
    await(() -> client.leases().getFirst().state() == LeaseState.KEPT);
    assertFalse(lease.isLost());
    server.post("/lease/end?lease_id=" + lease.id());
    await(lease::isLost);
    assertEquals(
        OptionalInt.of(410),
        assertThrows(ZeusdException.class, () -> lease.settings().resetGpuClocks(List.of(0)))
            .status());
    lease.close();
  }

  @ParameterizedTest
  @EnumSource
  void aStreamHasTheSamplesOfEachDevice(Transport transport, @TempDir Path dir) throws Exception {
    nvml.deviceCount(2);
    nvml.gpu(0).countingPower(1000);
    nvml.gpu(1).countingPower(900_000);
    ZeusdClient client = start(transport, rapl(dir));
    List<Long> first = new ArrayList<>();
    Set<Integer> seen = new HashSet<>();
    try (PowerSamples<GpuPowerSample> samples = client.streamGpuPower()) {
      for (GpuPowerSample sample : samples) {
        seen.add(sample.gpuId());
        if (sample.gpuId() == 0) {
          first.add(sample.powerMw());
        }
        if (first.size() == 5 && seen.size() == 2) {
          break;
        }
      }
      assertTrue(samples.isConnected());
    }
    assertEquals(first.stream().sorted().distinct().toList(), first);
    // Nobody wants it any more: reading stops.
    Await.rest();
  }

  /** Also if it is the client that is closed, or the daemon is gone meanwhile. */
  @Test
  void closingEndsAnIterationThatWaits(@TempDir Path dir) throws Exception {
    for (Transport each : Transport.values()) {
      ZeusdClient client = start(each, rapl(dir));
      endsWith(client.streamGpuPower(0), PowerSamples::close);
      endsWith(client.streamGpuPower(0), samples -> client.close());
    }
    ZeusdClient client = start(Transport.UDS, rapl(dir));
    PowerSamples<GpuPowerSample> samples = client.streamGpuPower(0);
    open.remove(server);
    server.close();
    endsWith(samples, gone -> client.close());
  }

  private static void endsWith(
      PowerSamples<GpuPowerSample> samples, Consumer<PowerSamples<GpuPowerSample>> end)
      throws Exception {
    CompletableFuture<Long> counted =
        CompletableFuture.supplyAsync(
            () -> StreamSupport.stream(samples.spliterator(), false).count());
    // Power does not change: after the first sample, it waits.
    Thread.sleep(200);
    end.accept(samples);
    assertTrue(counted.get(20, TimeUnit.SECONDS) <= 1);
  }

  @Test
  void aPublisherGivesNoMoreThanIsRequested(@TempDir Path dir) throws Exception {
    nvml.gpu(0).countingPower(1000);
    ZeusdClient client = start(Transport.UDS, rapl(dir));
    Taker taker = new Taker();
    client.gpuPowerPublisher(0).subscribe(taker);
    Flow.Subscription subscription = taker.subscribed.get(20, TimeUnit.SECONDS);
    subscription.request(2);
    await(() -> taker.count() == 2);
    long reads = nvml.gpu(0).powerReads();
    await(() -> nvml.gpu(0).powerReads() >= reads + 6);
    assertEquals(2, taker.count());
    subscription.request(Long.MAX_VALUE);
    await(() -> taker.count() > 5);
    subscription.cancel();
    // None is left out while somebody keeps up.
    List<Long> steps = taker.samples();
    for (int i = 1; i < steps.size(); i++) {
      assertTrue(steps.get(i) > steps.get(i - 1), steps::toString);
    }
  }

  /** Keeps what it gets. */
  private static final class Taker implements Flow.Subscriber<GpuPowerSample> {
    final CompletableFuture<Flow.Subscription> subscribed = new CompletableFuture<>();
    final CompletableFuture<Void> ended = new CompletableFuture<>();
    private final List<Long> powersMw = new ArrayList<>();

    synchronized int count() {
      return powersMw.size();
    }

    synchronized List<Long> samples() {
      return List.copyOf(powersMw);
    }

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
      subscribed.complete(subscription);
    }

    @Override
    public synchronized void onNext(GpuPowerSample sample) {
      powersMw.add(sample.powerMw());
    }

    @Override
    public void onError(Throwable failure) {
      ended.completeExceptionally(failure);
    }

    @Override
    public void onComplete() {
      ended.complete(null);
    }
  }

  @Test
  void aPublisherTellsWhatIsWrong(@TempDir Path dir) throws Exception {
    ZeusdClient client = start(Transport.UDS, rapl(dir));
    Taker unknown = new Taker();
    client.gpuPowerPublisher(99).subscribe(unknown);
    ExecutionException failure =
        assertThrows(ExecutionException.class, () -> unknown.ended.get(20, TimeUnit.SECONDS));
    assertTrue(failure.getCause() instanceof ZeusdException, failure::toString);
    Taker greedy = new Taker();
    client.gpuPowerPublisher(0).subscribe(greedy);
    greedy.subscribed.get(20, TimeUnit.SECONDS).request(0);
    assertTrue(
        assertThrows(ExecutionException.class, () -> greedy.ended.get(20, TimeUnit.SECONDS))
                .getCause()
            instanceof IllegalArgumentException);
  }

  @Test
  void bothDialectsOfStreamsAreUnderstood(@TempDir Path dir) throws Exception {
    nvml.deviceCount(2);
    nvml.gpu(1).powerMw(4321);
    transport = Transport.TCP;
    server = TestServer.start(transport, 20, Set.of(ApiGroup.GPU_READ), StreamFormat.SNAPSHOT);
    open.add(server);
    try (PowerSamples<GpuPowerSample> samples = client().streamGpuPower(1)) {
      assertEquals(4321, samples.iterator().next().powerMw());
    }
    // A daemon that knows no ?format= sends what it always sends: played by one that is not asked.
    try (OldDaemon old = new OldDaemon();
        ZeusdClient client = ZeusdClient.open(ClientConfig.of(old.endpoint()));
        PowerSamples<GpuPowerSample> samples = client.streamGpuPower()) {
      var iterator = samples.iterator();
      assertEquals(new GpuPowerSample(5, 0, 70), iterator.next());
      assertEquals(new GpuPowerSample(5, 1, 80), iterator.next());
    }
  }

  @ParameterizedTest
  @EnumSource
  void tokens(Transport wanted) throws IOException {
    transport = wanted;
    server =
        TestServer.start(
            transport, EnumSet.allOf(ApiGroup.class), Optional.of(TestTokens.checker()));
    open.add(server);
    ClientConfig config = config();
    try (ZeusdClient stranger = ZeusdClient.open(config)) {
      assertTrue(stranger.discover().authRequired());
      assertEquals(
          OptionalInt.of(401), assertThrows(ZeusdException.class, stranger::gpuPower).status());
    }
    String token = TestTokens.header("gpu-read").replace("Authorization: Bearer ", "");
    try (ZeusdClient alice = ZeusdClient.open(config.withToken(token))) {
      assertEquals("alice", alice.whoAmI().orElseThrow().user());
      assertEquals(List.of("gpu-read"), alice.whoAmI().orElseThrow().scopes());
      assertFalse(alice.gpuPower().powerMw().values().isEmpty());
      assertEquals(
          OptionalInt.of(403),
          assertThrows(
                  ZeusdException.class, () -> alice.settings().setPowerLimit(List.of(0), 250_000))
              .status());
    }
    assertFalse(config.withToken(token).toString().contains(token));
  }

  @Test
  void aConnectionThatTheDaemonHasClosedIsReplaced(@TempDir Path dir) throws Exception {
    ZeusdClient client = start(Transport.TCP, rapl(dir));
    client.gpuPower();
    int port = ((InetSocketAddress) server.address()).getPort();
    server.stopServer();
    ZeusdException gone = assertThrows(ZeusdException.class, client::gpuPower);
    assertEquals(OptionalInt.empty(), gone.status());
    assertTrue(gone.getMessage().contains("nothing listens there"), gone.getMessage());
    assertTrue(gone.getMessage().contains(":" + port), gone.getMessage());
  }

  @Test
  void whereThereIsNoDaemonItIsSaid(@TempDir Path dir) throws IOException {
    Endpoint nothing = new Endpoint.Unix(dir.resolve("none.sock"));
    try (ZeusdClient client = ZeusdClient.open(ClientConfig.of(nothing))) {
      ZeusdException e = assertThrows(ZeusdException.class, client::discover);
      assertTrue(e.getMessage().contains("none.sock: there is no such socket"), e.getMessage());
      assertTrue(e.getMessage().contains("ZEUSD_SOCK_PATH"), e.getMessage());
    }
    try (OldDaemon silent = new OldDaemon();
        ZeusdClient client =
            ZeusdClient.open(
                ClientConfig.of(silent.endpoint()).withTimeout(Duration.ofMillis(100)))) {
      ZeusdException e = assertThrows(ZeusdException.class, client::timeMs);
      assertTrue(e.getMessage().contains("no answer within 100 ms"), e.getMessage());
    }
  }

  @Test
  void whomTheClientDoesNotTrustGetsNothing(@TempDir Path dir) throws IOException {
    start(Transport.TLS, rapl(dir));
    ClientConfig untrusting =
        ClientConfig.of(new Endpoint.Tls("127.0.0.1", port(server.tlsAddress())));
    try (ZeusdClient client = ZeusdClient.open(untrusting)) {
      ZeusdException e = assertThrows(ZeusdException.class, client::discover);
      assertEquals(OptionalInt.empty(), e.status());
      assertTrue(e.getMessage().contains("an authority that is not trusted"), e.getMessage());
    }
    // Whom the daemon does not trust: nobody there, or somebody from elsewhere.
    TestAuthority elsewhere = new TestAuthority(dir, "elsewhere");
    TestAuthority.Issued stranger = elsewhere.client("/CN=stranger");
    for (Optional<TlsFiles.Identity> identity :
        List.of(
            Optional.<TlsFiles.Identity>empty(),
            Optional.of(new TlsFiles.Identity(stranger.certificate(), stranger.key())))) {
      TlsFiles files = new TlsFiles(Optional.of(TestTls.authority().certificate()), identity);
      try (ZeusdClient client = ZeusdClient.open(untrusting.withSslContext(files.context()))) {
        ZeusdException e = assertThrows(ZeusdException.class, client::discover);
        assertTrue(e.getMessage().contains("certificate"), e.getMessage());
        assertTrue(e.getMessage().startsWith("no zeusd at https://127.0.0.1:"), e.getMessage());
      }
    }
    Path none = dir.resolve("none.pem");
    assertRefused("there is no such file", none, stranger.certificate(), stranger.key());
    assertRefused("holds no certificate", stranger.key(), stranger.certificate(), stranger.key());
    assertRefused(
        "is not the key of",
        stranger.certificate(),
        stranger.certificate(),
        elsewhere.server().key());
  }

  private static void assertRefused(String why, Path ca, Path certificate, Path key) {
    TlsFiles files =
        new TlsFiles(Optional.of(ca), Optional.of(new TlsFiles.Identity(certificate, key)));
    IOException e = assertThrows(IOException.class, files::context);
    assertTrue(e.getMessage().contains(why), e.getMessage());
  }

  /** What is wrong with the daemon's certificate, or with the scheme of its address. */
  @ParameterizedTest
  @CsvSource({
    "-10, 127.0.0.1, its certificate has expired",
    "10, 127.0.0.1, its certificate is not valid yet",
    "-1, 127.0.0.2, its certificate is not for the name '127.0.0.2'",
    ", 127.0.0.1, what listens there speaks no TLS; leave out https://"
  })
  void whatIsWrongWithTheOtherEndIsNamed(
      Integer validFrom, String host, String why, @TempDir Path dir) throws Exception {
    TestAuthority authority = new TestAuthority(dir, "own");
    ServerSocket listener =
        validFrom == null
            ? new ServerSocket(0)
            : authority
                .clientContext(authority.serverFrom(validFrom))
                .getServerSocketFactory()
                .createServerSocket(0);
    try (listener) {
      Thread.ofPlatform()
          .daemon()
          .start(
              () -> {
                try (Socket socket = listener.accept()) {
                  if (validFrom == null) {
                    socket.getOutputStream().write("HTTP/1.1 400 No\r\n\r\n".getBytes());
                  }
                  socket.getInputStream().readAllBytes();
                } catch (IOException e) {
                  // The client does not like it.
                }
              });
      TlsFiles files = new TlsFiles(Optional.of(authority.certificate()), Optional.empty());
      ClientConfig config =
          ClientConfig.of(new Endpoint.Tls(host, listener.getLocalPort()))
              .withSslContext(files.context());
      try (ZeusdClient client = ZeusdClient.open(config)) {
        ZeusdException e = assertThrows(ZeusdException.class, client::discover);
        assertTrue(e.getMessage().contains(why), e.getMessage());
      }
    }
  }

  @Test
  void theEnvironmentSaysWhereItIs() {
    assertEquals(
        new Endpoint.Unix(Path.of("/x/z.sock")),
        Endpoint.from(Map.of("ZEUSD_SOCK_PATH", "/x/z.sock", "ZEUSD_HOST_PORT", "h:1")));
    assertEquals(new Endpoint.Tcp("h", 1), Endpoint.from(Map.of("ZEUSD_HOST_PORT", "h:1")));
    assertTrue(Endpoint.from(Map.of()) instanceof Endpoint.Unix);
    Stream.of("h:0", "h:99999", "a b", ":1", "ftp://h:1", "")
        .forEach(
            text -> assertThrows(IllegalArgumentException.class, () -> Endpoint.parse(text), text));
    assertEquals(new Endpoint.Tcp("::1", 4938), Endpoint.parse("[::1]"));
    assertEquals(new Endpoint.Tls("gpu01", 443), Endpoint.parse("https://gpu01:443/"));
    assertEquals(new Endpoint.Unix(Path.of("/a/b")), Endpoint.parse("unix:///a/b"));
    assertEquals("https://[::1]:5", new Endpoint.Tls("::1", 5).toString());
  }
}
