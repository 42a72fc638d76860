package dev.zeusd.server.raw;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * An answer, taken apart.
 *
 * @param headers by name, in whatever case
 * @param body empty where only the head was read
 */
public record RawResponse(int status, Map<String, String> headers, String body) {
  private static final Pattern STATUS_LINE = Pattern.compile("HTTP/1\\.1 ([1-5]\\d\\d) [ -~]+");
  private static final Pattern HEADER = Pattern.compile("([A-Za-z0-9-]+): ([!-~](?:[ -~]*[!-~])?)");

  static RawResponse parse(String statusLine, List<String> headerLines) {
    Matcher status = STATUS_LINE.matcher(statusLine);
    assertTrue(status.matches(), () -> "status line: '" + statusLine + "'");
    Map<String, String> headers = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
    for (String line : headerLines) {
      Matcher header = HEADER.matcher(line);
      assertTrue(header.matches(), () -> "header: '" + line + "'");
      assertNull(headers.put(header.group(1), header.group(2)), () -> "twice: '" + line + "'");
    }
    return new RawResponse(Integer.parseInt(status.group(1)), headers, "");
  }

  RawResponse withBody(byte[] bytes) {
    return new RawResponse(status, headers, new String(bytes, StandardCharsets.UTF_8));
  }

  /** A header that has to be there. */
  public String header(String name) {
    String value = headers.get(name);
    assertTrue(value != null, () -> "no header " + name + " in " + this);
    return value;
  }

  /** Whether there is such a header. */
  public boolean hasHeader(String name) {
    return headers.containsKey(name);
  }

  boolean isChunked() {
    return "chunked".equals(headers.get("Transfer-Encoding"));
  }

  /** 200 with exactly this JSON. */
  public void assertOk(String json) {
    assertJson(200, json);
  }

  /** 200 with JSON that matches; the groups are returned. */
  public Matcher assertOkMatching(String regex) {
    assertIsJson(200);
    Matcher matcher = Pattern.compile(regex).matcher(body);
    assertTrue(matcher.matches(), () -> body + " does not match " + regex);
    return matcher;
  }

  /** This status with exactly this JSON. */
  public void assertJson(int expectedStatus, String json) {
    assertIsJson(expectedStatus);
    assertEquals(json, body);
  }

  /** {@code {"error":"…"}} with this status, and these texts in it. */
  public void assertError(int expectedStatus, String... mentioned) {
    assertIsJson(expectedStatus);
    assertTrue(body.matches("\\{\"error\":\"(?:[^\"\\\\]++|\\\\.)+\"}"), body);
    for (String text : mentioned) {
      assertTrue(body.contains(text), () -> "'" + text + "' is not in " + body);
    }
    assertFalse(body.contains("Exception"), body);
  }

  private void assertIsJson(int expectedStatus) {
    assertEquals(expectedStatus, status, this::toString);
    assertEquals("application/json", header("Content-Type"), this::toString);
    assertEquals(
        body.getBytes(StandardCharsets.UTF_8).length, Integer.parseInt(header("Content-Length")));
  }
}
