package dev.zeusd.cli;

import dev.zeusd.core.NodeConfig;
import dev.zeusd.core.settings.Baseline;
import dev.zeusd.server.ServerConfig;
import dev.zeusd.server.ServerStartException;
import dev.zeusd.server.ZeusdServer;
import dev.zeusd.server.audit.AuditLog;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.tls.TlsCredentials;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import picocli.CommandLine.ParameterException;

/**
 * Reads configuration file, signing keys, revoked tokens and the files of TLS again, and has the
 * server take them: all or nothing. Called by one thread at a time.
 */
final class Reload implements Runnable {
  private static final System.Logger LOG = System.getLogger("dev.zeusd");

  private final ZeusdServer server;
  private final CurrentAuditLog audit;
  private final Consumer<Baseline> toBaseline;
  private final ServeCommand started;
  private final ReloadedOptions options;
  private InForce inForce;

  /**
   * What counts by now.
   *
   * @param tls empty where it is not spoken
   */
  record InForce(ServeCommand command, Optional<Tokens> tokens, Optional<TlsCredentials> tls) {}

  /**
   * Of the {@code server} that {@code started} has started, as these configurations say.
   *
   * @param toBaseline has settings of GPUs be what another baseline says
   */
  Reload(
      ServeCommand started,
      NodeConfig nodeConfig,
      ServerConfig config,
      ZeusdServer server,
      CurrentAuditLog audit,
      Consumer<Baseline> toBaseline) {
    this.server = server;
    this.audit = audit;
    this.toBaseline = toBaseline;
    this.started = started;
    this.options = new ReloadedOptions(started, nodeConfig.gpuCommands());
    this.inForce = new InForce(started, config.tokens(), config.tls());
  }

  @Override
  public void run() {
    // Whatever the rest comes to: the file may have been moved away.
    audit.reopen();
    try {
      InForce read = read(started.readAgain());
      List<String> late = options.late(read);
      take(read, audit.wanted(read.command().access()));
      if (!late.isEmpty()) {
        warn("SIGHUP: these take a restart to change: " + String.join(", ", late));
      }
    } catch (ConfigException | StartupException | ServerStartException | ParameterException e) {
      warn("SIGHUP: nothing was changed: " + e.getMessage());
    }
  }

  private InForce read(ServeCommand command) {
    Optional<Tokens> tokens = command.tokens();
    if (tokens.isPresent() != inForce.tokens().isPresent()) {
      throw new StartupException("to begin or end asking for tokens takes a restart");
    }
    // Whether it is spoken takes a restart to change.
    Optional<TlsCredentials> tls =
        command.tlsFiles().filter(files -> inForce.tls().isPresent()).map(TlsCredentials::read);
    return new InForce(command, tokens, tls);
  }

  private void take(InForce read, Optional<AuditLog> log) {
    List<String> changes = options.changes(inForce, read);
    int ended = server.replaceAccess(read.tokens(), read.command().policy());
    int cutOff = read.tls().map(server::replaceTls).orElse(0);
    boolean isAnotherLog = audit.differsFrom(log);
    if (isAnotherLog) {
      changes.add("audit log: " + log.map(each -> each.target().toString()).orElse("none"));
    }
    options.taken(inForce, read).ifPresent(changes::add);
    if (isAnotherLog) {
      // Who has turned it off is told to the former one.
      server.auditReload(String.join("; ", changes));
      audit.replace(log);
      server.replaceAuditLog(log);
    }
    Baseline baseline = read.command().baseline();
    if (!baseline.equals(inForce.command().baseline())) {
      changes.add("baseline");
      toBaseline.accept(baseline);
    }
    // Without credentials it goes on with those that it had.
    Optional<TlsCredentials> tls = read.tls().or(inForce::tls);
    inForce = new InForce(read.command(), read.tokens(), tls);
    if (ended > 0) {
      changes.add(ended + " streams ended, whose right is gone");
    }
    if (cutOff > 0) {
      changes.add(cutOff + " connections ended, whose certificates are not trusted any more");
    }
    read.command().file().ifPresent(file -> file.warnings().forEach(Reload::warn));
    LOG.log(
        System.Logger.Level.INFO,
        "SIGHUP: read again: " + (changes.isEmpty() ? "nothing new" : String.join("; ", changes)));
    if (!changes.isEmpty()) {
      server.auditReload(String.join("; ", changes));
    }
  }

  private static void warn(String what) {
    LOG.log(System.Logger.Level.WARNING, what);
  }
}
