package dev.zeusd.server;

import static dev.zeusd.server.raw.RawConnection.request;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.Metronome;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

/** A driver call that does not return. */
class HungDriverTest {
  private static final String LIMIT = "/gpu/get_power_limit?gpu_ids=";

  /** Longer than a device may take, or requests that wait for one would be closed first. */
  private static final Limits LIMITS =
      new Limits(100, Duration.ofMinutes(5), Duration.ofSeconds(12));

  private final FakeNvml nvml = TestServer.freshNvml();

  @Test
  void isAnsweredForAndHoldsUpNothingElse() throws Exception {
    try (TestServer server = TestServer.start(Transport.UDS, LIMITS);
        RawConnection inTheCall = server.connect();
        RawConnection behindIt = server.connect();
        RawConnection both = server.connect()) {
      for (int i = 0; i < 200; i++) {
        // Until it counts as quick, and handlers ask it by themselves.
        inTheCall.get(LIMIT + 1);
      }
      nvml.gpu(1).delay(Call.GET_POWER_LIMIT, Duration.ofSeconds(60));
      long before = nvml.gpu(1).calls(Call.GET_POWER_LIMIT);
      inTheCall.send(request("GET", LIMIT + 1));
      Await.until("the call hangs", () -> nvml.gpu(1).calls(Call.GET_POWER_LIMIT) > before);
      behindIt.send(request("GET", LIMIT + 1));
      both.send(request("GET", LIMIT + "0,1"));
      for (int i = 0; i < 20; i++) {
        server.get("/time").assertOkMatching("\\{\"timestamp_ms\":\\d+}");
        server.get(LIMIT + 0).assertOk("{\"0\":{\"power_limit_mw\":300000}}");
      }
      assertNoAnswer(behindIt.readResponse());
      RawResponse partial = both.readResponse();
      assertNoAnswer(partial);
      assertTrue(partial.body().startsWith("{\"0\":{\"power_limit_mw\":300000},"), partial::body);
      RawResponse ownAnswer = inTheCall.readResponse();
      assertNoAnswer(ownAnswer);
      assertEndsIfItsHandlerIsInTheCall(inTheCall, ownAnswer);
      assertEquals(before + 1, nvml.gpu(1).calls(Call.GET_POWER_LIMIT));
      // It returns: those that were told so have not left anything behind.
      nvml.gpu(1).delay(Call.GET_POWER_LIMIT, Duration.ZERO);
      // Until then who asks is told so at once: it has had its 10 s.
      Await.until("it returns", () -> behindIt.get(LIMIT + 1).status() == 200);
      assertEquals(before + 2, nvml.gpu(1).calls(Call.GET_POWER_LIMIT));
    }
  }

  /** The request's own thread hangs in the first of them. */
  @Test
  void othersBehindItAreAskedAllTheSame() throws Exception {
    assumeTrue(Runtime.getRuntime().availableProcessors() > 1, "nobody asks by itself");
    try (TestServer server = TestServer.start(Transport.UDS, LIMITS);
        RawConnection connection = server.connect()) {
      for (int i = 0; i < 200; i++) {
        connection.get(LIMIT + "0,1,2,3");
      }
      nvml.gpu(0).delay(Call.GET_POWER_LIMIT, Duration.ofSeconds(60));
      nvml.gpu(2).delay(Call.GET_POWER_LIMIT, Duration.ofSeconds(60));
      long startNanos = System.nanoTime();
      RawResponse response = connection.get(LIMIT + "0,1,2,3");
      Duration took = Duration.ofNanos(System.nanoTime() - startNanos);
      assertEquals(503, response.status());
      assertTrue(
          response
              .body()
              .matches(
                  "\\{\"1\":\\{\"power_limit_mw\":300000},\"3\":\\{\"power_limit_mw\":300000},"
                      + "\"errors\":\\{\"0\":\"no answer[^\"]*\",\"2\":\"no answer[^\"]*\"}}"),
          response::body);
      assertTrue(took.toSeconds() < 18, () -> "as if they had been waited for in turn: " + took);
      // That is what it takes for one.
      nvml.gpu(0).delay(Call.GET_POWER_LIMIT, Duration.ZERO);
      nvml.gpu(2).delay(Call.GET_POWER_LIMIT, Duration.ZERO);
      server.get(LIMIT + "0,2");
    }
  }

  /** The driver answers after it was given up, and before that was said to the client. */
  @Test
  void isNotAnsweredTwice() throws Exception {
    int carriers = Runtime.getRuntime().availableProcessors();
    assumeTrue(carriers > 1, "nobody asks by itself on one carrier");
    Limits shortLimits = new Limits(100, Duration.ofSeconds(30), Duration.ofMillis(300));
    AtomicBoolean over = new AtomicBoolean();
    try (Metronome metronome = new Metronome();
        TestServer server = TestServer.start(Transport.UDS, shortLimits);
        RawConnection warm = server.connect()) {
      for (int i = 0; i < 200; i++) {
        warm.get(LIMIT + 1);
      }
      for (int round = 0; round < 6; round++) {
        try (RawConnection inTheCall = server.connect()) {
          nvml.gpu(1).delay(Call.GET_POWER_LIMIT, Duration.ofSeconds(60));
          long before = nvml.gpu(1).calls(Call.GET_POWER_LIMIT);
          inTheCall.send(request("GET", LIMIT + 1));
          Await.until("it hangs", () -> nvml.gpu(1).calls(Call.GET_POWER_LIMIT) > before);
          // Virtual threads wait for a second to run: so does the one that answers for the handler,
          // which itself is pinned to its carrier and answers as soon as the driver does.
          List<Thread> crowd = keepCarriersBusy(over);
          long given = metronome.beats();
          Await.until("it is given up", () -> metronome.beats() >= given + 1200);
          nvml.gpu(1).delay(Call.GET_POWER_LIMIT, Duration.ZERO);
          inTheCall.endOutput();
          // The first answer comes in spite of the crowd, which has to go then: carriers that are
          // never idle may leave the connection's own thread waiting for ever.
          inTheCall.hasBytes(Duration.ofSeconds(3));
          over.set(true);
          String all = inTheCall.readAll();
          for (Thread each : crowd) {
            each.join();
          }
          over.set(false);
          // None at all where the device did not count as quick, on a busy machine.
          assertTrue(all.indexOf("HTTP/1.1") == all.lastIndexOf("HTTP/1.1"), all);
          for (int i = 0; i < 200; i++) {
            warm.get(LIMIT + 1);
          }
        }
      }
    } finally {
      over.set(true);
    }
  }

  private static List<Thread> keepCarriersBusy(AtomicBoolean over) {
    List<Thread> crowd = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      crowd.add(
          Thread.ofVirtual()
              .start(
                  () -> {
                    while (!over.get()) {
                      long end = System.nanoTime() + 10_000_000;
                      while (!over.get() && System.nanoTime() - end < 0) {
                        Thread.onSpinWait();
                      }
                      Thread.yield();
                    }
                  }));
    }
    return crowd;
  }

  @Test
  void isAnsweredForWithoutABodyToAHead() throws Exception {
    try (TestServer server = TestServer.start(Transport.TCP, LIMITS);
        RawConnection inTheCall = server.connect()) {
      for (int i = 0; i < 200; i++) {
        inTheCall.get(LIMIT + 1);
      }
      nvml.gpu(1).delay(Call.GET_POWER_LIMIT, Duration.ofSeconds(60));
      RawResponse head = inTheCall.send(request("HEAD", LIMIT + 1)).readHead();
      nvml.gpu(1).delay(Call.GET_POWER_LIMIT, Duration.ZERO);
      assertEquals(503, head.status());
      assertEndsIfItsHandlerIsInTheCall(inTheCall, head);
    }
  }

  /** It is not where the GPU did not count as quick: on a busy machine a call can take long. */
  private static void assertEndsIfItsHandlerIsInTheCall(
      RawConnection connection, RawResponse answer) throws IOException {
    if ("close".equalsIgnoreCase(answer.headers().get("connection"))) {
      assertEquals(0, connection.drain(RawConnection.PATIENCE));
    } else {
      connection.get("/time").assertOkMatching("\\{\"timestamp_ms\":\\d+}");
    }
  }

  private static void assertNoAnswer(RawResponse response) {
    assertEquals(503, response.status());
    assertEquals("10", response.header("retry-after"));
    assertTrue(
        response.body().contains("\"errors\":{\"1\":\"no answer within 10 s"), response::body);
  }
}
