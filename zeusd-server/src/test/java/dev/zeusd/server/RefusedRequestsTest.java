package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import java.io.IOException;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Requests that are refused: with a JSON body that says why, and without touching a device. */
class RefusedRequestsTest {
  private static final String[] READS = {
    "get_power",
    "stream_power",
    "get_cumulative_energy",
    "get_power_limit",
    "get_power_limit_constraints",
    "get_persistence_mode"
  };

  private static FakeNvml nvml;
  private static TestServer server;
  private static long callsOfStart;

  @BeforeAll
  static void start() throws IOException {
    nvml = TestServer.freshNvml();
    server = TestServer.start(Transport.UDS);
    callsOfStart = nvml.totalCalls();
  }

  @AfterEach
  void noDeviceWasTouched() {
    assertEquals(callsOfStart, nvml.totalCalls());
  }

  @AfterAll
  static void stop() throws IOException {
    server.close();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "gpu_ids=",
        "gpu_ids=%20",
        "gpu_ids=,",
        "gpu_ids=0,",
        "gpu_ids=,0",
        "gpu_ids=0,,1",
        "gpu_ids=x",
        "gpu_ids=0,x",
        "gpu_ids=-1",
        "gpu_ids=%2B1",
        "gpu_ids=1.0",
        "gpu_ids=0x1",
        "gpu_ids=1e0",
        "gpu_ids=0%201",
        "gpu_ids=%5B0%5D",
        "gpu_ids=all",
        "gpu_ids=0;1",
        "gpu_ids=4",
        "gpu_ids=0,1,2,3,4",
        "gpu_ids=4294967296",
        "gpu_ids=18446744073709551616",
        "gpu_ids=99999999999999999999999999999999999999999999",
        "gpu_ids=0%00",
        "gpu_ids=%D9%A1",
        "gpu_ids=0&gpu_ids=0",
        "gpu_ids=0&gpu_ids=1",
        "gpu_ids=0&gpu%5Fids=1",
        "gpu_ids",
        "gpu_ids=%ff",
        "gpu_ids=0,%c3%28",
        "gpu_ids=%",
        "gpu_ids=%1",
        "gpu_ids=%zz",
        "gpu_ids=0=1"
      })
  void refusesMalformedIdsByName(String query) throws IOException {
    for (String read : READS) {
      refuse("/gpu/" + read + "?" + query).assertError(400, "gpu_ids");
    }
  }

  @ParameterizedTest
  @CsvSource({
    "gpu_id=0, gpu_id",
    "GPU_IDS=0, GPU_IDS",
    "gpu_ids=0&block=true, block",
    "cpu_ids=0, cpu_ids",
    "x, x",
    "%22quoted%22=1, '\\\"quoted\\\"'",
    "gpu_ids=0&, unknown parameter ''",
    "&, unknown parameter ''",
    "=0, unknown parameter ''"
  })
  void refusesUnknownParametersByName(String query, String name) throws IOException {
    for (String read : READS) {
      refuse("/gpu/" + read + "?" + query).assertError(400, name);
    }
    refuse("/time?" + query).assertError(400);
    refuse("/discover?" + query).assertError(400);
  }

  @ParameterizedTest
  @ValueSource(strings = {"format=", "format", "format=SAMPLE", "format=sample,", "format=json"})
  void refusesUnknownFormats(String query) throws IOException {
    refuse("/gpu/stream_power?" + query).assertError(400, "format");
    refuse("/gpu/stream_power?format=sample&" + query).assertError(400, "format");
    refuse("/gpu/get_power?" + query).assertError(400, "format");
  }

  @Test
  void showsOnlyTheStartOfALongValue() throws IOException {
    RawResponse response = refuse("/gpu/get_power?gpu_ids=" + "y".repeat(3000));
    response.assertError(400, "gpu_ids", "yyy");
    assertEquals(true, response.body().length() < 300, response::body);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/page",
        "/page/",
        "/index.html",
        "/gpu",
        "/gpu/",
        "/gpu/get_power/",
        "/gpu/get_powers",
        "/GPU/get_power",
        "/time/x",
        "/discovery",
        "/gpu/get_power%00",
        "/%ff",
        "/gpu/..%2ftimes",
        "/favicon.ico"
      })
  void knowsNoOtherPaths(String path) throws IOException {
    refuse(path).assertError(404);
    refuse(path + "?gpu_ids=0").assertError(404);
  }

  @ParameterizedTest
  @ValueSource(strings = {"POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"})
  void refusesOtherMethods(String method) throws IOException {
    try (RawConnection connection = server.connect()) {
      for (String path : new String[] {"/time", "/discover", "/gpu/get_power?gpu_ids=x"}) {
        connection.send(RawConnection.request(method, path));
        RawResponse response = connection.readResponse();
        response.assertError(405, method);
        assertEquals("GET, HEAD, OPTIONS", response.header("Allow"));
      }
      for (String read : READS) {
        connection.send(RawConnection.request(method, "/gpu/" + read));
        assertEquals("GET, HEAD, OPTIONS", connection.readResponse().header("Allow"));
      }
      connection.get("/time").assertOkMatching("\\{\"timestamp_ms\":\\d+}");
    }
  }

  @Test
  void namesTheGroupThatIsNotEnabled() throws IOException {
    try (TestServer without = TestServer.start(Transport.TCP, 20, Set.of(), StreamFormat.SAMPLE)) {
      for (String read : READS) {
        without.get("/gpu/" + read).assertError(404, "gpu-read");
        without.get("/gpu/" + read + "?gpu_ids=x").assertError(404, "gpu-read");
      }
      without.get("/time").assertOkMatching("\\{\"timestamp_ms\":\\d+}");
    }
    callsOfStart = nvml.totalCalls();
  }

  private static RawResponse refuse(String target) throws IOException {
    try (RawConnection connection = server.connect()) {
      return connection.get(target);
    }
  }
}
