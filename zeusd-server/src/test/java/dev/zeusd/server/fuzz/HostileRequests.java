package dev.zeusd.server.fuzz;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** What a hostile client sends, one char a byte; the same random numbers make the same bytes. */
public final class HostileRequests {
  private static final String CRLF = "\r\n";

  private static final List<String> METHODS =
      List.of("GET", "POST", "get", "PUT", "OPTIONS", "CONNECT", "PRI", "", "G\0T", "GET\t", "é");

  private static final List<String> PATHS =
      List.of(
          "/time",
          "/discover",
          "/auth/whoami",
          "/gpu/get_power",
          "/gpu/stream_power",
          "/gpu/get_power_limit",
          "/gpu/get_cumulative_energy",
          "/gpu/set_power_limit",
          "/gpu/set_persistence_mode",
          "/gpu/set_gpu_locked_clocks",
          "/gpu/reset_locked_clocks",
          "/cpu/get_power",
          "/cpu/get_cumulative_energy",
          "/",
          "",
          "*",
          "//gpu//get_power",
          "/gpu/../gpu/get_power",
          "/gpu/%67et_power",
          "/gpu/get_power;x=1",
          "/%00",
          "/%",
          "/%ff%fe",
          "http://zeusd/time",
          "http://[::1",
          "zeusd:80",
          "/../../etc/passwd",
          "/\u0001",
          "/#x");

  private static final List<String> PARAMETERS =
      List.of(
          "gpu_ids",
          "cpu_ids",
          "cpu",
          "dram",
          "block",
          "enabled",
          "format",
          "power_limit_mw",
          "min_clock_mhz",
          "max_clock_mhz",
          "",
          "GPU_IDS",
          "gpu%5fids",
          "x",
          "%",
          "[]",
          "gpu_ids[]");

  private static final List<String> VALUES =
      List.of(
          "0",
          "1",
          "0,1,2,3",
          "3,3,3",
          "4",
          "-1",
          "",
          ",",
          "0,",
          "%2c",
          "true",
          "false",
          "TRUE",
          "200000",
          "4294967295",
          "4294967296",
          "99999999999999999999999",
          "1e3",
          "0x10",
          "1.5",
          "NaN",
          "+1",
          "%2B1",
          "%00",
          "%ff",
          "%c3%28",
          "%f0%9f%92%a9",
          "%u0030",
          "%",
          "%1",
          "é",
          "snapshot",
          "sample",
          "'",
          "\"",
          "<script>",
          "${jndi:ldap://x}",
          "{}",
          "null",
          "a=b");

  private static final List<String> DEVICE_REQUESTS =
      List.of(
          "GET /gpu/get_power?gpu_ids=0",
          "GET /gpu/get_cumulative_energy?gpu_ids=0,3",
          "GET /gpu/get_power_limit?gpu_ids=2",
          "GET /gpu/get_power_limit_constraints?gpu_ids=0,1,2,3",
          "GET /gpu/get_persistence_mode?gpu_ids=1",
          "POST /gpu/set_power_limit?gpu_ids=0,1&power_limit_mw=200000&block=true",
          "POST /gpu/set_persistence_mode?gpu_ids=3&enabled=false&block=true",
          "POST /gpu/set_gpu_locked_clocks?gpu_ids=0&min_clock_mhz=900&max_clock_mhz=950&block=true",
          "POST /gpu/set_mem_locked_clocks?gpu_ids=0&min_clock_mhz=500&max_clock_mhz=900&block=true",
          "POST /gpu/reset_gpu_locked_clocks?gpu_ids=1,2&block=true",
          "POST /gpu/reset_locked_clocks?gpu_ids=0&block=true");

  private static final List<String> TOKEN_PARTS =
      List.of(
          "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
          "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}",
          "{\"alg\":\"HS256\",\"alg\":\"none\"}",
          "{\"alg\":\"HS256\",\"zip\":\"DEF\"}",
          "{\"alg\":\"HS256\",\"kid\":\"../../../dev/zero\"}",
          "{\"alg\":\"HS256\",\"jku\":\"http://127.0.0.1/\"}",
          "{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}",
          "{\"alg\":\"HS256\",\"x5c\":[\"\"]}",
          "{\"alg\":\"none\"}",
          "{\"alg\":\"None\"}",
          "{\"alg\":\"RS256\"}",
          "{\"alg\":null}",
          "{\"alg\":5}",
          "{\"alg\":\"dir\",\"enc\":\"A128GCM\"}",
          "{\"sub\":\"root\",\"scopes\":[\"gpu-read\",\"gpu-control\"]}",
          "{\"sub\":\"root\",\"scopes\":[\"gpu-read\"],\"exp\":99999999999999999999e999}",
          "{\"sub\":\"\\ud800\",\"scopes\":{}}",
          "{\"a\":1e999999999}",
          "{",
          "",
          "null",
          "[]",
          "\"HS256\"",
          "\u00ff\u00fe",
          "{\"alg\":\"HS256\"}}",
          "{'alg':'HS256'}");

  private static final List<String> HEADERS =
      List.of(
          "Connection: close",
          "Connection: keep-alive, close, Upgrade",
          "Connection: \0",
          "Content-Length: 0",
          "Content-Length: 5",
          "Content-Length: -1",
          "Content-Length: +0",
          "Content-Length: 0, 0",
          "Content-Length: 99999999999999999999999999",
          "Content-Length:",
          "Transfer-Encoding: chunked",
          "Transfer-Encoding: gzip, chunked",
          "Transfer-Encoding: chunked, identity",
          "Transfer-Encoding : chunked",
          "Transfer-Encoding: \tchunked",
          "Content-Encoding: gzip",
          "Expect: 100-continue",
          "Expect: the worst",
          "Upgrade: h2c",
          "Upgrade: websocket",
          "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
          "Host: other",
          "Host: [",
          "Host: zeusd:notaport",
          "Host:",
          "Authorization: Bearer",
          "Authorization: Bearer x.y.z",
          "Authorization: Basic YTpi",
          "Accept: application/json",
          "Accept: */*;q=x",
          "Accept: ,,,;;;",
          "Cookie: a=b; c; =; \"",
          "Range: bytes=0-0,-1",
          "X-Forwarded-For: 127.0.0.1",
          "X-HELIDON-CN: root",
          " folded",
          "no colon",
          ": no name",
          "N\0l: x",
          "X: \u0007\u00ff",
          "X-Header: x\rY: y",
          "X-Header: x\nY: y");

  private static final List<String> CHUNKS =
      List.of(
          "0\r\n\r\n",
          "5\r\nhello\r\n0\r\n\r\n",
          "5\r\nhel",
          "ffffffffffffffffff\r\n",
          "7fffffff\r\nx",
          "-1\r\n",
          "0x5\r\nhello\r\n",
          "5;ext=\"\r\nhello\r\n0\r\n\r\n",
          "\r\n",
          "5\nhello\n0\n\n",
          "0\r\nTrailer: x\r\n\r\n");

  private final RandomGenerator random;

  /** All that is sent follows from these numbers. */
  public HostileRequests(RandomGenerator random) {
    this.random = random;
  }

  /** The bytes of one connection. */
  public String next() {
    return switch (random.nextInt(10)) {
      case 0, 1 -> mutated(sensible());
      case 2 -> mutated(sensible() + sensible() + sensible());
      case 3, 4 -> malformed();
      case 5 -> repeated(this::malformed, 5) + sensible();
      case 6 -> repeated(this::sensible, 40) + malformed();
      case 7 -> queries();
      case 8 -> chunked();
      default -> noise();
    };
  }

  /** One of those that are large: megabytes of one kind of thing. */
  public String large() {
    int mega = 1 << 20;
    return switch (random.nextInt(7)) {
      case 0 ->
          "GET /time HTTP/1.1\r\nHost: localhost\r\nX: " + "x".repeat(10 * mega) + CRLF + CRLF;
      case 1 -> "GET /time HTTP/1.1\r\nHost: localhost\r\n" + "X: y\r\n".repeat(mega) + CRLF;
      case 2 -> "GET /gpu/get_power?" + "gpu_ids=0&".repeat(mega) + " HTTP/1.1\r\n\r\n";
      case 3 -> "GET /gpu/get_power?gpu_ids=" + "0,".repeat(mega) + "0 HTTP/1.1\r\n\r\n";
      case 4 -> "G".repeat(10 * mega);
      case 5 -> "\r\n".repeat(mega);
      default ->
          "POST /time HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n" + "x".repeat(mega);
    };
  }

  /** What may look like a token, but cannot be one: it is not signed with the server's key. */
  public String token() {
    Base64.Encoder encoder = Base64.getUrlEncoder().withoutPadding();
    String header = oneOf(TOKEN_PARTS);
    String payload = oneOf(TOKEN_PARTS);
    if (random.nextInt(10) == 0) {
      String nested = oneOf(List.of("[", "{\"a\":")).repeat(random.nextInt(2000));
      header = random.nextBoolean() ? "{\"alg\":\"HS256\",\"x\":" + nested : nested;
    }
    String signature = bytes(random.nextInt(2) * 32);
    return Stream.of(header, payload, signature)
        .limit(random.nextInt(8) == 0 ? random.nextInt(4) : 3)
        .map(part -> encoder.encodeToString(part.getBytes(StandardCharsets.ISO_8859_1)))
        .collect(Collectors.joining("."));
  }

  /** For a path that has devices, with parameters of which some may be wrong, and no streams. */
  public String deviceRequest() {
    String right = oneOf(DEVICE_REQUESTS);
    int query = right.indexOf('?') + 1;
    List<String> parameters = new ArrayList<>(List.of(right.substring(query).split("&")));
    for (int i = random.nextInt(3); i > 0; i--) {
      int at = random.nextInt(parameters.size());
      String name = parameters.get(at).split("=", -1)[0];
      switch (random.nextInt(5)) {
        case 0 -> parameters.add(oneOf(parameters));
        case 1 -> parameters.add(oneOf(PARAMETERS) + "=" + oneOf(VALUES));
        case 2 -> parameters.set(at, name);
        default -> parameters.set(at, name + "=" + oneOf(VALUES));
      }
    }
    // A write that is not waited for has its effect later, when the test has moved on.
    String all = String.join("&", parameters).replace("block=false", "block=no");
    return right.substring(0, query) + all + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  }

  private String sensible() {
    String method = random.nextInt(4) == 0 ? "POST" : "GET";
    return method + " " + target() + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  }

  private String target() {
    String path = oneOf(PATHS);
    return random.nextBoolean() ? path : path + "?" + query(random.nextInt(5));
  }

  private String query(int parameters) {
    return IntStream.range(0, parameters)
        .mapToObj(i -> oneOf(PARAMETERS) + (random.nextInt(9) == 0 ? "" : "=" + oneOf(VALUES)))
        .collect(Collectors.joining("&"));
  }

  private String queries() {
    return "GET "
        + oneOf(PATHS)
        + "?"
        + query(random.nextInt(300))
        + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  }

  private String malformed() {
    String space = oneOf(List.of(" ", " ", " ", "  ", "\t", ""));
    String version =
        oneOf(List.of("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.1 ", "http/1.1", ""));
    String line = oneOf(METHODS) + space + target() + space + version + lineEnd();
    String host = random.nextInt(4) == 0 ? "" : "Host: localhost" + lineEnd();
    return line + host + repeated(() -> oneOf(HEADERS) + lineEnd(), 6) + lineEnd();
  }

  private String chunked() {
    String head = sensible();
    return head.substring(0, head.length() - 2)
        + "Transfer-Encoding: chunked\r\n\r\n"
        + repeated(() -> oneOf(CHUNKS), 3)
        + sensible();
  }

  private String noise() {
    return switch (random.nextInt(4)) {
      case 0 -> "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(50);
      case 1 -> "\u0016\u0003\u0001\u0002\0\u0001\0\u0001\u00fc\u0003\u0003" + bytes(200);
      case 2 -> bytes(random.nextInt(5000));
      default -> "";
    };
  }

  private String bytes(int count) {
    return random
        .ints(count, 0, 256)
        .mapToObj(b -> String.valueOf((char) b))
        .collect(Collectors.joining());
  }

  private String lineEnd() {
    return random.nextInt(30) == 0 ? oneOf(List.of("\n", "\r", "\r\r\n", "")) : CRLF;
  }

  private String repeated(Supplier<String> part, int most) {
    return IntStream.range(0, random.nextInt(most + 1))
        .mapToObj(i -> part.get())
        .collect(Collectors.joining());
  }

  private String oneOf(List<String> values) {
    return values.get(random.nextInt(values.size()));
  }

  /** The same with some bytes changed, lost, doubled or moved. */
  public String mutated(String original) {
    StringBuilder bytes = new StringBuilder(original);
    for (int i = random.nextInt(1, 5); i > 0 && !bytes.isEmpty(); i--) {
      int at = random.nextInt(bytes.length());
      int end = Math.min(bytes.length(), at + random.nextInt(1, 20));
      switch (random.nextInt(6)) {
        case 0 -> bytes.setCharAt(at, (char) (bytes.charAt(at) ^ 1 << random.nextInt(8)));
        case 1 -> bytes.insert(at, (char) random.nextInt(256));
        case 2 -> bytes.delete(at, end);
        case 3 -> bytes.insert(at, bytes.substring(at, end));
        case 4 -> bytes.insert(random.nextInt(bytes.length()), bytes.substring(at, end));
        default -> bytes.setLength(at);
      }
    }
    return bytes.toString();
  }
}
