package dev.zeusd.server;

import static dev.zeusd.server.raw.RawConnection.request;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.Backend;
import dev.zeusd.core.CpuBackend;
import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.EnergyCounter;
import dev.zeusd.core.device.EnergyReading;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One user against the others: whatever one takes, the others get what they ask for. */
class FairSharesTest {
  private static final String STREAM = "/gpu/stream_power?gpu_ids=0";
  private static final Set<ApiGroup> BOTH = Set.of(ApiGroup.GPU_READ, ApiGroup.GPU_CONTROL);
  private static final Duration LONG = Duration.ofMinutes(5);
  private static final Duration ATTACK = Duration.ofSeconds(3);

  /** A tenth of the usual: what matters is that there are fewer than the crowd wants. */
  private static final Limits FEW =
      new Limits(400, Limits.defaults().toSendRequest(), Limits.defaults().toTakeAnswer());

  private static final int CROWD = 450;

  /** Of a thousand commands, each would say that the server was closed before its turn. */
  private static final Logger COMMANDS =
      Logger.getLogger("dev.zeusd.server.http.GpuControlService");

  private final FakeNvml nvml = TestServer.freshNvml();

  @TempDir private Path directory;

  @BeforeEach
  void needsAnotherUser() throws IOException {
    OtherUser.assumePossible();
  }

  @Test
  void aUserWithThousandsOfGreedyConnectionsKeepsNobodyOut() throws Exception {
    try (TestServer server = openToAll(TestServer.start(Transport.UDS, FEW));
        EventStream stream = server.stream(STREAM);
        OtherUser other = start(socketOf(server), CROWD, 1500, "ignore", "GET", "/discover")) {
      assertOthersAreServed(server, other);
      nvml.gpu(0).countingPower(0);
      stream.nextSample();
    }
  }

  @Test
  void aUserWhoTakesHisAnswersAndAsksForMoreKeepsNobodyOut() throws Exception {
    try (TestServer server = openToAll(TestServer.start(Transport.UDS, FEW));
        OtherUser other = start(socketOf(server), CROWD, 1500, "read", "GET", "/discover")) {
      assertOthersAreServed(server, other);
    }
  }

  @Test
  void whoHasNoTokenKeepsNobodyOutWhoHasOne() throws Exception {
    String token = TestTokens.header("gpu-read");
    // More than may wait for their turn.
    Limits many =
        new Limits(900, Limits.defaults().toSendRequest(), Limits.defaults().toTakeAnswer());
    try (TestServer server =
            TestServer.start(Transport.TCP, many, Optional.of(TestTokens.checker()));
        EventStream stream = server.connect().stream(STREAM, token);
        OtherUser other = start(portOf(server), 1000, 1500, "ignore", "GET", "/discover")) {
      assertOthersAreServed(server, other, token);
      nvml.gpu(0).countingPower(0);
      stream.nextSample();
    }
  }

  private static void assertOthersAreServed(
      TestServer server, OtherUser other, String... headerLines) throws Exception {
    Await.until("it has its connections", () -> other.opened() >= CROWD);
    List<Long> tookMs = new ArrayList<>();
    long end = System.nanoTime() + ATTACK.toNanos();
    try (RawConnection kept = server.connect()) {
      while (System.nanoTime() < end) {
        long start = System.nanoTime();
        try (RawConnection fresh = server.connect()) {
          assertEquals(200, fresh.get("/gpu/get_power?gpu_ids=1", headerLines).status());
        }
        assertEquals(200, kept.get("/gpu/get_power_limit?gpu_ids=1", headerLines).status());
        tookMs.add((System.nanoTime() - start) / 1_000_000);
        Thread.sleep(20);
      }
    }
    tookMs.sort(Long::compare);
    System.out.println(
        "two requests under attack (%d connections opened): %d times, p50 %d ms, max %d ms"
            .formatted(
                other.opened(), tookMs.size(), tookMs.get(tookMs.size() / 2), tookMs.getLast()));
  }

  @Test
  void aUserWhoTakesAllStreamsLeavesOneForEverybody() throws Exception {
    Limits limits = new Limits(200, LONG, LONG);
    try (TestServer server = openToAll(TestServer.start(Transport.UDS, limits));
        OtherUser other = start(socketOf(server), limits.streams(), 1, "read", "GET", STREAM)) {
      Await.until("it has all streams", () -> other.answered(200) == limits.streams());
      try (EventStream own = server.stream(STREAM);
          EventStream another = server.stream("/gpu/stream_power?gpu_ids=1")) {
        own.nextSample();
        another.nextSample();
        // It has asked again for those that made room.
        Await.until("it is told that it has its share", () -> other.answered(429) >= 2);
        try (OtherUser third =
            OtherUser.start(
                OtherUser.NOBODY - 1, directory, socketOf(server), 20, 1, "read", "GET", STREAM)) {
          Await.until("a third one gets his, too", () -> third.answered(200) == 20);
        }
        nvml.gpu(0).countingPower(0);
        nvml.gpu(1).countingPower(0);
        own.nextSample();
        another.nextSample();
      }
    }
  }

  @Test
  void aUserWhoQueuesCommandsGets429AndOthersQueueTheirs() throws Exception {
    COMMANDS.setLevel(Level.OFF);
    nvml.gpu(0).delay(Call.SET_POWER_LIMIT, Duration.ofSeconds(60));
    String write = "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=150000&block=false";
    try (TestServer server = startForAll(BOTH);
        OtherUser other = start(socketOf(server), 2000, 1, "read", "POST", write);
        RawConnection connection = server.connect()) {
      // On a slow machine some have to ask again: those that were not admitted in time.
      Await.until(
          "there is no place left, and all are answered",
          () -> {
            int queued = other.answered(200);
            return queued >= 1024 && queued + other.answered(429) >= 2000;
          });
      assertEquals(1024, other.answered(200), "commands that one user may queue");
      connection.send(request("POST", write));
      assertEquals(200, connection.readResponse().status());
    } finally {
      nvml.gpu(0).delay(Call.SET_POWER_LIMIT, Duration.ZERO);
      COMMANDS.setLevel(Level.INFO);
    }
  }

  /** There are more of one user's requests than may wait for a CPU. */
  @Test
  void aUserWhoAsksForEnergyAllTheTimeLeavesTheCpuToOthers() throws Exception {
    StuckCpu cpu = new StuckCpu();
    NodeConfig none =
        NodeConfig.defaults().withGpuBackend(GpuBackend.NONE).withCpuBackend(CpuBackend.NONE);
    Node node = Node.of(none, List.of(), List.of(Backend.of(List.of(cpu))));
    String energy = "/cpu/get_cumulative_energy?cpu=true&dram=false";
    int many = DeviceWorker.QUEUE_CAPACITY + 100;
    try (TestServer server = openToAll(TestServer.startCpus(Transport.UDS, node));
        OtherUser other = start(socketOf(server), many, 1, "read", "GET", energy);
        RawConnection own = server.connect();
        RawConnection power = server.connect()) {
      Await.until("it asks", () -> other.opened() >= many);
      own.send(request("GET", energy));
      power.send(request("GET", "/cpu/get_power"));
      // What came before these waits for the CPU by then.
      for (int i = 0; i < 100; i++) {
        assertEquals(200, server.get("/time").status());
      }
      cpu.goesOn.countDown();
      own.readResponse().assertOk("{\"0\":{\"cpu_energy_uj\":7000000,\"dram_energy_uj\":null}}");
      power.readResponse().assertOkMatching(".*\"cpu_mw\":\\d+.*");
      Await.until("so is the other one", () -> other.answered(200) == many);
      assertTrue(cpu.reads.get() < 100, () -> cpu.reads + " reads");
    }
  }

  /** One whose counter does not answer until it goes on. */
  private static final class StuckCpu implements Cpu {
    final CountDownLatch goesOn = new CountDownLatch(1);
    final AtomicInteger reads = new AtomicInteger();

    @Override
    public CpuInfo info() {
      return new CpuInfo(0, false, CpuInfo.Domain.PACKAGE);
    }

    @Override
    public EnergyCounter cpuCounter() {
      return new EnergyCounter() {
        @Override
        public EnergyReading read() {
          reads.incrementAndGet();
          try {
            goesOn.await();
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
          return new EnergyReading(7_000_000, System.nanoTime(), 0);
        }

        @Override
        public long maxSilenceNanos() {
          return ANY_SILENCE;
        }
      };
    }

    @Override
    public Optional<EnergyCounter> dramCounter() {
      return Optional.empty();
    }
  }

  private OtherUser start(Object... arguments) throws IOException {
    return OtherUser.start(OtherUser.NOBODY, directory, arguments);
  }

  private static TestServer startForAll(Set<ApiGroup> groups) throws IOException {
    return openToAll(TestServer.start(Transport.UDS, groups, Optional.empty()));
  }

  private static TestServer openToAll(TestServer server) throws IOException {
    Path socket = socketOf(server);
    Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rw-rw-rw-"));
    Files.setPosixFilePermissions(socket.getParent(), PosixFilePermissions.fromString("rwxr-xr-x"));
    return server;
  }

  private static Path socketOf(TestServer server) {
    return ((UnixDomainSocketAddress) server.address()).getPath();
  }

  private static int portOf(TestServer server) {
    return ((InetSocketAddress) server.address()).getPort();
  }
}
