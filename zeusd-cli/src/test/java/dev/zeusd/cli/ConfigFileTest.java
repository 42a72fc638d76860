package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/** What a configuration file may say, and what is said of one that is wrong. */
class ConfigFileTest {
  @TempDir private Path directory;

  private Path file(String text) throws Exception {
    Path file = Files.writeString(directory.resolve("zeusd.toml"), text);
    return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
  }

  private Said check(String text, String... more) throws Exception {
    List<String> args = new java.util.ArrayList<>(List.of("config", "check"));
    args.add(file(text).toString());
    args.addAll(List.of(more));
    return Said.by(args.toArray(String[]::new));
  }

  @Test
  void everyOptionOfServeCanBeInAFile() throws Exception {
    CommandSpec serve = Zeusd.commandLine().getSubcommands().get("serve").getCommandSpec();
    String text =
        """
        mode = "tcp"
        socket-path = "/run/z.sock"
        socket-permissions = "660"
        socket-uid = 1
        socket-gid = 4294967294
        tcp-bind-address = "[::1]:4938"
        tls-bind-address = "[::1]:4939"
        tls-cert = "/etc/t.crt"
        tls-key = "/etc/t.key"
        tls-client-ca = "/etc/ca.crt"
        tls-min-version = "1.2"
        allowed-host = ["gpu01.example", "gpu02"]
        allowed-origin = "https://dashboard.example:3000"
        num-workers = 3
        gpu-power-poll-hz = 50
        cpu-power-poll-hz = 5
        enable = ["gpu-read", "cpu-read"]
        signing-key-path = ["/etc/a,b", "/etc/c"]
        revoked-tokens = "/etc/r"
        stream-format = "snapshot"
        gpu-backend = "nvml"
        gpu-idle-release = "10m"
        history = "1h"
        rapl-dir = "/r"
        state-dir = "/s"
        simulate = true
        restore-on = "lease-end"
        log-level = "debug"
        """;
    ConfigFile read = ConfigFile.read(file(text), serve);
    List<String> missing =
        serve.options().stream()
            .map(ConfigFile::nameOf)
            .filter(name -> !List.of("help", "version", "config").contains(name))
            .filter(name -> !read.options().containsKey(name))
            .toList();
    // Here are those that came later; they work, but nobody has tried what they take.
    assertTrue(missing.size() <= 5, missing::toString);
    assertEquals("/etc/a,b\n/etc/c", read.options().get("signing-key-path"));
    assertEquals("gpu-read,cpu-read", read.options().get("enable"));
    CommandLine zeusd = Zeusd.commandLine();
    zeusd.getSubcommands().get("serve").setDefaultValueProvider(read);
    CommandLine.ParseResult parsed =
        zeusd.parseArgs("serve", "--mode=uds", "--enable=gpu-control").subcommand();
    CommandSpec spec = parsed.commandSpec();
    assertEquals("[UDS]", "" + spec.findOption("--mode").<Object>getValue());
    assertEquals("[GPU_CONTROL]", "" + spec.findOption("--enable").<Object>getValue());
    assertEquals("50", "" + spec.findOption("--gpu-power-poll-hz").<Object>getValue());
    assertEquals(
        "[/etc/a,b, /etc/c]", "" + spec.findOption("--signing-key-path").<Object>getValue());
  }

  @Test
  void aByteOrderMarkIsNoText() throws Exception {
    Said fine = check("\uFEFFmode = 'tcp'\n");
    assertEquals(0, fine.status(), fine::toString);
    Said said = check("\uFEFFmode = 'udp'\n");
    assertTrue(said.err().contains(":1:1: mode: 'udp' is none of"), said::toString);
  }

  @Test
  void whatIsNestedTooDeepIsRefusedAsSuch() throws Exception {
    int depth = 50_000;
    Said said = check("enable = " + "[".repeat(depth) + "]".repeat(depth));
    assertEquals(2, said.status(), said::toString);
    assertTrue(said.err().contains(":1:1: arrays or tables are nested too deep"), said::toString);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "mod = 'tcp' | 1:1: unknown key 'mod'; did you mean mode?",
        "socket_path = '/x' | 1:1: unknown key 'socket_path'; did you mean socket-path?",
        "help = true | 1:1: unknown key 'help'",
        "config = '/x' | 1:1: unknown key 'config'",
        "mode = 'udp' | 1:1: mode: 'udp' is none of uds, tcp",
        "mode = 7 | 1:1: mode: is a whole number, write it as mode = \"uds\"",
        "socket-path = 3 | 1:1: socket-path: is a whole number, write it as socket-path = \"/",
        "signing-key-path = ['/k', 3] | 1:27: signing-key-path: a whole number cannot be in",
        "mode = true | 1:1: mode: is true or false, write it as mode = \"uds\"",
        "simulate = 'yes' | 1:1: simulate: is a string, write it as simulate = true",
        "socket-permissions = 660 | 1:1: socket-permissions: is a whole number, write it as",
        "gpu-power-poll-hz = 1001 | 1:1: gpu-power-poll-hz: '1001' is not a whole number from 1",
        "enable = ['gpu-read', 'gpu'] | 1:23: enable: 'gpu' is none of gpu-control",
        "enable = [] | 1:1: enable: is empty",
        "mode = 'tcp'\\nmode = 'uds' | 2:1: mode previously defined at line 1",
        "mode = tcp | 1:8:",
        "x | 1:",
        "[grant]\\nwho = 'uid:0' | 1:1: grant: is a table, write it as",
        "[[grant]]\\ngroups = ['gpu-read'] | 1:1: a grant needs who and groups",
        "[[grants]]\\nwho = ['uid:0'] | 1:1: unknown key 'grants'; did you mean grant?",
        "[[grant]]\\nwho = ['alice']\\ngroups = ['gpu-read'] | 2:8: who: 'alice' is not uid:NAME",
        "[[grant]]\\nwho = ['uid:']\\ngroups = ['gpu-read'] | 2:8: who: 'uid:' is not uid:NAME",
        "[[grant]]\\nwho = ['uid:0']\\ngroups = ['gpu'] | 3:11: groups: 'gpu' is none of",
        "[[grant]]\\n"
            + "who = ['uid:0']\\n"
            + "groups = ['gpu-control']\\n"
            + "gpus = ['x'] | 4:9: gpus: 'x' is nei",
        "[[grant]]\\n"
            + "who = ['uid:0']\\n"
            + "groups = ['gpu-control']\\n"
            + "gpus = ['MIG-0123'] | 4:9: gpus: 'MIG-0123' is a part of a GPU",
        "[[grant]]\\n"
            + "who = ['uid:0']\\n"
            + "groups = ['gpu-control']\\n"
            + "power_limit_w = [3, 2] | 4:1: power_limit_w: cannot go from 3 to 2, put the lower",
        "[[grant]]\\n"
            + "who = ['uid:0']\\n"
            + "groups = ['gpu-control']\\n"
            + "power_limit_w = [-3, 2] | 4:1: power_limit_w: cannot go from -3 to 2, write it as",
        "[[grant]]\\nwho = [0]\\ngroups = ['gpu-read'] | 2:8: who: a whole number cannot be in",
        "[[grant]]\\n"
            + "who = ['uid:0']\\n"
            + "groups = ['gpu-control']\\n"
            + "power_limit_w = 300 | 4:1: power_lim",
        "[[grant]]\\n"
            + "who = ['uid:0']\\n"
            + "groups = ['gpu-read']\\n"
            + "power_limit_w = [1, 2] | 4:1: power_lim",
        "[[grant]]\\n"
            + "who = ['uid:0']\\n"
            + "groups = ['gpu-control']\\n"
            + "power_limit = [1, 2] | 4:1: unknown",
        "[[grant]]\\n"
            + "who = ['uid:0']\\n"
            + "groups = ['gpu-control']\\n"
            + "settings = ['power_limit', 'module_power_limit']\\n"
            + "power_limit_w = [1, 2] | 5:1: power_limit_w: bounds the GPU",
        "[[baseline]]\\ngpus = [0] | 1:1: a baseline needs a setting",
        "[[baseline]]\\npower_limit_w = 0 | 2:1: power_limit_w: 0 is not from 1 to",
        "[[baseline]]\\npower_limit_w = -9223372036854775807 | 2:1: power_limit_w: -92",
        "[limits]\\nconnections = 1 | 2:1: connections: 1 is not from 16 to",
        "[limits]\\nto_take_answer_s = 5 | 2:1: to_take_answer_s: 5 is not from 11",
        "[limits]\\nstreams = 5 | 2:1: unknown key 'streams'"
      })
  void whatIsWrongIsToldWithItsPlace(String text, String expected) throws Exception {
    Said said = check(text.replace("\\n", "\n"));
    assertEquals(2, said.status(), said::toString);
    String start = "error: " + directory.resolve("zeusd.toml") + ":" + expected;
    assertTrue(said.err().lines().anyMatch(line -> line.startsWith(start)), said::toString);
    // serve says the same, in one line.
    Said serve = Said.by("serve", "--config", directory.resolve("zeusd.toml").toString());
    assertEquals(2, serve.status(), serve::toString);
    assertTrue(serve.err().startsWith("error: " + directory), serve::toString);
    assertEquals(2, serve.err().lines().count(), serve::toString);
  }

  /** Each option, and each kind of value that TOML knows. */
  @Test
  void aValueOfAnotherKindIsRefusedWhateverTheOption() throws Exception {
    CommandSpec serve = Zeusd.commandLine().getSubcommands().get("serve").getCommandSpec();
    List<String> values =
        List.of(
            "true",
            "3",
            "-3",
            "3.5",
            "nan",
            "inf",
            "1979-05-27",
            "07:32:00",
            "''",
            "' '",
            "[]",
            "[3]",
            "[true]",
            "[['x']]",
            "['']",
            "{a = 1}",
            "{}",
            "\"\\u0000\"",
            "99999999999");
    List<String> taken = new java.util.ArrayList<>();
    for (OptionSpec option : serve.options()) {
      String name = ConfigFile.nameOf(option);
      for (String value : values) {
        if (name.equals("gpu-command-overrides") && value.startsWith("{")) {
          // What would stand in a file of its own.
          continue;
        }
        try {
          ConfigFile.read(file(name + " = " + value + "\n"), serve);
          taken.add(name + " = " + value);
        } catch (ConfigException e) {
          assertTrue(e.getMessage().contains(name), name + " = " + value + " " + e.getMessage());
        }
      }
    }
    assertEquals(
        List.of(
            "socket-uid = 3",
            "socket-gid = 3",
            "num-workers = 3",
            "gpu-power-poll-hz = 3",
            "cpu-power-poll-hz = 3",
            "simulate = true"),
        taken);
  }

  @Test
  void allThatIsWrongIsTold() throws Exception {
    Said said = check("mod = 1\nenable = ['x', 'y']\n[[grant]]\n");
    assertEquals(4, said.err().lines().count(), said::toString);
  }

  @Test
  void tellsWhatIsInForceAndAsWhom() throws Exception {
    String text =
        """
        mode = "uds"
        [[grant]]
        who = ["uid:0", "gid:4711"]
        groups = ["gpu-read"]
        [[grant]]
        who = ["uid:0"]
        groups = ["gpu-control"]
        gpus = [0, "GPU-0123"]
        settings = ["power_limit", "module_power_limit"]
        power_limit_w = [200, 300.5]
        module_power_limit_w = [600, 900]
        [[grant]]
        who = ["uid:1"]
        groups = ["gpu-control"]
        power_limit_w = [200, 300]
        [[baseline]]
        module_power_limit_w = 800
        gpu_clock_mhz = [900, 1500]
        """;
    Said all = check(text);
    assertEquals(0, all.status(), all::toString);
    assertTrue(all.out().contains("mode = uds"), all::toString);
    assertTrue(all.out().contains("gid:4711 may use:"), all::toString);
    assertTrue(
        all.out()
            .contains(
                "baseline of all GPUs: module_power_limit 800000 mW, gpu_clocks 900-1500 MHz"),
        all::toString);
    Said root = check(text, "--as", "uid:root");
    assertTrue(
        root.out()
            .contains(
                "gpu-control on GPUs 0, GPU-0123: power_limit 200 to 300.5 W,"
                    + " module_power_limit 600 to 900 W"),
        root::toString);
    assertTrue(
        all.out().contains(": gpu_clocks any, mem_clocks any, power_limit 200 to 300 W, pers"),
        all::toString);
    assertTrue(root.out().contains("and not cpu-read"), root::toString);
    assertTrue(check(text, "--as", "token:x").out().contains("may do nothing"));
    assertTrue(check("").out().contains("There are no grants"));
    assertTrue(check("", "--as", "uid:0").out().contains("may do everything"));
    assertEquals(2, check(text, "--as", "root").status());
  }

  /** Every setting of the file that the Debian package ships is one, once its # is taken away. */
  @Test
  void theShippedFileSetsNothingAndExplainsWhatExists() throws Exception {
    String shipped = Files.readString(Path.of("../packaging/systemd/zeusd.toml"));
    Said said = check(shipped);
    assertEquals(0, said.status(), said::toString);
    assertTrue(said.out().contains("There are no grants"), said::toString);
    String all = shipped.replaceAll("(?m)^#(?=\\S)", "");
    said = check(all);
    assertEquals(0, said.status(), said::toString);
    assertTrue(said.out().contains("tcp-bind-address = 0.0.0.0:4938"), said::toString);
    said = check(all, "--as", "token:alice");
    assertTrue(said.out().contains("power_limit 200 to 400 W"), said::toString);
  }

  @Test
  void anUnknownUserIsNobodyAndIsTold() throws Exception {
    String text = "[[grant]]\nwho = ['uid:no-such-user']\ngroups = ['gpu-read']\n";
    Said said = check(text);
    assertEquals(0, said.status(), said::toString);
    assertTrue(said.out().contains("warning: "), said::toString);
    assertTrue(said.out().contains("uid:no-such-user is not known"), said::toString);
  }

  @Test
  void aFileThatOthersMayWriteToIsRefused() throws Exception {
    Path file = file("mode = 'uds'\n");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-rw-rw-"));
    for (String command : List.of("config check ", "serve --config ")) {
      Said said = Said.by((command + file).split(" "));
      assertEquals(1, said.status(), said::toString);
      assertTrue(said.err().contains("can be written by others"), said::toString);
    }
  }

  @Test
  void aFileThatCannotBeReadIsTheSurroundingsFault() throws Exception {
    Path missing = directory.resolve("missing.toml");
    Said said = Said.by("serve", "--config", missing.toString());
    assertEquals(1, said.status(), said::toString);
    assertTrue(said.err().contains("does not exist"), said::toString);
    assertEquals(1, Said.by("config", "check", directory.toString()).status());
    Files.write(missing, new byte[] {'x', '=', '"', (byte) 0xff, '"'});
    assertEquals(2, Said.by("config", "check", missing.toString()).status());
    assertFalse(said.err().contains("Exception"), said::toString);
  }
}
