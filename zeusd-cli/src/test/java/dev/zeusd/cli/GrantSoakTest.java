package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.zeusd.core.Await;
import dev.zeusd.server.fuzz.HostileClient;
import dev.zeusd.server.fuzz.HostileRequests;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import dev.zeusd.testkit.nvml.FakeNvml.CallRecord;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Very many fuzzed requests of somebody who has some rights, with grants that change, an audit log,
 * and shares on: what is not granted reaches no GPU, and the daemon stays as small as it was.
 *
 * <p>{@code -Dsoak.requests=10000000} sends that many, and {@code -Dsoak.limit.minutes} ends it
 * earlier. {@code -Dfuzz.seed} repeats one.
 */
class GrantSoakTest {
  private static final long REQUESTS = Long.getLong("soak.requests", 10_000);
  private static final long SEED = Long.getLong("fuzz.seed", new Random().nextLong());
  private static final long BEGAN_NANOS = System.nanoTime();
  private static final long END_NANOS =
      BEGAN_NANOS + Integer.getInteger("soak.limit.minutes", 10) * 60_000_000_000L;
  private static final int CLIENTS = 4;
  private static final int BATCH = 40;
  private static final int MALFORMED_EVERY = 25;

  /** Of these GPUs, and within the wider of both ranges, limits may be set. */
  private static final int FORBIDDEN_FROM_GPU = 2;

  private static final long MIN_MW = 200_000;
  private static final long MAX_MW = 250_000;

  private static final long TELL_EVERY = 1_000_000;

  /** After so many, the daemon has all that it needs. */
  private static final long WARM = Math.min(REQUESTS / 4, 200_000);

  @TempDir private Path directory;

  private final CountDownLatch measured = new CountDownLatch(1);
  private final AtomicLong answered = new AtomicLong();
  private final AtomicLong malformed = new AtomicLong();
  private final ConcurrentLinkedQueue<Throwable> failures = new ConcurrentLinkedQueue<>();
  private FakeNvml nvml;
  private Path socket;
  private Path config;
  private long seenUntil;
  private long unseen;

  private void writeConfig(long maxWatts) throws IOException {
    String uid = "uid:" + Files.getAttribute(directory, "unix:uid");
    Files.writeString(
        config,
        """
        socket-path = '%s'
        enable = 'gpu-read,gpu-control'
        audit-log = '/dev/null'
        state-dir = '%s'
        [[grant]]
        who = ['%s']
        groups = ['gpu-read', 'gpu-control']
        gpus = [0, 1]
        settings = ['power_limit']
        power_limit_w = [200, %d]
        """
            .formatted(socket, directory.resolve("state"), uid, maxWatts));
    Files.setPosixFilePermissions(config, PosixFilePermissions.fromString("rw-r--r--"));
  }

  @Test
  void nothingForbiddenReachesAGpuHoweverManyAsk() throws Exception {
    assumeFalse(ZeusdProcess.ignoresSignal(1), "SIGHUP is ignored, as nohup does");
    nvml = FakeNvml.create(directory.resolve("nvml"));
    socket = directory.resolve("z.sock");
    config = directory.resolve("zeusd.toml");
    writeConfig(250);
    try (ZeusdProcess zeusd =
        ZeusdProcess.startShipped(
            directory, nvml.environment(), "", "serve", "--config", config.toString())) {
      zeusd.awaitListening();
      List<Thread> clients =
          IntStream.range(0, CLIENTS)
              .mapToObj(client -> Thread.ofPlatform().start(() -> run(client)))
              .toList();
      try {
        watch(zeusd);
      } finally {
        measured.countDown();
      }
      for (Thread client : clients) {
        client.join();
      }
      assertEquals(List.of(), new ArrayList<>(failures));
      assertNothingForbidden();
      long granted =
          nvml.gpu(0).calls(Call.SET_POWER_LIMIT) + nvml.gpu(1).calls(Call.SET_POWER_LIMIT);
      System.out.printf(
          "soak: seed %d: %d requests answered, %d connections with malformed ones;"
              + " %d writes reached a GPU, the values of %d were not looked at%n",
          SEED, answered.get(), malformed.get(), granted, unseen);
      assertTrue(granted > 0, "nothing that was granted was done");
    }
  }

  private boolean isOver() {
    return answered.get() + malformed.get() >= REQUESTS
        || System.nanoTime() - END_NANOS > 0
        || !failures.isEmpty();
  }

  // ---- Clients ----

  private void run(int client) {
    UnixDomainSocketAddress address = UnixDomainSocketAddress.of(socket);
    HostileClient hostile = new HostileClient(address, SEED + client);
    try {
      for (long batch = client; !isOver(); batch += CLIENTS) {
        if (answered.get() > WARM) {
          // Not before its memory is measured, however late the thread is that does so.
          measured.await();
        }
        if (batch / CLIENTS % MALFORMED_EVERY == 0) {
          hostile.round(batch);
          malformed.incrementAndGet();
        }
        SplittableRandom random = new SplittableRandom(SEED + batch * 0x9E3779B97F4A7C15L);
        HostileRequests requests = new HostileRequests(random);
        send(
            address,
            IntStream.range(0, BATCH)
                .mapToObj(i -> requests.deviceRequest())
                .collect(Collectors.joining()));
      }
    } catch (IOException | InterruptedException | RuntimeException | Error e) {
      failures.add(e);
    }
  }

  /** All at once; a request that cannot be read ends the connection. */
  private void send(UnixDomainSocketAddress address, String requests) throws IOException {
    try (RawConnection connection = RawConnection.open(address)) {
      connection.send(requests).endOutput();
      while (connection.hasBytes(RawConnection.PATIENCE)) {
        RawResponse response = connection.readResponse();
        answered.incrementAndGet();
        // 429 and 503: where the machine has other things to do than to answer in time.
        assertTrue(
            List.of(200, 400, 403, 404, 405, 429, 503).contains(response.status()),
            response::toString);
      }
    }
  }

  // ---- What it does to the daemon ----

  private void watch(ZeusdProcess zeusd) throws Exception {
    long warmMemory = 0;
    long warmFiles = 0;
    long told = 0;
    for (int look = 1; !isOver(); look++) {
      Thread.sleep(50);
      assertNothingForbidden();
      if (look % 40 == 0) {
        writeConfig(look % 80 == 0 ? 250 : 220);
        zeusd.signal("HUP");
      }
      if (warmFiles == 0 && answered.get() > WARM) {
        warmMemory = zeusd.status("VmRSS") / 1024;
        warmFiles = zeusd.openFiles();
        measured.countDown();
      }
      if (answered.get() >= told + TELL_EVERY) {
        told = answered.get() / TELL_EVERY * TELL_EVERY;
        System.out.printf(
            "soak: %d answered after %d s: %d kB, %d files%n",
            answered.get(),
            (System.nanoTime() - BEGAN_NANOS) / 1_000_000_000,
            zeusd.status("VmRSS"),
            zeusd.openFiles());
      }
    }
    assertEquals(List.of(), new ArrayList<>(failures));
    long memory = zeusd.status("VmRSS") / 1024;
    long most = warmFiles + 2L * CLIENTS;
    Await.until("files are closed, but for " + most, () -> zeusd.openFiles() <= most);
    long files = zeusd.openFiles();
    System.out.printf(
        "soak: memory %d MB when warm, %d MB at the end; files %d, %d%n",
        warmMemory, memory, warmFiles, files);
    long before = warmMemory;
    assertTrue(memory <= before + before / 2 + 40, () -> before + " MB, and then " + memory);
  }

  /** By counters, which miss nothing, and by the last calls, which the fake remembers. */
  private void assertNothingForbidden() {
    for (Call call : Call.values()) {
      boolean isSetting = call.name().startsWith("SET_") || call.name().startsWith("RESET_");
      if (isSetting && call != Call.SET_POWER_LIMIT) {
        assertEquals(0, nvml.calls(call), () -> "seed " + SEED + ": " + call);
      }
    }
    for (int gpu = FORBIDDEN_FROM_GPU; gpu < 4; gpu++) {
      assertEquals(0, nvml.gpu(gpu).calls(Call.SET_POWER_LIMIT), "seed " + SEED);
    }
    List<CallRecord> history = nvml.history();
    if (!history.isEmpty()) {
      unseen += Math.max(0, history.getFirst().sequence() - seenUntil);
      seenUntil = history.getLast().sequence() + 1;
    }
    history.stream()
        .filter(call -> call.call() == Call.SET_POWER_LIMIT)
        .forEach(
            call ->
                assertTrue(
                    call.a() >= MIN_MW && call.a() <= MAX_MW,
                    () -> "seed " + SEED + ": forbidden " + call));
  }
}
