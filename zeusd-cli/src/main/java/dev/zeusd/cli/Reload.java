package dev.zeusd.cli;

import dev.zeusd.server.ServerStartException;
import dev.zeusd.server.ZeusdServer;
import dev.zeusd.server.auth.Policy;
import dev.zeusd.server.auth.Tokens;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;

/**
 * Reads configuration file, signing keys and revoked tokens again, and has the server take them:
 * all or nothing. Called by one thread at a time.
 */
final class Reload implements Runnable {
  private static final System.Logger LOG = System.getLogger("dev.zeusd");

  /** What these name is read again; all other options count from the start on. */
  private static final Set<String> READ_AGAIN = Set.of("signing-key-path", "revoked-tokens");

  private final ZeusdServer server;
  private final ServeCommand started;
  private ServeCommand inForce;
  private Optional<Tokens> tokens;

  /** Of the {@code server} that {@code started} has started, with these {@code tokens}. */
  Reload(ServeCommand started, Optional<Tokens> tokens, ZeusdServer server) {
    this.server = server;
    this.started = started;
    this.inForce = started;
    this.tokens = tokens;
  }

  @Override
  public void run() {
    try {
      ServeCommand now = started.readAgain();
      Optional<Tokens> newTokens = now.tokens();
      if (newTokens.isPresent() != tokens.isPresent()) {
        throw new StartupException("to begin or end asking for tokens takes a restart");
      }
      List<String> changes = changes(now, newTokens);
      int ended = server.replaceAccess(newTokens, now.policy());
      inForce = now;
      tokens = newTokens;
      if (ended > 0) {
        changes.add(ended + " streams ended, whose right is gone");
      }
      now.file().ifPresent(file -> file.warnings().forEach(Reload::warn));
      List<String> late = changedOptions(started.spec(), now.spec());
      late.removeIf(READ_AGAIN::contains);
      if (!baselineAndLimits(now).equals(baselineAndLimits(started))) {
        late.add("[[baseline]] or [limits]");
      }
      LOG.log(
          System.Logger.Level.INFO,
          "SIGHUP: read again: "
              + (changes.isEmpty() ? "nothing new" : String.join("; ", changes)));
      if (!late.isEmpty()) {
        warn("SIGHUP: these take a restart to change: " + String.join(", ", late));
      }
    } catch (ConfigException | StartupException | ServerStartException | ParameterException e) {
      warn("SIGHUP: nothing was changed: " + e.getMessage());
    }
  }

  private static void warn(String what) {
    LOG.log(System.Logger.Level.WARNING, what);
  }

  private static List<Object> baselineAndLimits(ServeCommand command) {
    return command
        .file()
        .map(file -> List.<Object>of(file.baseline(), file.limits()))
        .orElse(List.of());
  }

  private List<String> changes(ServeCommand now, Optional<Tokens> newTokens) {
    List<String> changes = new ArrayList<>();
    Policy before = inForce.policy();
    if (!now.policy().equals(before)) {
      changes.add(
          "grants: %d, were %d".formatted(now.policy().grants().size(), before.grants().size()));
    }
    newTokens.ifPresent(
        fresh -> {
          Tokens old = tokens.orElse(fresh);
          if (!fresh.keyIds().equals(old.keyIds())) {
            changes.add("signing keys: " + String.join(", ", fresh.keyIds()));
          }
          if (!fresh.revokedIds().equals(old.revokedIds())) {
            changes.add(
                "revoked tokens: %d, were %d"
                    .formatted(fresh.revokedIds().size(), old.revokedIds().size()));
          }
        });
    return changes;
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
}
