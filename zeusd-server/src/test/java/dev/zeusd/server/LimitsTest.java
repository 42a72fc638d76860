package dev.zeusd.server;

import static dev.zeusd.server.raw.RawConnection.request;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.server.raw.Usage;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Clients that take more than their share: of time, of connections, of streams. */
class LimitsTest {
  private static final String STREAM = "/gpu/stream_power";
  private static final Duration LONG = Duration.ofMinutes(5);

  private final FakeNvml nvml = TestServer.freshNvml();

  @ParameterizedTest
  @EnumSource
  void closesConnectionsThatSendNoRequest(Transport transport) throws Exception {
    Duration limit = Duration.ofSeconds(2);
    nvml.gpu(0).delay(Call.GET_POWER_LIMIT, Duration.ofSeconds(4));
    try (TestServer server = TestServer.start(transport, new Limits(100, limit, LONG));
        EventStream stream = server.stream(STREAM + "?gpu_ids=1");
        RawConnection asking = server.connect()) {
      asking.send(request("GET", "/gpu/get_power_limit?gpu_ids=0"));
      List<RawConnection> slow = new ArrayList<>();
      long start = System.nanoTime();
      slow.add(server.connect());
      slow.add(server.connect().send("GET /ti"));
      slow.add(server.connect().send("GET /time HTTP/1.1\r\nHost: localhost\r\nX-Slow: "));
      slow.add(server.connect());
      slow.getLast().get("/time");
      slow.add(server.connect());
      slow.getLast().get("/time");
      slow.getLast().send("GET /");
      RawConnection dripping = server.connect();
      slow.add(dripping);
      assertThrows(
          IOException.class,
          () -> {
            while (System.nanoTime() - start < RawConnection.PATIENCE.toNanos()) {
              dripping.send("x");
              Thread.sleep(50);
            }
          });
      assertTrue(System.nanoTime() - start >= limit.toNanos(), "closed too early");
      for (RawConnection connection : slow) {
        assertEquals(0, connection.drain(RawConnection.PATIENCE));
        connection.close();
      }
      asking.readResponse().assertOk("{\"0\":{\"power_limit_mw\":300000}}");
      nvml.gpu(1).countingPower(0);
      stream.nextSample();
    }
  }

  @ParameterizedTest
  @EnumSource
  void closesConnectionsThatTakeNoAnswer(Transport transport) throws Exception {
    Limits limits = new Limits(100, LONG, Duration.ofSeconds(2));
    try (TestServer server = TestServer.start(transport, limits);
        RawConnection greedy = RawConnection.openWithSmallBuffer(server.address())) {
      String requests = request("GET", "/discover").repeat(100);
      assertThrows(
          IOException.class,
          () -> {
            for (int sent = 0; sent < 1_000_000; sent += 100) {
              greedy.send(requests);
            }
          });
      server.get("/time").assertOkMatching("\\{\"timestamp_ms\":\\d+}");
    }
  }

  @Test
  void theWatchEndsWithTheLastConnection() throws Exception {
    try (TestServer server =
        TestServer.start(Transport.UDS, new Limits(10, Duration.ofSeconds(4), LONG))) {
      try (RawConnection connection = server.connect()) {
        connection.get("/time");
        assertTrue(isWatching(), "nobody watches the connection");
      }
      Await.until("the watch ends", () -> !isWatching());
      try (RawConnection connection = server.connect()) {
        connection.get("/time");
        assertTrue(isWatching(), "nobody watches the second connection");
      }
    }
  }

  private static boolean isWatching() {
    return Usage.threads().stream().anyMatch(thread -> thread.contains("connection watch"));
  }

  @ParameterizedTest
  @EnumSource
  void theConnectionThatIsIdleLongestMakesRoom(Transport transport) throws Exception {
    nvml.gpu(0).delay(Call.GET_POWER_LIMIT, Duration.ofSeconds(1));
    try (TestServer server = TestServer.start(transport, new Limits(8, LONG, LONG));
        EventStream stream = server.stream(STREAM + "?gpu_ids=1");
        RawConnection asking = server.connect()) {
      asking.send(request("GET", "/gpu/get_power_limit?gpu_ids=0"));
      List<RawConnection> idle = new ArrayList<>();
      for (int i = 0; i < 100; i++) {
        idle.add(server.connect());
        idle.getLast().get("/time");
      }
      for (RawConnection connection : idle.subList(0, 90)) {
        connection.assertEnd();
      }
      asking.readResponse().assertOk("{\"0\":{\"power_limit_mw\":300000}}");
      idle.getLast().get("/time").assertOkMatching("\\{\"timestamp_ms\":\\d+}");
      nvml.gpu(1).countingPower(0);
      stream.nextSample();
      for (RawConnection connection : idle) {
        connection.close();
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void refusesMoreStreams(Transport transport) throws Exception {
    Limits limits = new Limits(20, LONG, LONG);
    assertEquals(15, limits.streams());
    try (TestServer server = TestServer.start(transport, limits);
        RawConnection oneMore = server.connect()) {
      List<EventStream> streams = new ArrayList<>();
      for (int i = 0; i < 15; i++) {
        streams.add(server.stream(STREAM));
        streams.getLast().nextSample();
      }
      RawResponse refused = oneMore.get(STREAM);
      refused.assertError(503, "15 streams");
      assertTrue(Integer.parseInt(refused.header("Retry-After")) > 0);
      oneMore.get("/time").assertOkMatching("\\{\"timestamp_ms\":\\d+}");
      streams.removeFirst().close();
      Await.until("room for another stream", () -> status(server) == 200);
      for (EventStream stream : streams) {
        stream.nextSample();
        stream.close();
      }
    }
  }

  private static int status(TestServer server) {
    try (RawConnection connection = server.connect()) {
      return connection.send(request("GET", STREAM)).readHead().status();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }
}
