package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.zeusd.core.Await;
import dev.zeusd.server.raw.TestAuthority;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Whatever changes in the file is told at SIGHUP: that it counts, or that it takes a restart. */
@Timeout(600)
class ReloadedOptionsTest {
  private static final String RESTART = "warn SIGHUP: these take a restart to change: ";
  private static final String TAKEN = "info SIGHUP: read again: ";
  private static final String REFUSED = "warn SIGHUP: nothing was changed: ";

  @TempDir private Path directory;
  private Path config;
  private Path key;
  private TestAuthority authority;

  /** As it is in TOML. */
  private final Map<String, String> atStart = new LinkedHashMap<>();

  @BeforeEach
  void prepare() throws IOException {
    assumeFalse(ZeusdProcess.ignoresSignal(1), "SIGHUP is ignored, as nohup does");
    config = directory.resolve("zeusd.toml");
    key = Files.writeString(directory.resolve("key"), "k".repeat(40));
    Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-------"));
    atStart.put("simulate", "true");
    atStart.put("socket-path", quoted(directory.resolve("z.sock")));
    atStart.put("state-dir", quoted(directory.resolve("state")));
  }

  private static String quoted(Object value) {
    return "'" + value + "'";
  }

  /** Of each option another value than that of the start, and what is to be said. */
  private Map<String, List<String>> others() throws IOException {
    Map<String, List<String>> others = new TreeMap<>();
    others.put("mode", List.of("'tcp'", RESTART));
    others.put("socket-path", List.of(quoted(directory.resolve("y.sock")), RESTART));
    others.put("socket-permissions", List.of("'600'", RESTART));
    others.put("socket-uid", List.of("4321", RESTART));
    others.put("socket-gid", List.of("4321", RESTART));
    others.put("tcp-bind-address", List.of("'127.0.0.2:4938'", RESTART));
    others.put("allowed-host", List.of("['gpu01']", RESTART));
    others.put("allowed-origin", List.of("['https://gpu01.example']", RESTART));
    others.put("num-workers", List.of("3", RESTART));
    others.put("gpu-power-poll-hz", List.of("21", RESTART));
    others.put("cpu-power-poll-hz", List.of("11", RESTART));
    others.put("history", List.of("'10m'", RESTART));
    others.put("gpu-backend", List.of("'nvml'", RESTART));
    others.put("gpu-idle-release", List.of("'10m'", RESTART));
    others.put("hwmon-dir", List.of(quoted(directory), RESTART));
    others.put("rapl-dir", List.of(quoted(directory), RESTART));
    others.put("state-dir", List.of(quoted(directory), RESTART));
    others.put("simulate", List.of("false", RESTART));
    others.put("enable", List.of("['gpu-read']", RESTART));
    others.put("stream-format", List.of("'snapshot'", RESTART));
    others.put("restore-on", List.of("'process-exit'", RESTART));
    others.put("log-level", List.of("'debug'", RESTART));
    others.put("gpu-command-overrides", List.of(quoted(commands("/bin/true")), RESTART));
    others.put("signing-key-path", List.of(quoted(key), REFUSED + "to begin or end asking"));
    others.put("revoked-tokens", List.of(quoted(directory.resolve("revoked")), TAKEN));
    others.put("audit-log", List.of(quoted(directory.resolve("audit")), TAKEN));
    others.put("audit-failure", List.of("'refuse'", TAKEN));
    others.put("tls-bind-address", List.of("'127.0.0.2:4939'", RESTART));
    others.put("tls-min-version", List.of("'1.2'", RESTART));
    others.put("tls-cert", List.of(quoted(key), REFUSED + "--tls-cert"));
    others.put("tls-key", List.of(quoted(key), REFUSED + "--tls-cert, --tls-key"));
    others.put("tls-client-ca", List.of(quoted(key), REFUSED + "--tls-cert"));
    return others;
  }

  private Path commands(String program) throws IOException {
    Path file = directory.resolve("commands.toml");
    Files.writeString(file, "[set_power_limit]\ncommands = ['" + program + " {gpu_id}']\n");
    return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
  }

  private void write(Map<String, String> options, String tables) throws IOException {
    String text =
        options.entrySet().stream()
            .map(option -> option.getKey() + " = " + option.getValue() + "\n")
            .collect(Collectors.joining());
    Files.writeString(config, text + tables);
    Files.setPosixFilePermissions(config, PosixFilePermissions.fromString("rw-r--r--"));
  }

  private ZeusdProcess start() throws Exception {
    write(atStart, "");
    ZeusdProcess zeusd =
        ZeusdProcess.startShipped(directory, Map.of(), "", "serve", "--config", config.toString());
    zeusd.awaitErr(Pattern.compile("listening at "));
    return zeusd;
  }

  /** What is said of a file that has these, beside what it had at the start. */
  private String reload(ZeusdProcess zeusd, Map<String, String> changed, String tables)
      throws Exception {
    Map<String, String> options = new LinkedHashMap<>(atStart);
    options.putAll(changed);
    options.values().removeIf(String::isEmpty);
    write(options, tables);
    int before = zeusd.err().length();
    // The line of a restart is the last one, so the next reload's first line ends this one's.
    zeusd.signal("HUP");
    Await.until("it is read", () -> saidSince(zeusd, before).matches("(?s).*SIGHUP: .*\\R"));
    write(options, tables + "\nnonsense = 1\n");
    zeusd.signal("HUP");
    Await.until("it is over", () -> saidSince(zeusd, before).contains("nonsense"));
    return saidSince(zeusd, before);
  }

  private static String saidSince(ZeusdProcess zeusd, int before) {
    try {
      return zeusd.err().substring(before);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private static void assertTold(String said, String start, String what) {
    assertTrue(
        said.lines().anyMatch(line -> line.contains(start) && line.contains(what)),
        () -> "not '" + start + "' with " + what + ": " + said);
  }

  @Test
  void eachOptionCountsOrTakesARestartAndThatIsSaid() throws Exception {
    Map<String, List<String>> others = others();
    TreeSet<String> all =
        Zeusd.commandLine().getSubcommands().get("serve").getCommandSpec().options().stream()
            .map(ConfigFile::nameOf)
            .collect(Collectors.toCollection(TreeSet::new));
    all.removeAll(List.of("help", "version", "config"));
    assertEquals(all, others.keySet(), "what of a new option?");
    try (ZeusdProcess zeusd = start()) {
      for (Map.Entry<String, List<String>> option : others.entrySet()) {
        String name = option.getKey();
        String said = reload(zeusd, Map.of(name, option.getValue().getFirst()), "");
        String expected = option.getValue().getLast();
        assertTold(said, expected, expected.startsWith(REFUSED) ? "" : name);
        if (expected.equals(RESTART)) {
          assertTold(said, TAKEN, "");
        }
      }
      assertTold(reload(zeusd, Map.of(), "[limits]\nconnections = 99\n"), RESTART, "[limits]");
      String inTheFile = "[gpu-command-overrides.set_power_limit]\ncommands = ['/bin/true']\n";
      assertTold(reload(zeusd, Map.of(), inTheFile), RESTART, "gpu-command-overrides");
      assertFalse(reload(zeusd, Map.of(), "").contains(RESTART), zeusd::toString);
    }
  }

  @Test
  void commandsThatHaveChangedTakeARestart() throws Exception {
    atStart.put("gpu-command-overrides", quoted(commands("/bin/true")));
    try (ZeusdProcess zeusd = start()) {
      commands("/bin/false");
      assertTold(reload(zeusd, Map.of(), ""), RESTART, "gpu-command-overrides");
    }
  }

  @Test
  void withTlsItsOptionsCount() throws Exception {
    authority = new TestAuthority(directory, "test");
    TestAuthority.Issued first = authority.server();
    atStart.put("mode", "'uds,tls'");
    atStart.put("tls-bind-address", "'127.0.0.1:0'");
    atStart.put("tls-cert", quoted(first.certificate()));
    atStart.put("tls-key", quoted(first.key()));
    try (ZeusdProcess zeusd = start()) {
      String said = reload(zeusd, Map.of("tls-min-version", "'1.2'"), "");
      assertTold(said, TAKEN, "options: tls-min-version");
      TestAuthority.Issued second = authority.server();
      said =
          reload(
              zeusd,
              Map.of(
                  "tls-cert", quoted(second.certificate()),
                  "tls-key", quoted(second.key()),
                  "tls-client-ca", quoted(second.certificate())),
              "");
      assertTold(said, TAKEN, "TLS certificate: ");
      assertTold(said, TAKEN, "options: tls-cert, tls-key, tls-client-ca, tls-min-version");
      assertFalse(said.contains(RESTART), said);

      said = reload(zeusd, Map.of("tls-cert", ""), "");
      assertTold(said, REFUSED, "--mode tls needs --tls-cert and --tls-key");
      said = reload(zeusd, Map.of("mode", "'uds'", "tls-cert", "", "tls-key", ""), "");
      assertTold(said, RESTART, "mode, tls-cert, tls-key");
    }
  }
}
