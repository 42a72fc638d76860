package dev.zeusd.cli;

import dev.zeusd.core.NodeConfig;
import dev.zeusd.ffm.posix.ThisProcess;
import dev.zeusd.server.ApiGroup;
import java.io.IOException;
import java.util.Collection;
import java.util.Optional;
import java.util.stream.Collectors;

/** What this process may do, as far as groups of the API depend on it. */
final class Privileges {
  // Bits of a capability set.
  private static final int CAP_DAC_OVERRIDE = 1;
  private static final int CAP_DAC_READ_SEARCH = 2;
  private static final int CAP_SYS_ADMIN = 21;

  private final boolean root;
  private final long capabilities;

  private Privileges(boolean root, long capabilities) {
    this.root = root;
    this.capabilities = capabilities;
  }

  /** Those of this process. */
  static Privileges own() throws IOException {
    return new Privileges(
        ThisProcess.effectiveUid() == 0,
        Long.parseUnsignedLong(ThisProcess.status("CapEff").getFirst(), 16));
  }

  /**
   * Checks that what these groups need is there.
   *
   * @param devices where they are looked for
   * @throws StartupException naming the groups, what they lack and the way out
   */
  void require(Collection<ApiGroup> groups, NodeConfig devices) {
    String lacking =
        groups.stream()
            .sorted()
            .map(group -> lacking(group, devices))
            .flatMap(Optional::stream)
            .collect(Collectors.joining(", "));
    if (!lacking.isEmpty()) {
      throw new StartupException(
          lacking + "; run with sudo, or use --enable gpu-read (reading GPUs needs no privilege)");
    }
  }

  /** What a group needs and does not have; empty if it has all. */
  private Optional<String> lacking(ApiGroup group, NodeConfig devices) {
    return switch (group) {
      case GPU_CONTROL ->
          root || has(CAP_SYS_ADMIN) || !devices.gpuCommands().isEmpty()
              ? Optional.empty()
              : Optional.of(group.wireName() + " needs root or CAP_SYS_ADMIN");
      case CPU_READ ->
          root
                  || has(CAP_DAC_READ_SEARCH)
                  || has(CAP_DAC_OVERRIDE)
                  || devices.hasReadableCpuCounter()
              ? Optional.empty()
              : Optional.of(
                  group.wireName()
                      + " needs root, CAP_DAC_READ_SEARCH or energy counters that it can read");
      case GPU_READ -> Optional.empty();
    };
  }

  private boolean has(int capability) {
    return (capabilities >> capability & 1) != 0;
  }
}
