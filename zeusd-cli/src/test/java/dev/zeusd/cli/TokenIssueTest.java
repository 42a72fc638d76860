package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.server.auth.Claims;
import dev.zeusd.server.auth.Tokens;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** Tokens from the command line. */
class TokenIssueTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();
  private Path key;

  @BeforeEach
  void makeKey(@TempDir Path dir) throws Exception {
    key = Files.writeString(dir.resolve("signing.key"), "k".repeat(44) + "\n");
    Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-------"));
  }

  private int issue(String... arguments) {
    List<String> all = new ArrayList<>(List.of("token", "issue"));
    all.addAll(List.of("--signing-key-path", key.toString()));
    all.addAll(List.of(arguments));
    CommandLine zeusd = Zeusd.commandLine();
    zeusd.setOut(new PrintWriter(out, true)).setErr(new PrintWriter(err, true));
    return zeusd.execute(all.toArray(String[]::new));
  }

  private Claims issued() throws Exception {
    String[] lines = out.toString().split("\n");
    assertEquals(1, lines.length, "the token alone");
    Claims claims = Tokens.withKeyFile(key).verify(lines[0]);
    assertTrue(claims.jti().isPresent(), "a name by which it can be revoked");
    return new Claims(claims.sub(), claims.scopes(), claims.exp());
  }

  @Test
  void printsATokenAndNothingElse() throws Exception {
    assertEquals(0, issue("--user", "alice", "--scope", "gpu-read,cpu-read", "--expires", "never"));
    assertEquals(new Claims("alice", List.of("gpu-read", "cpu-read"), Optional.empty()), issued());
    assertEquals("", err.toString());
  }

  @ParameterizedTest
  @CsvSource({
    "1h, PT1H",
    "7d, PT168H",
    "30d, PT720H",
    "1h 30m, PT1H30M",
    "1h30m, PT1H30M",
    "2weeks, PT336H",
    "90 seconds, PT1M30S",
    "1 day 2 hours, PT26H",
    "1month, PT2629800S",
    "1y, PT31557600S",
    "1.5h, PT1H30M",
    ".5d, PT12H",
    "1wk, PT168H",
    "1yr, PT31557600S",
    "2mo, PT5259600S",
    "5000ms, PT5S",
    "5000MS, PT5S",
    "7D, PT168H",
    "2WEEKS 1Hour, PT337H",
    "90MIN, PT1H30M",
    "0.5H 30m, PT1H",
    "90m, PT1H30M",
    "3 Months, PT7889400S",
    "1500000000us, PT25M"
  })
  void understandsDurations(String expires, String duration) throws Exception {
    Instant before = Instant.now();
    assertEquals(0, issue("--user", "alice", "--expires", expires), err::toString);
    Instant exp = issued().exp().orElseThrow();
    Duration off = Duration.between(before.plus(Duration.parse(duration)), exp);
    assertTrue(off.abs().compareTo(Duration.ofSeconds(30)) < 0, off::toString);
  }

  @ParameterizedTest
  @ValueSource(strings = {"0", "never", "NEVER", "Never"})
  void someTokensHaveNoEnd(String expires) throws Exception {
    assertEquals(0, issue("--user", "alice", "--expires", expires));
    assertEquals(new Claims("alice", List.of(), Optional.empty()), issued());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        " ",
        "1",
        "90",
        "h",
        "-1h",
        "+1h",
        "1,5h",
        "1.h",
        "1..5h",
        "1e3s",
        "1h 30",
        "1x",
        "0h",
        "0.0d",
        "soon",
        "1h,2h",
        "9999999y",
        "999999999999y",
        "1ms",
        "999999us",
        "١h",
        "1h never",
        "00",
        "0x1h"
      })
  void refusesOtherDurations(String expires) {
    assertEquals(2, issue("--user", "alice", "--expires", expires));
    assertEquals("", out.toString());
    assertTrue(err.toString().contains("--expires"), err::toString);
    assertEquals(2, err.toString().lines().count(), err::toString);
  }

  /** Minutes to some, months to others: the line names both. */
  @ParameterizedTest
  @ValueSource(strings = {"1M", "30 M", "1h 30M", "1.5M"})
  void refusesAUnitOfTwoMeanings(String expires) {
    assertEquals(2, issue("--user", "alice", "--expires", expires));
    assertEquals("", out.toString());
    assertTrue(err.toString().contains("minutes"), err::toString);
    assertTrue(err.toString().contains("months"), err::toString);
    assertEquals(2, err.toString().lines().count(), err::toString);
  }

  /** The longest name's token, with all scopes, is taken by a server, and by a proxy in front. */
  @Test
  void issuesOnlyTokensThatFitIntoARequest() throws Exception {
    String longest = "\"".repeat(1024);
    String all = "gpu-control,gpu-read,cpu-read";
    assertEquals(0, issue("--user", longest, "--scope", all, "--expires", "1h"));
    assertEquals(longest, issued().sub());
    assertTrue(out.toString().length() < 8000, () -> out.toString().length() + " bytes");
    for (String user : List.of("x".repeat(1025), "ü".repeat(513), "", " ", "a\nb", "\u0007")) {
      out.getBuffer().setLength(0);
      assertEquals(2, issue("--user", user, "--expires", "1h"), user);
      assertEquals("", out.toString());
      assertTrue(err.toString().contains("--user"), err::toString);
    }
  }

  @ParameterizedTest
  @CsvSource({"'gpu-read,root', 'root'", "'gpu-read,', ''", "',gpu-read', ''", "'', ''"})
  void refusesUnknownScopes(String scope, String culprit) {
    assertEquals(2, issue("--user", "alice", "--scope", scope, "--expires", "1h"));
    assertTrue(err.toString().contains("'" + culprit + "'"), err::toString);
    assertEquals("", out.toString());
  }

  @Test
  void refusesShortAndMissingKeys() throws Exception {
    Files.writeString(key, "short");
    assertEquals(1, issue("--user", "alice", "--expires", "1h"));
    assertTrue(err.toString().contains("needs at least 32"), err::toString);
    assertFalse(err.toString().contains("short\n"), "shows the key");
    Files.delete(key);
    assertEquals(1, issue("--user", "alice", "--expires", "1h"));
    assertTrue(err.toString().contains("does not exist"), err::toString);
    assertEquals("", out.toString());
  }
}
