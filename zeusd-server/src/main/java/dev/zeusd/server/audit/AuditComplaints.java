package dev.zeusd.server.audit;

/** What the daemon's own log says of an audit log that is in trouble. */
final class AuditComplaints {
  private static final System.Logger LOG = System.getLogger(AuditLog.class.getName());

  private final AuditTarget target;
  private final boolean isRequired;

  AuditComplaints(AuditTarget target, boolean isRequired) {
    this.target = target;
    this.isRequired = isRequired;
  }

  void isStuck() {
    LOG.log(
        System.Logger.Level.WARNING,
        "the audit log, {0}, takes nothing just now: {1}",
        target,
        consequence());
  }

  void fails(String why) {
    LOG.log(
        System.Logger.Level.WARNING,
        "the audit log, {0}, cannot be written, {1}: {2}",
        target,
        why,
        consequence());
  }

  private String consequence() {
    return isRequired
        ? "no request that changes anything is done until it can be written"
        : "requests do not wait for it, and what they did is kept and written later";
  }

  void isWrittenAgain(AuditBacklog backlog) {
    LOG.log(
        System.Logger.Level.INFO,
        "the audit log, {0}, is written again; events that were kept: {1}, lost: {2}",
        target,
        String.valueOf(backlog.size()),
        String.valueOf(backlog.lost()));
  }
}
