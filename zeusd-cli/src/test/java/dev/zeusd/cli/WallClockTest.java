package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A daemon whose wall clock is set while it runs; the machine's own stays as it is. */
class WallClockTest {
  private static final long HOUR_MS = 3_600_000;

  /** What the two clocks of a process may be apart when one of them is looked at anew. */
  private static final long TOLERANCE_MS = 500;

  private static final Pattern TIMESTAMP = Pattern.compile("\"timestamp_ms\":(\\d+)");

  /** Moves the wall clock by the seconds that stand in a file, as a process sees it. */
  private static final String CLOCK =
      """
      #define _GNU_SOURCE
      #include <dlfcn.h>
      #include <fcntl.h>
      #include <stdlib.h>
      #include <sys/mman.h>
      #include <time.h>

      static volatile long *offset;
      static int (*real)(clockid_t, struct timespec *);

      __attribute__((constructor)) static void start(void) {
        int file = open(getenv("WALL_CLOCK_OFFSET"), O_RDONLY);
        offset = mmap(0, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
      }

      int clock_gettime(clockid_t clock, struct timespec *time) {
        int status = real(clock, time);
        if (status == 0 && clock == CLOCK_REALTIME) time->tv_sec += *offset;
        return status;
      }
      """;

  @TempDir private Path directory;

  private void setBy(long seconds) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.nativeOrder());
    // In place: the process has it mapped.
    try (FileChannel file =
        FileChannel.open(
            directory.resolve("offset"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      file.write(bytes.putLong(0, seconds), 0);
    }
  }

  private Map<String, String> environment() throws Exception {
    setBy(0);
    Path library = directory.resolve("libclock.so");
    Process cc =
        new ProcessBuilder("cc", "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", "" + library)
            .inheritIO()
            .redirectInput(ProcessBuilder.Redirect.PIPE)
            .start();
    try (var source = cc.outputWriter()) {
      source.write(CLOCK);
    }
    assertEquals(0, cc.waitFor());
    return Map.of(
        "LD_PRELOAD", library.toString(), "WALL_CLOCK_OFFSET", "" + directory.resolve("offset"));
  }

  private static long timestampMs(String json) {
    Matcher matcher = TIMESTAMP.matcher(json);
    assertTrue(matcher.find(), json);
    return Long.parseLong(matcher.group(1));
  }

  private static long get(UnixDomainSocketAddress address, String target) throws IOException {
    try (RawConnection connection = RawConnection.open(address)) {
      RawResponse response = connection.get(target);
      assertEquals(200, response.status());
      return timestampMs(response.body());
    }
  }

  /** What such a time is ahead of this process's clock, to within how long its answer took. */
  private static void assertAhead(long aheadMs, UnixDomainSocketAddress address)
      throws IOException {
    long beforeMs = System.currentTimeMillis();
    long timeMs = get(address, "/time") - aheadMs;
    assertBetween(beforeMs, timeMs, System.currentTimeMillis());
  }

  private static void assertBetween(long leastMs, long timeMs, long mostMs) {
    assertTrue(
        timeMs >= leastMs - TOLERANCE_MS && timeMs <= mostMs + TOLERANCE_MS,
        () -> timeMs + " is not within " + leastMs + " to " + mostMs);
  }

  @ParameterizedTest
  @ValueSource(strings = {"gpu", "cpu"})
  void timestampsGoOnWhereTheWallClockIsSetBack(String kind) throws Exception {
    assumeTrue(ZeusdProcess.IMAGE.isEmpty());
    Path socket = directory.resolve("zeusd.sock");
    UnixDomainSocketAddress address = UnixDomainSocketAddress.of(socket);
    try (ZeusdProcess zeusd =
        ZeusdProcess.start(
            directory, environment(), "serve", "--simulate", "--socket-path", "" + socket)) {
      zeusd.awaitListening();
      long askedNanos = System.nanoTime();
      try (EventStream stream =
          RawConnection.open(address).stream("/" + kind + "/stream_power?" + kind + "_ids=0")) {
        long last = timestampMs(stream.nextData());
        long first = last;
        long firstNanos = System.nanoTime();
        setBy(-3600);
        for (int i = 0; i < 12; i++) {
          long now = timestampMs(stream.nextData());
          assertTrue(now > last, now + " after " + last);
          last = now;
        }
        // What clients compare it with goes with it.
        long oneShot = get(address, "/" + kind + "/get_power");
        assertTrue(oneShot >= last, oneShot + " after " + last);
        long leastMs = (System.nanoTime() - firstNanos) / 1_000_000;
        long time = get(address, "/time");
        long mostMs = (System.nanoTime() - askedNanos) / 1_000_000;
        assertTrue(time >= oneShot - TOLERANCE_MS, time + " after " + oneShot);
        assertBetween(leastMs, time - first, mostMs);
        assertAhead(0, address);
        setBy(7200);
        assertAhead(2 * HOUR_MS, address);
      }
    }
  }

  private static String ask(UnixDomainSocketAddress address, String method, String target)
      throws IOException {
    try (RawConnection connection = RawConnection.open(address)) {
      connection.send(RawConnection.request(method, target));
      return connection.readResponse().body();
    }
  }

  private static String take(UnixDomainSocketAddress address, int gpu, int ttlSeconds)
      throws IOException {
    return ask(address, "POST", "/lease?gpu_ids=" + gpu + "&keys=power_limit&ttl_s=" + ttlSeconds);
  }

  private static String string(String name, String json) {
    Matcher matcher = Pattern.compile("\"" + name + "\":\"([^\"]+)\"").matcher(json);
    assertTrue(matcher.find(), json);
    return matcher.group(1);
  }

  private static long number(String name, String json) {
    Matcher matcher = Pattern.compile("\"" + name + "\":(\\d+)").matcher(json);
    assertTrue(matcher.find(), json);
    return Long.parseLong(matcher.group(1));
  }

  /** Of no more time than has passed, and with all of its energy. */
  private static void assertIsOfThisTime(String energy, long startNanos) {
    double seconds = Double.parseDouble(number("seconds", energy) + ".0");
    assertTrue(seconds <= (System.nanoTime() - startNanos) / 1e9, energy);
    assertEquals(0, number("gap_ms", energy), energy);
    assertTrue(number("energy_mj", energy) <= 800_000 * (seconds + 1), energy);
  }

  @Test
  @Timeout(120)
  void leasesAndEnergyWindowsLastAsLongAsTheyShouldWhateverTheWallClockDoes() throws Exception {
    assumeTrue(ZeusdProcess.IMAGE.isEmpty());
    Path socket = directory.resolve("zeusd.sock");
    UnixDomainSocketAddress address = UnixDomainSocketAddress.of(socket);
    try (ZeusdProcess zeusd =
        ZeusdProcess.start(
            directory,
            environment(),
            "serve",
            "--simulate",
            "--socket-path=" + socket,
            "--state-dir=" + directory.resolve("kept"))) {
      zeusd.awaitListening();
      String lasting = take(address, 0, 600);
      long startNanos = System.nanoTime();
      String window = ask(address, "POST", "/energy/begin?ttl_s=600");
      String byId = "?window_id=" + string("window_id", window);
      setBy(48 * 3600);
      long leftMs = number("expires_in_ms", ask(address, "GET", "/leases"));
      assertTrue(leftMs > 0 && leftMs <= 600_000, "" + leftMs);
      String brief = take(address, 1, 2);
      assertIsOfThisTime(ask(address, "GET", "/energy/window" + byId), startNanos);
      setBy(-48 * 3600);
      assertIsOfThisTime(ask(address, "POST", "/energy/end" + byId), startNanos);
      // Epochs grow even so; and what is over soon is over soon.
      String after = take(address, 2, 600);
      assertTrue(number("epoch", brief) > number("epoch", lasting), brief);
      assertTrue(number("epoch", after) > number("epoch", brief), after);
      while (!take(address, 1, 1).contains("lease_id")) {
        Thread.sleep(20);
      }
      String left = ask(address, "GET", "/leases");
      assertTrue(left.contains("\"gpu_ids\":[0]") && left.contains("\"gpu_ids\":[2]"), left);
    }
  }
}
