package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import java.util.stream.LongStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;

/** Command lines at random, parsed and refused as ever, but not carried out. */
class CommandLineFuzzTest {
  private static final int ROUNDS = Integer.getInteger("fuzz.rounds", 1000) * 2;

  private static final List<String> WORDS =
      List.of(
          "serve",
          "token",
          "issue",
          "help",
          "-h",
          "--help",
          "-V",
          "--version",
          "--mode",
          "--socket-path",
          "--socket-permissions",
          "--socket-uid",
          "--socket-gid",
          "--tcp-bind-address",
          "--num-workers",
          "--gpu-power-poll-hz",
          "--cpu-power-poll-hz",
          "--enable",
          "--signing-key-path",
          "--gpu-backend",
          "--stream-format",
          "--rapl-dir",
          "--simulate",
          "--log-level",
          "--user",
          "--scope",
          "--expires",
          "--",
          "-",
          "-x",
          "--no");

  /** Hosts are numbers only: a name would be asked for in the network. */
  private static final List<String> VALUES =
      List.of(
          "",
          " ",
          "uds",
          "tcp",
          "UDS",
          "0",
          "-1",
          "1",
          "1000",
          "1001",
          "99999999999999999999",
          "0x1",
          "666",
          "0777",
          "1777",
          "9",
          "gpu-read",
          "gpu-read,cpu-read",
          ",",
          "gpu-read,",
          "127.0.0.1:0",
          "127.0.0.1:65536",
          "[::1]:4938",
          "[::1",
          "]:1",
          ":",
          "::",
          "[]:1",
          "[x]:1",
          "1.2.3.4.5:1",
          "auto",
          "nvml",
          "simulated",
          "sample",
          "snapshot",
          "info",
          "debug",
          "trace",
          "1h",
          "1h 30m",
          "never",
          "99999999y",
          "9999999999999d",
          "/",
          "/dev/null",
          "/tmp/\u0000",
          "a\nb",
          "a\rb",
          "\t",
          "é",
          "\ud800",
          "💣",
          "%s%n",
          "{0}",
          "${sys:user.home}",
          "$(id)",
          "`id`",
          "@",
          "@/etc/passwd",
          "@@x",
          "'",
          "\"",
          "\\",
          "null",
          "true");

  static LongStream seeds() {
    return LongStream.of(4938, Long.getLong("fuzz.seed", new Random().nextLong()));
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void everyCommandLineIsTakenOrRefusedInOneLine(long seed) {
    int refused = 0;
    for (int round = 0; round < ROUNDS; round++) {
      String[] args = commandLine(new SplittableRandom(seed + round));
      try {
        refused += takenOrRefused(args);
      } catch (RuntimeException | AssertionError e) {
        throw new AssertionError("fuzz.seed=" + seed + ": " + Arrays.toString(args), e);
      }
    }
    assertTrue(refused > 0 && refused < ROUNDS, refused + " of " + ROUNDS + " were refused");
  }

  private static int takenOrRefused(String[] args) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    CommandLine zeusd = Zeusd.commandLine();
    zeusd.setOut(new PrintWriter(out, true)).setErr(new PrintWriter(err, true));
    zeusd.setExecutionStrategy(
        parsed -> {
          Integer helped = CommandLine.executeHelpRequest(parsed);
          return helped == null ? 0 : helped;
        });
    int status = zeusd.execute(args);
    if (status == 0) {
      assertEquals("", err.toString());
      return 0;
    }
    assertEquals(2, status);
    assertEquals("", out.toString());
    List<String> lines = err.toString().lines().toList();
    assertEquals(2, lines.size(), err::toString);
    assertTrue(lines.get(0).startsWith("error: "), err::toString);
    assertTrue(
        lines.get(1).matches("For more information, try 'zeusd.* --help'\\."), err::toString);
    assertFalse(err.toString().contains("Exception"), err::toString);
    return 1;
  }

  private static String[] commandLine(RandomGenerator random) {
    List<String> args = new ArrayList<>();
    args.addAll(random.nextInt(10) < 7 ? List.of("serve") : List.of("token", "issue"));
    if (random.nextInt(10) == 0) {
      args.clear();
    }
    for (int i = random.nextInt(6); i > 0; i--) {
      String word = WORDS.get(random.nextInt(WORDS.size()));
      String value = VALUES.get(random.nextInt(VALUES.size()));
      switch (random.nextInt(6)) {
        case 0 -> args.add(word);
        case 1 -> args.add(value);
        case 2, 3 -> args.add(word + "=" + value);
        default -> args.addAll(List.of(word, value));
      }
    }
    return args.toArray(String[]::new);
  }
}
