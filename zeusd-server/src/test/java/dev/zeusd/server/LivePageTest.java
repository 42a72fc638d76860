package dev.zeusd.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.testkit.nvml.FakeNvml;
import java.io.IOException;
import java.util.EnumSet;
import java.util.Optional;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The live page's files; what a browser makes of them is tried by packaging/web/page-check.py. */
class LivePageTest {
  private static final Pattern LINK = Pattern.compile("(?:src|href)=\"([^\"#:]+)\"");

  private final FakeNvml nvml = TestServer.freshNvml();
  private TestServer server;

  private void start(Transport transport, boolean needsToken) throws IOException {
    server =
        TestServer.start(
            transport,
            EnumSet.allOf(ApiGroup.class),
            needsToken ? Optional.of(TestTokens.checker()) : Optional.empty());
  }

  @AfterEach
  void stop() throws IOException {
    server.close();
  }

  private RawResponse ask(String target, String... headers) throws IOException {
    try (RawConnection connection = server.connect()) {
      connection.send(RawConnection.request("GET", target, headers));
      return connection.readResponse();
    }
  }

  @ParameterizedTest
  @EnumSource
  void hasAllThatItLinksTo(Transport transport) throws IOException {
    start(transport, true);
    long calls = nvml.totalCalls();
    RawResponse page = ask("/");
    assertEquals(200, page.status(), page::toString);
    assertEquals("text/html; charset=utf-8", page.header("Content-Type"));
    int links = 0;
    for (MatchResult link : LINK.matcher(page.body()).results().toList()) {
      RawResponse file = ask("/" + link.group(1));
      assertEquals(200, file.status(), link::group);
      assertTrue(file.header("Content-Type").startsWith("text/"), file::toString);
      assertEquals("nosniff", file.header("X-Content-Type-Options"));
      links++;
    }
    assertEquals(4, links);
    assertEquals(calls, nvml.totalCalls(), "a page without a token reads nothing");
  }

  @Test
  void allowsNothingButItsOwnFiles() throws IOException {
    start(Transport.TCP, false);
    RawResponse page = ask("/");
    String policy = page.header("Content-Security-Policy");
    assertTrue(policy.startsWith("default-src 'none'; script-src 'self';"), policy);
    assertFalse(policy.contains("unsafe"), policy);
    assertFalse(page.body().contains("<style"), "no inline style");
    assertFalse(Pattern.compile("<script(?![^>]* src=)").matcher(page.body()).find());
    assertFalse(Pattern.compile("\\son\\w+=").matcher(page.body()).find());
  }

  @Test
  void aPageThatIsKnownIsNotSentAgain() throws IOException {
    start(Transport.TCP, false);
    RawResponse page = ask("/page/app.js");
    RawResponse again = ask("/page/app.js", "If-None-Match: " + page.header("ETag"));
    assertEquals(304, again.status());
    assertEquals("", again.body());
    assertEquals(200, ask("/page/app.js", "If-None-Match: \"other\"").status());
  }

  @Test
  void strangersDoNotGetIt() throws IOException {
    start(Transport.TCP, false);
    ask("/", "Origin: http://evil.example").assertError(403, "another origin");
    ask("/", "Sec-Fetch-Site: cross-site").assertError(403, "another origin");
    assertEquals(200, ask("/", "Sec-Fetch-Site: none").status());
    ask("/?x=1").assertError(400, "unknown parameter");
  }
}
