package dev.zeusd.cli;

import dev.zeusd.server.audit.AuditLog;
import java.time.Duration;
import java.util.Optional;

/** The audit log that the options ask for by now, if any. For one thread at a time. */
final class CurrentAuditLog implements AutoCloseable {
  /** Longer than a request takes that still tells the former one. */
  private static final Duration LONGEST_REQUEST = Duration.ofSeconds(15);

  private volatile Optional<AuditLog> log = Optional.empty();

  /** Opens the first one. */
  CurrentAuditLog(AccessOptions options) {
    log = options.auditTarget().map(target -> AuditLog.open(target, options.requiresAudit()));
  }

  Optional<AuditLog> log() {
    return log;
  }

  /** Has its file opened anew, since it may have been moved away. */
  void reopen() {
    log.ifPresent(AuditLog::reopen);
  }

  /**
   * The one for these options: the present one, if they ask for the same.
   *
   * @throws dev.zeusd.server.ServerStartException if it cannot be opened
   */
  Optional<AuditLog> wanted(AccessOptions options) {
    return options
        .auditTarget()
        .map(
            target ->
                log.filter(
                        present ->
                            present.target().equals(target)
                                && present.isRequired() == options.requiresAudit())
                    .orElseGet(() -> AuditLog.open(target, options.requiresAudit())));
  }

  /** Whether this is another one. */
  boolean differsFrom(Optional<AuditLog> other) {
    return !log.equals(other);
  }

  /** From now on it is this one. */
  void replace(Optional<AuditLog> other) {
    Optional<AuditLog> former = log;
    log = other;
    former
        .filter(each -> !other.equals(Optional.of(each)))
        .ifPresent(each -> Thread.ofVirtual().start(() -> closeLater(each)));
  }

  private static void closeLater(AuditLog log) {
    try {
      Thread.sleep(LONGEST_REQUEST);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    log.close();
  }

  @Override
  public void close() {
    log.ifPresent(AuditLog::close);
  }
}
