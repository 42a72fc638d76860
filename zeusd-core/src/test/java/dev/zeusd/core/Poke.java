package dev.zeusd.core;

import dev.zeusd.core.command.GpuCommand;
import dev.zeusd.core.command.GpuCommands;
import dev.zeusd.core.command.GpuOperation;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Commands that change settings of the fake NVML's GPUs, as a vendor's tool would of real ones. */
final class Poke {
  /** Writes numbers of 32 bits into the slot of a GPU in the fake's control file. */
  private static final String SCRIPT =
      """
      #!/bin/sh
      # STATE GPU OFFSET NUMBER...
      state=$1 at=$((4096 + $2 * 4096 + $3))
      shift 3
      for n; do
        bytes=$(printf '\\\\%03o' $((n & 255)) $((n >> 8 & 255)) $((n >> 16 & 255)) $((n >> 24)))
        printf "$bytes" | dd of="$state" bs=1 seek=$at conv=notrunc 2>/dev/null || exit 1
        at=$((at + 4))
      done
      """;

  private Poke() {}

  private static Path script() {
    try {
      Path script =
          Files.createTempFile(
              "poke",
              ".sh",
              PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      script.toFile().deleteOnExit();
      return Files.writeString(script, SCRIPT);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * All operations on the power limit and the clocks; that of the GPU's clock by the whole reset.
   */
  static GpuCommands commands(Path state) {
    String poke = script() + " " + state + " {gpu_id} ";
    Map<GpuOperation, String> lines =
        Map.of(
            GpuOperation.SET_POWER_LIMIT, "336 {power_limit_mw}",
            GpuOperation.SET_GPU_LOCKED_CLOCKS, "356 {min_clock_mhz} {max_clock_mhz}",
            GpuOperation.SET_MEM_LOCKED_CLOCKS, "364 {min_clock_mhz} {max_clock_mhz}",
            GpuOperation.RESET_MEM_LOCKED_CLOCKS, "364 0 0",
            GpuOperation.RESET_LOCKED_CLOCKS, "356 0 0 0 0");
    Map<GpuOperation, GpuCommand> commands = new EnumMap<>(GpuOperation.class);
    lines.forEach(
        (operation, line) ->
            commands.put(
                operation,
                new GpuCommand(
                    List.of(GpuCommand.split(poke + line, operation)),
                    Optional.empty(),
                    Duration.ofSeconds(30))));
    return new GpuCommands(commands);
  }
}
