package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** What the command line says of itself, and of what it does not understand. */
class CommandLineTest {
  @ParameterizedTest
  @ValueSource(strings = {"--version", "-V", "serve --version"})
  void tellsItsVersion(String args) {
    Said said = Said.by(args.split(" "));
    assertEquals(0, said.status());
    assertTrue(said.out().matches("zeusd \\d+\\.\\d+\\.\\d+\\R"), said.out());
    assertEquals("", said.err());
  }

  @ParameterizedTest
  @ValueSource(strings = {"--help", "-h", "help"})
  void listsItsCommands(String args) {
    Said said = Said.by(args);
    assertEquals(0, said.status());
    assertTrue(said.out().contains("serve"), said.out());
    assertTrue(said.out().contains("help"), said.out());
    assertEquals("", said.err());
  }

  @ParameterizedTest
  @CsvSource({
    "--mode, (uds)|(tcp)|[default: uds]",
    "--socket-path, [default: /var/run/zeusd.sock]",
    "--socket-permissions, [default: 666]",
    "--socket-uid, Owner",
    "--socket-gid, Group",
    "--tcp-bind-address, [::1]:4938 [default: 127.0.0.1:4938]",
    "--allowed-host, localhost",
    "--allowed-origin, 'https://dashboard.example:3000|only its own'",
    "--num-workers, logical CPUs",
    "--gpu-power-poll-hz, 1 to 1000 [default: 20]",
    "--cpu-power-poll-hz, 1 to 1000 [default: 10]",
    "--history, at most 14d|read all the time|[default: never]",
    "--enable, 'gpu-control:|gpu-read:|cpu-read:|[default: gpu-control,gpu-read,cpu-read]'",
    "--signing-key-path, no authentication",
    "--gpu-backend, 'auto, nvml, amdsmi, simulated, simulated-mig [default: auto]'",
    "--stream-format, sample|snapshot|[default: sample]",
    "--rapl-dir, /zeus_sys/class/powercap/intel-rapl|/sys/class/powercap/intel-rapl",
    "--simulate, Simulated",
    "--log-level, 'error, warn, info or debug [default: info]'"
  })
  void helpTellsValuesAndDefaults(String option, String mentioned) {
    String section = section(Said.by("serve", "--help").out(), option).replaceAll("\\s+", " ");
    for (String words : mentioned.split("\\|")) {
      assertTrue(
          section.contains(words),
          () -> "no '" + words + "' in the help of " + option + ": " + section);
    }
  }

  /** What the help says of one option, on one line. */
  private static String section(String help, String option) {
    StringBuilder section = new StringBuilder();
    boolean inside = false;
    for (String line : help.lines().toList()) {
      boolean isOption = line.matches(" {2,6}(-\\w, )?--.*");
      inside =
          isOption
              ? line.strip().startsWith(option + "=")
                  || line.strip().equals(option)
                  || line.strip().startsWith(option + " ")
              : inside;
      section.append(inside ? " " + line.strip() : "");
    }
    assertFalse(section.isEmpty(), () -> option + " is not in the help: " + help);
    return section.toString();
  }

  /** All commands with their names, such as {@code token issue}; the first is zeusd itself. */
  private static Stream<String> commands() {
    return commands(Zeusd.commandLine(), "");
  }

  private static Stream<String> commands(CommandLine commandLine, String names) {
    Stream<String> below =
        commandLine.getSubcommands().entrySet().stream()
            .flatMap(
                command -> commands(command.getValue(), (names + " " + command.getKey()).strip()));
    return Stream.concat(Stream.of(names), below);
  }

  @ParameterizedTest
  @MethodSource("commands")
  void helpOfACommandIsTheSameEitherWay(String command) {
    Said help = Said.by((command + " --help").strip().split(" "));
    assertEquals(0, help.status());
    assertEquals("", help.err());
    assertTrue(help.out().startsWith("Usage: " + ("zeusd " + command).strip() + " ["), help.out());
    assertEquals(help, Said.by((command + " -h").strip().split(" ")));
    assertEquals(help, Said.by(("help " + command).strip().split(" ")));
    Said nonsense = Said.by(("help " + command + " nonsense").replaceAll(" +", " ").split(" "));
    assertEquals(2, nonsense.status());
    assertUsageError(nonsense.out(), nonsense.err(), "nonsense");
  }

  @Test
  void helpBelowACommandIsOfItsCommands() {
    assertEquals(Said.by("token", "issue", "--help"), Said.by("token", "help", "issue"));
    assertEquals(Said.by("token", "--help"), Said.by("token", "help"));
    assertUsageError(
        "", Said.by("token", "help", "serve").err(), "'zeusd token' has no command 'serve'");
  }

  private static List<String> helpInLinesOf(int width, String command) {
    StringWriter out = new StringWriter();
    CommandLine zeusd = Zeusd.commandLine(() -> width);
    zeusd.setOut(new PrintWriter(out, true));
    assertEquals(0, zeusd.execute((command + " --help").strip().split(" ")));
    return out.toString().lines().toList();
  }

  private static List<String> words(List<String> lines) {
    return lines.stream().flatMap(line -> Stream.of(line.strip().split("\\s+"))).toList();
  }

  @ParameterizedTest
  @MethodSource("commands")
  void helpBreaksNoWord(String command) {
    List<String> words = words(helpInLinesOf(10_000, command));
    for (int width = 20; width <= 200; width++) {
      List<String> lines = helpInLinesOf(width, command);
      assertEquals(words, words(lines), "in lines of " + width);
      for (String line : lines) {
        int atMost = width;
        assertTrue(
            line.length() <= atMost || line.strip().indexOf(' ') < 0,
            () -> "longer than " + atMost + ": " + line);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"100, 100", "45, 45", "'', 80", "wide, 80", "-1, 80", "0, 80"})
  void helpIsAsWideAsTheTerminal(String columns, int width, @TempDir Path directory)
      throws Exception {
    try (ZeusdProcess zeusd =
        ZeusdProcess.start(directory, Map.of("COLUMNS", columns), "serve", "--help")) {
      assertEquals(0, zeusd.awaitExit());
      assertEquals(helpInLinesOf(width, "serve"), zeusd.out().lines().toList());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "serve, --mode=, Listen",
    "serve, --tls-client-ca=, [tls]",
    "serve, --audit-failure=, What",
    "run, --power-limit=, Their"
  })
  void helpKeepsTheTextBesideItsOption(String command, String name, String firstWord) {
    List<String> lines = helpInLinesOf(80, command);
    int option =
        IntStream.range(0, lines.size())
            .filter(i -> lines.get(i).matches(" {6}" + name + "\\S+ .*"))
            .findFirst()
            .orElseThrow();
    int text = lines.get(option).indexOf(" " + firstWord) + 1;
    assertTrue(text > 0, lines.get(option));
    assertTrue(lines.get(option + 1).matches(" {" + text + "}\\S.*"), lines.get(option + 1));
  }

  @ParameterizedTest
  @CsvSource({
    "--bogus, --bogus",
    "frobnicate, frobnicate",
    "serve --bogus, --bogus",
    "serve extra, extra",
    "serve --mode, --mode",
    "serve --mode=udp, uds",
    "serve --mode=UDS, uds",
    "serve --gpu-power-poll-hz=0, 1 to 1000",
    "serve --gpu-power-poll-hz=1001, 1 to 1000",
    "serve --gpu-power-poll-hz=-5, 1 to 1000",
    "serve --gpu-power-poll-hz=fast, --gpu-power-poll-hz",
    "serve --num-workers=0, --num-workers",
    "serve --socket-permissions=888, octal",
    "serve --socket-permissions=1777, octal",
    "serve --socket-permissions=rw-, octal",
    "serve --socket-uid=-1, --socket-uid",
    "serve --socket-gid=root, --socket-gid",
    "serve --socket-uid=4294967295, 4294967294",
    "serve --socket-uid=٣, --socket-uid",
    "serve --socket-uid=+1, --socket-uid",
    "serve --socket-permissions=-1, octal",
    "serve --socket-permissions=00666, octal",
    "serve --socket-permissions=, octal",
    "serve --socket-permissions=0o666, octal",
    "serve --socket-path=, --socket-path",
    "serve --socket-path=/, directory",
    "serve --socket-path=.., directory",
    "serve --socket-path=/tmp/.., directory",
    "serve"
        + " --socket-path=/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789,"
        + " 106",
    "serve --signing-key-path=, --signing-key-path",
    "serve --rapl-dir=, --rapl-dir",
    "serve --tcp-bind-address=4938, HOST:PORT",
    "serve --tcp-bind-address=::1:4938, '[::1]'",
    "serve --tcp-bind-address=127.0.0.1:99999, 65535",
    "serve --tcp-bind-address=127.0.0.1:, --tcp-bind-address",
    "serve --allowed-host=http://gpu01, gpu01.example",
    "serve --allowed-host=gpu01:4938, gpu01.example",
    "serve --allowed-host=*, --allowed-host",
    "'serve --allowed-host=gpu01,', --allowed-host",
    "serve --allowed-origin=dashboard.example, https://dashboard.example:3000",
    "serve --allowed-origin=*, --allowed-origin",
    "serve --allowed-origin=null, --allowed-origin",
    "serve --allowed-origin=https://dashboard.example/, without a path",
    "serve --tcp-bind-address=127.0.0.1:+80, 65535",
    "serve --tcp-bind-address=127.0.0.1:-0, 65535",
    "serve --tcp-bind-address=256.1.1.1:80, HOST:PORT",
    "serve --tcp-bind-address=1.2.3.4.5:80, HOST:PORT",
    "serve --tcp-bind-address=[x]:80, HOST:PORT",
    "serve --tcp-bind-address=[::zz]:80, HOST:PORT",
    "serve --tcp-bind-address=[127.0.0.1]:80, HOST:PORT",
    "serve --tcp-bind-address=gpu/01:80, HOST:PORT",
    "serve --tcp-bind-address=-x:80, HOST:PORT",
    "serve --tcp-bind-address=http://localhost:80, HOST:PORT",
    "serve --enable=gpu-write, gpu-read",
    "serve --enable=, --enable",
    "'serve --enable=,', --enable",
    "'serve --enable=gpu-read,', gpu-control",
    "'serve --enable=,gpu-read', gpu-control",
    "'serve --enable gpu-read,,cpu-read', gpu-control",
    "serve --stream-format=SAMPLE, snapshot",
    "serve --gpu-backend=none, 'auto, nvml, amdsmi, simulated, simulated-mig'",
    "serve --log-level=trace, 'error, warn, info, debug'",
    "serve --mode=uds --mode=tcp, --mode",
    "help frobnicate, frobnicate"
  })
  void refusesWhatItDoesNotUnderstand(String args, String mentioned) {
    Said said = Said.by(args.split(" "));
    assertEquals(2, said.status(), said.err());
    assertUsageError(said.out(), said.err(), mentioned);
  }

  @Test
  void wantsACommand() {
    Said said = Said.by();
    assertEquals(2, said.status());
    assertUsageError(said.out(), said.err(), "serve");
  }

  private static void assertUsageError(String out, String err, String mentioned) {
    assertEquals("", out);
    List<String> lines = err.lines().toList();
    assertEquals(2, lines.size(), err);
    assertTrue(lines.get(0).startsWith("error: "), err);
    assertTrue(lines.get(0).contains(mentioned), err);
    assertTrue(lines.get(1).matches("For more information, try 'zeusd.* --help'\\."), err);
    assertFalse(err.contains("Exception"), err);
  }
}
