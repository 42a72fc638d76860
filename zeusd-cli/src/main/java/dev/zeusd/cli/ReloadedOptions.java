package dev.zeusd.cli;

import dev.zeusd.cli.Reload.InForce;
import dev.zeusd.core.command.GpuCommands;
import dev.zeusd.server.Limits;
import dev.zeusd.server.auth.Policy;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.tls.TlsCredentials;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * What is different after reading again, in words: all of it either counts from then on, or takes a
 * restart.
 */
final class ReloadedOptions {
  /** What these name is read again. */
  private static final Set<String> TAKEN =
      Set.of("signing-key-path", "revoked-tokens", "audit-log", "audit-failure");

  /** So is what these name, where TLS is spoken before and after. */
  private static final Set<String> TAKEN_BY_TLS =
      Set.of("tls-cert", "tls-key", "tls-client-ca", "tls-min-version");

  private static final String COMMANDS = "gpu-command-overrides";

  private final ServeCommand started;
  private final String commandsAtStart;

  /** Compared with how the daemon was started, and with these commands for GPUs. */
  ReloadedOptions(ServeCommand started, GpuCommands commands) {
    this.started = started;
    // Patterns are equal only to themselves.
    commandsAtStart = commands.toString();
  }

  /** What is different from the start, and takes a restart. */
  List<String> late(InForce read) {
    List<String> late = changedOptions(started.spec(), read.command().spec());
    late.removeIf(option -> isTaken(option, read));
    if (!limits(read.command()).equals(limits(started))) {
      late.add("[limits]");
    }
    if (!late.contains(COMMANDS) && !read.command().commands().toString().equals(commandsAtStart)) {
      late.add(COMMANDS);
    }
    return late;
  }

  private static boolean isTaken(String option, InForce read) {
    return TAKEN.contains(option) || read.tls().isPresent() && TAKEN_BY_TLS.contains(option);
  }

  private static Limits limits(ServeCommand command) {
    return command.file().map(ConfigFile::limits).orElse(Limits.defaults());
  }

  private static List<String> changedOptions(CommandSpec before, CommandSpec now) {
    List<String> changed = new ArrayList<>();
    for (OptionSpec option : now.options()) {
      Object old = before.findOption(option.longestName()).getValue();
      Object fresh = option.getValue();
      if (!Objects.toString(old).equals(Objects.toString(fresh))) {
        changed.add(ConfigFile.nameOf(option));
      }
    }
    return changed;
  }

  /** What counts from now on, and did not before. */
  List<String> changes(InForce before, InForce read) {
    List<String> changes = new ArrayList<>();
    Policy old = before.command().policy();
    Policy policy = read.command().policy();
    if (!policy.equals(old)) {
      changes.add("grants: %d, were %d".formatted(policy.grants().size(), old.grants().size()));
    }
    read.tokens().ifPresent(tokens -> addChanges(changes, before.tokens().orElse(tokens), tokens));
    read.tls().ifPresent(tls -> addChanges(changes, before.tls().orElse(tls), tls));
    return changes;
  }

  /** Which options count from now on with another value. */
  Optional<String> taken(InForce before, InForce read) {
    String taken =
        changedOptions(before.command().spec(), read.command().spec()).stream()
            .filter(option -> isTaken(option, read))
            .collect(Collectors.joining(", "));
    return taken.isEmpty() ? Optional.empty() : Optional.of("options: " + taken);
  }

  private static void addChanges(List<String> changes, Tokens old, Tokens fresh) {
    if (!fresh.keyIds().equals(old.keyIds())) {
      changes.add("signing keys: " + String.join(", ", fresh.keyIds()));
    }
    if (!fresh.revokedIds().equals(old.revokedIds())) {
      changes.add(
          "revoked tokens: %d, were %d"
              .formatted(fresh.revokedIds().size(), old.revokedIds().size()));
    }
  }

  private static void addChanges(List<String> changes, TlsCredentials old, TlsCredentials fresh) {
    if (!fresh.hasSameCertificate(old)) {
      changes.add("TLS certificate: " + fresh.describeCertificate());
    }
    if (!fresh.hasSameClientIssuers(old)) {
      changes.add("TLS client CA: " + fresh.describeClientIssuers());
    }
  }
}
