package dev.zeusd.server.audit;

import dev.zeusd.ffm.posix.FileFacts;
import java.io.IOException;
import java.util.Optional;

/** Writes what is handed over, on a thread that may have to wait for a disk. */
final class AuditWriter implements Runnable {
  private static final System.Logger LOG = System.getLogger(AuditLog.class.getName());

  private final AuditTarget target;
  private final AuditHandover handover;

  /** Empty before it could be opened. */
  private Optional<AuditSink> sink = Optional.empty();

  AuditWriter(AuditTarget target, AuditHandover handover) {
    this.target = target;
    this.handover = handover;
  }

  @Override
  public void run() {
    while (handover.awaitWork()) {
      try {
        takeStep();
      } catch (IOException e) {
        handover.failed(FileFacts.reason(e));
      } catch (RuntimeException e) {
        LOG.log(System.Logger.Level.ERROR, "unexpected failure of the audit log", e);
        handover.failed("an unexpected failure");
      }
    }
    sink.ifPresent(AuditSink::close);
  }

  private void takeStep() throws IOException {
    if (sink.isEmpty()) {
      sink = Optional.of(AuditSink.open(target));
      handover.opened();
    } else if (handover.isAskedToReopen()) {
      sink = Optional.of(another(sink.get()));
      handover.reopened();
    } else {
      sink.get().write(handover.next());
      handover.written();
    }
  }

  /** Opened anew; the same, if that cannot be. */
  private AuditSink another(AuditSink present) {
    try {
      AuditSink another = AuditSink.open(target);
      present.close();
      return another;
    } catch (IOException e) {
      LOG.log(
          System.Logger.Level.WARNING,
          "the audit log, {0}, cannot be opened anew: {1}; it goes on where it was",
          target,
          FileFacts.reason(e));
      return present;
    }
  }
}
