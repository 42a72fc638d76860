package dev.zeusd.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The whole comparison, so briefly that its figures mean nothing. */
class CompareTest {
  private static final String NUMBER = "\\d+(\\.\\d+)?";
  private static final String SPREAD = NUMBER + " \\(" + NUMBER + "–" + NUMBER + "\\)";

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();
  @TempDir private Path directory;

  private int compare(String... arguments) {
    List<String> all = new ArrayList<>(List.of(arguments));
    all.addAll(List.of("--native-dir", ThisDaemon.nativeDirectory().toString()));
    all.addAll(List.of("--fake-nvml-dir", ThisDaemon.fakeNvmlDirectory().toString()));
    all.addAll(List.of("--seconds", "0.1", "--stream-seconds", "0.3", "--warm-up", "100"));
    return Compare.commandLine()
        .setOut(new PrintWriter(out, true))
        .setErr(new PrintWriter(err, true))
        .execute(all.toArray(String[]::new));
  }

  /** The table's lines without its head, in cells. */
  private List<List<String>> table() {
    return out.toString()
        .lines()
        .filter(line -> line.startsWith("| "))
        .skip(2)
        .map(line -> Arrays.stream(line.split("\\|")).skip(1).map(String::strip).toList())
        .toList();
  }

  private static void assertMatches(String pattern, String text) {
    assertTrue(text.matches(pattern), () -> text + " does not look like " + pattern);
  }

  @Test
  void everyRowHasFiguresOfOneDaemon() throws IOException {
    boolean isRoot = Files.getAttribute(Path.of("/proc/self"), "unix:uid").equals(0);
    List<Row> rows =
        Rows.ALL.stream().filter(row -> isRoot || row.setup() != Setup.WRITES).toList();
    String names = String.join(",", rows.stream().map(Row::name).toList());
    String daemon = ThisDaemon.executable(directory).toString();

    assertEquals(0, compare("--a", daemon, "--turns", "1", "--rows", names), err::toString);

    Set<String> measured = new LinkedHashSet<>();
    for (List<String> cells : table()) {
      measured.add(cells.getFirst());
      assertMatches(NUMBER, cells.get(2));
      assertEquals("–", cells.get(3));
    }
    Set<String> expected = new LinkedHashSet<>(rows.stream().map(Row::name).toList());
    expected.add(Rows.GROWTH);
    assertEquals(expected, measured);
    assertMatches("(?s).*\n- A: zeusd [0-9.]+.*", out.toString());
  }

  @Test
  void twoDaemonsAreComparedWithEachOtherAndWithTheFloor() throws IOException {
    String daemon = ThisDaemon.executable(directory).toString();

    int status = compare("--a", daemon, "--b", daemon, "--turns", "2", "--rows", "get-power-uds");

    assertEquals(0, status, err::toString);
    List<String> p50 = table().getFirst();
    for (String cell : p50.subList(2, 7)) {
      assertMatches(SPREAD, cell);
    }
    assertMatches("(yes|\\*\\*no\\*\\*); (yes|\\*\\*no\\*\\*)", p50.get(8));
  }

  @Test
  void aDaemonThatDoesNotStartIsNamed() throws IOException {
    Path broken = ThisDaemon.executable(directory);
    Files.writeString(broken, "#!/bin/sh\n[ $1 = --version ] || { echo no luck; exit 1; }\n");

    assertEquals(1, compare("--a", broken.toString(), "--rows", "cold-start"));

    assertTrue(err.toString().contains("does not listen"), err::toString);
    assertTrue(err.toString().contains("no luck"), err::toString);
  }

  @Test
  void unknownRowsAreRefused() {
    assertEquals(2, compare("--a", "zeusd", "--rows", "cold-start,warm-start"));

    assertTrue(err.toString().contains("no row 'warm-start'"), err::toString);
    assertTrue(err.toString().contains("idle-memory"), err::toString);
  }
}
