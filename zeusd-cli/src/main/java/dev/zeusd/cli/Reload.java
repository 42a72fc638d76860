package dev.zeusd.cli;

import dev.zeusd.core.settings.Baseline;
import dev.zeusd.server.Limits;
import dev.zeusd.server.ServerConfig;
import dev.zeusd.server.ServerStartException;
import dev.zeusd.server.ZeusdServer;
import dev.zeusd.server.audit.AuditLog;
import dev.zeusd.server.auth.Policy;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.tls.TlsCredentials;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;

/**
 * Reads configuration file, signing keys, revoked tokens and the files of TLS again, and has the
 * server take them: all or nothing. Called by one thread at a time.
 */
final class Reload implements Runnable {
  private static final System.Logger LOG = System.getLogger("dev.zeusd");

  /** What these name is read again; all other options count from the start on. */
  private static final Set<String> READ_AGAIN =
      Set.of(
          "signing-key-path",
          "revoked-tokens",
          "audit-log",
          "audit-failure",
          "tls-cert",
          "tls-key",
          "tls-client-ca",
          "tls-min-version");

  private final ZeusdServer server;
  private final CurrentAuditLog audit;
  private final Consumer<Baseline> toBaseline;
  private final ServeCommand started;
  private ServeCommand inForce;
  private Optional<Tokens> tokens;
  private Optional<TlsCredentials> tls;

  /**
   * Of the {@code server} that {@code started} has started, as {@code config} says.
   *
   * @param toBaseline has settings of GPUs be what another baseline says
   */
  Reload(
      ServeCommand started,
      ServerConfig config,
      ZeusdServer server,
      CurrentAuditLog audit,
      Consumer<Baseline> toBaseline) {
    this.server = server;
    this.audit = audit;
    this.toBaseline = toBaseline;
    this.started = started;
    this.inForce = started;
    this.tokens = config.tokens();
    this.tls = config.tls();
  }

  @Override
  public void run() {
    // Whatever the rest comes to: the file may have been moved away.
    audit.reopen();
    try {
      ServeCommand now = started.readAgain();
      Optional<Tokens> newTokens = now.tokens();
      if (newTokens.isPresent() != tokens.isPresent()) {
        throw new StartupException("to begin or end asking for tokens takes a restart");
      }
      // That it is spoken takes a restart to change.
      Optional<TlsCredentials> newTls = tls.flatMap(old -> now.tlsCredentials());
      Optional<AuditLog> newLog = audit.wanted(now.access());
      List<String> changes = changes(now, newTokens);
      tls.ifPresent(old -> changes.addAll(changes(old, newTls.orElse(old))));
      int ended = server.replaceAccess(newTokens, now.policy());
      int cutOff = newTls.map(server::replaceTls).orElse(0);
      if (audit.differsFrom(newLog)) {
        changes.add("audit log: " + newLog.map(log -> log.target().toString()).orElse("none"));
        // Who has turned it off is told to the former one.
        server.auditReload(String.join("; ", changes));
        audit.replace(newLog);
        server.replaceAuditLog(newLog);
      }
      if (!now.baseline().equals(inForce.baseline())) {
        changes.add("baseline");
        toBaseline.accept(now.baseline());
      }
      inForce = now;
      tokens = newTokens;
      tls = newTls.or(() -> tls);
      if (ended > 0) {
        changes.add(ended + " streams ended, whose right is gone");
      }
      if (cutOff > 0) {
        changes.add(cutOff + " connections ended, whose certificates are not trusted any more");
      }
      now.file().ifPresent(file -> file.warnings().forEach(Reload::warn));
      List<String> late = changedOptions(started.spec(), now.spec());
      late.removeIf(READ_AGAIN::contains);
      if (!limits(now).equals(limits(started))) {
        late.add("[limits]");
      }
      LOG.log(
          System.Logger.Level.INFO,
          "SIGHUP: read again: "
              + (changes.isEmpty() ? "nothing new" : String.join("; ", changes)));
      if (!changes.isEmpty()) {
        server.auditReload(String.join("; ", changes));
      }
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

  private static Limits limits(ServeCommand command) {
    return command.file().map(ConfigFile::limits).orElse(Limits.defaults());
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

  private static List<String> changes(TlsCredentials old, TlsCredentials fresh) {
    List<String> changes = new ArrayList<>();
    if (!fresh.hasSameCertificate(old)) {
      changes.add("TLS certificate: " + fresh.describeCertificate());
    }
    if (!fresh.hasSameClientIssuers(old)) {
      changes.add("TLS client CA: " + fresh.describeClientIssuers());
    }
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
