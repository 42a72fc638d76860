package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A daemon that is killed again and again while a lease's holder changes the limits of 8 GPUs. */
class LeaseCrashTest {
  /** 200 for the figures of docs/reliability.md: with -Dleases.kills=200. */
  private static final int KILLS = Integer.getInteger("leases.kills", 4);

  private static final int GPUS = 8;
  private static final int TTL_S = 4;
  private static final Pattern TAKEN =
      Pattern.compile("\\{\"lease_id\":\"([0-9a-f]+)\",\"epoch\":([0-9]+),.*");
  private static final Pattern LISTED = Pattern.compile("\"lease_id\":\"([0-9a-f]+)\"");
  private static final Pattern SAVED = Pattern.compile("\"power_limit_mw\":([0-9]+)");

  private final Random random = new Random(5);
  private final Set<String> writtenMw = new HashSet<>();
  private UnixDomainSocketAddress address;
  private String lease = "";

  @Test
  @Timeout(3600)
  void allLimitsComeBackAfterTheLastKill(@TempDir Path dir) throws Exception {
    FakeNvml nvml = FakeNvml.create(dir.resolve("fake")).deviceCount(GPUS);
    for (int gpu = 0; gpu < GPUS; gpu++) {
      nvml.gpu(gpu).powerLimitMw(original(gpu));
    }
    Path socket = dir.resolve("z.sock");
    address = UnixDomainSocketAddress.of(socket);
    Map<String, String> environment = nvml.environment();
    String[] serve = {
      "serve",
      "--enable",
      "gpu-control",
      "--gpu-backend",
      "nvml",
      "--socket-path",
      socket.toString(),
      "--state-dir",
      dir.resolve("kept").toString()
    };
    // On a busy machine all of them may die before anything was written: then some more.
    for (int kill = 0; kill < KILLS || writtenMw.isEmpty(); kill++) {
      try (ZeusdProcess daemon = ZeusdProcess.start(dir, environment, serve)) {
        daemon.awaitListening();
        writeUntil(System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(random.nextInt(300)), daemon);
      }
    }
    try (ZeusdProcess daemon = ZeusdProcess.start(dir, environment, serve)) {
      daemon.awaitListening();
      long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(TTL_S + 20);
      for (int gpu = 0; gpu < GPUS; gpu++) {
        while (nvml.gpu(gpu).powerLimitMw() != original(gpu)) {
          assertTrue(
              System.nanoTime() < deadline,
              "GPU " + gpu + " is at " + nvml.gpu(gpu).powerLimitMw() + "\n" + daemon);
          Thread.sleep(10);
        }
      }
    }
  }

  private static int original(int gpu) {
    return 310_000 + 1000 * gpu;
  }

  /** Writes on another thread, and kills the daemon in the middle of that. */
  private void writeUntil(long deadline, ZeusdProcess daemon) throws Exception {
    Thread killer =
        Thread.ofPlatform()
            .start(
                () -> {
                  while (System.nanoTime() < deadline) {
                    Thread.onSpinWait();
                  }
                  daemon.close();
                });
    try (RawConnection connection = RawConnection.open(address)) {
      while (daemon.isAlive()) {
        RawResponse response = ask(connection, next());
        if (response.status() == 201) {
          Matcher taken = TAKEN.matcher(response.body());
          assertTrue(taken.matches(), response::body);
          lease = taken.group(1) + ":" + taken.group(2);
          SAVED
              .matcher(response.body())
              .results()
              .forEach(
                  saved ->
                      assertTrue(
                          !writtenMw.contains(saved.group(1)), "a lease's value: " + response));
        } else if (response.status() == 410) {
          lease = "";
        } else if (response.status() == 409) {
          endWhoseAnswerWasLost(connection);
        } else {
          assertEquals(200, response.status(), response::toString);
        }
      }
    } catch (IOException | AssertionError e) {
      if (daemon.isAlive() && System.nanoTime() < deadline) {
        throw e;
      }
    }
    killer.join();
  }

  /**
   * It would go on for a TTL after each start, longer than a daemon lives here. Root may end it.
   */
  private static void endWhoseAnswerWasLost(RawConnection connection) throws IOException {
    Matcher held = LISTED.matcher(ask(connection, RawConnection.request("GET", "/leases")).body());
    while (held.find()) {
      ask(connection, RawConnection.request("POST", "/lease/end?lease_id=" + held.group(1)));
    }
  }

  private String next() {
    if (lease.isEmpty()) {
      return RawConnection.request(
          "POST", "/lease?gpu_ids=0,1,2,3,4,5,6,7&keys=power_limit&ttl_s=" + TTL_S);
    }
    String limitMw = "" + (150_000 + random.nextInt(100_000));
    writtenMw.add(limitMw);
    return RawConnection.request(
        "POST",
        "/gpu/set_power_limit?block=true&gpu_ids=0,1,2,3,4,5,6,7&power_limit_mw=" + limitMw,
        "Zeusd-Lease: " + lease);
  }

  private static RawResponse ask(RawConnection connection, String request) throws IOException {
    connection.send(request);
    return connection.readResponse();
  }
}
