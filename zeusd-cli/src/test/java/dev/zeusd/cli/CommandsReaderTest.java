package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.command.GpuCommand;
import dev.zeusd.core.command.GpuCommands;
import dev.zeusd.core.command.GpuOperation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Files with commands, as the original has them. */
class CommandsReaderTest {
  @TempDir private Path folder;

  private Path file(String text) throws IOException {
    return Files.writeString(folder.resolve("commands.toml"), text);
  }

  @Test
  void theOriginalsExampleIsTaken() throws IOException {
    GpuCommands commands =
        CommandsReader.read(
            file(
                """
                [set_power_limit]
                commands = ["env /usr/local/bin/set.sh -value {power_limit_w} -gpu {gpu_id}"]
                error_pattern = "(?i)error|fail|cannot|unable|not supported"

                [set_gpu_locked_clocks]
                commands = [
                  "env set.sh -limit min -value 500 -gpu {gpu_id}",
                  "env set.sh -limit max -value {max_clock_mhz} -gpu {gpu_id}",
                ]
                timeout_s = 5

                [reset_locked_clocks]
                commands = ["/bin/sh -c 'exit 0'"]
                """));
    assertEquals(
        Set.of(
            GpuOperation.SET_POWER_LIMIT,
            GpuOperation.SET_GPU_LOCKED_CLOCKS,
            GpuOperation.RESET_LOCKED_CLOCKS),
        commands.byOperation().keySet());
    GpuCommand limit = commands.byOperation().get(GpuOperation.SET_POWER_LIMIT);
    assertEquals(Duration.ofSeconds(60), limit.timeout());
    List<String> line = limit.commands().getFirst();
    assertTrue(line.getFirst().matches("/.*/env"), "by the PATH: " + line);
    assertEquals(
        List.of("/usr/local/bin/set.sh", "-value", "{power_limit_w}", "-gpu", "{gpu_id}"),
        line.subList(1, line.size()));
    assertTrue(limit.errorPattern().orElseThrow().matcher("it is Not Supported").find());
    GpuCommand clocks = commands.byOperation().get(GpuOperation.SET_GPU_LOCKED_CLOCKS);
    assertEquals(2, clocks.commands().size());
    assertEquals(Duration.ofSeconds(5), clocks.timeout());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "[set_power_limt]                                  | set_power_limit",
        "[set_power_limit]                                 | needs commands",
        "[set_power_limit] commands = []                   | is empty",
        "[set_power_limit] commands = ['']                 | a command is empty",
        "[set_power_limit] commands = ['env {watts}']      | {power_limit_mw}, {power_limit_w}",
        "[set_power_limit] commands = ['env'] timeout_s=0  | 0 is not from 1",
        "[set_power_limit] commands = ['env'] error_pattern='(' | is no regular expression",
        "[set_power_limit] commands = ['env'] patern='x'   | error_pattern",
        "[set_power_limit] commands = ['no-such-program']  | in no folder of the PATH",
        "[set_power_limit] commands = ['./set.sh']         | write an absolute one",
        "[set_power_limit] commands = ['/no/set.sh']       | /no/set.sh is no program"
      })
  void whatMakesNoSenseIsRefusedWithItsPlace(String text, String why) throws IOException {
    Path file = file(text.replaceAll("(?<=[\\]'0]) (?=[a-z])", "\n"));
    ConfigException e = assertThrows(ConfigException.class, () -> CommandsReader.read(file));
    assertTrue(e.getMessage().contains(file + ":"), e.getMessage());
    assertTrue(e.getMessage().contains(why), e.getMessage());
  }

  @Test
  void whatOthersCouldChangeIsRefused() throws IOException {
    Path program = Files.writeString(folder.resolve("set.sh"), "#!/bin/sh\n");
    Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxrwxrwx"));
    Path file = file("[set_power_limit]\ncommands = ['" + program + "']");
    assertTrue(
        assertThrows(ConfigException.class, () -> CommandsReader.read(file))
            .getMessage()
            .contains(program + " can be written by others; run: chmod go-w"));
    Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxr-xr-x"));
    assertEquals(1, CommandsReader.read(file).byOperation().size());
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-rw-rw-"));
    assertTrue(
        assertThrows(StartupException.class, () -> CommandsReader.read(file))
            .getMessage()
            .startsWith("command override file " + file + " can be written by others"));
  }
}
