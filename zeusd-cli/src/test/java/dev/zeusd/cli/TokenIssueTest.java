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
    return Tokens.withKeyFile(key).verify(lines[0]);
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
    "1y, PT31557600S"
  })
  void understandsDurations(String expires, String duration) throws Exception {
    Instant before = Instant.now();
    assertEquals(0, issue("--user", "alice", "--expires", expires), err::toString);
    Instant exp = issued().exp().orElseThrow();
    Duration off = Duration.between(before.plus(Duration.parse(duration)), exp);
    assertTrue(off.abs().compareTo(Duration.ofSeconds(30)) < 0, off::toString);
  }

  @Test
  void zeroIsNever() throws Exception {
    assertEquals(0, issue("--user", "alice", "--expires", "0"));
    assertEquals(new Claims("alice", List.of(), Optional.empty()), issued());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "1", "h", "-1h", "1.5h", "1h 30", "1x", "0h", "soon", "1h,2h", "9999999y"})
  void refusesOtherDurations(String expires) {
    assertEquals(2, issue("--user", "alice", "--expires", expires));
    assertEquals("", out.toString());
    assertTrue(err.toString().contains("--expires"), err::toString);
    assertEquals(2, err.toString().lines().count(), err::toString);
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
