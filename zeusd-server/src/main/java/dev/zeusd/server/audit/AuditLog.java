package dev.zeusd.server.audit;

import dev.zeusd.server.ServerStartException;
import java.time.Duration;
import java.util.Optional;

/**
 * A log of who has changed what. A thread of its own writes it, since a disk may be full, slow or
 * gone: whoever has something to log waits until that is written, but not for long, and not at all
 * while it is known that it cannot be. What could not be written is kept, up to so many bytes, and
 * written later.
 *
 * <p>Thread-safe.
 */
public final class AuditLog implements AutoCloseable {
  private static final Duration PATIENCE_AT_END = Duration.ofMillis(200);

  private final AuditTarget target;
  private final boolean isRequired;
  private final AuditHandover handover;
  private final Thread writer;

  private AuditLog(AuditTarget target, boolean isRequired) {
    this.target = target;
    this.isRequired = isRequired;
    handover = new AuditHandover(target, isRequired);
    // It waits for disks, which no thread may do that others wait for.
    writer =
        Thread.ofPlatform().daemon().name("audit log").start(new AuditWriter(target, handover));
  }

  /**
   * Opens one. If that takes long, as with a FIFO that nobody reads, it goes on behind the scenes.
   *
   * @param target where it goes
   * @param isRequired whether nothing may be changed while it cannot be written
   * @return the log, to be closed by the caller
   * @throws ServerStartException if it cannot be opened, or others could change it
   */
  public static AuditLog open(AuditTarget target, boolean isRequired) {
    AuditLog log = new AuditLog(target, isRequired);
    Optional<String> problem = log.handover.awaitOpening();
    if (problem.isPresent()) {
      log.close();
      throw new ServerStartException(
          "audit log "
              + target
              + " cannot be written: "
              + problem.get()
              + "; or name another --audit-log");
    }
    return log;
  }

  /** {@return where it is kept} */
  public AuditTarget target() {
    return target;
  }

  /** {@return whether nothing may be changed while it cannot be written} */
  public boolean isRequired() {
    return isRequired;
  }

  /**
   * Returns when the event is written or, if that takes too long or cannot be done, before.
   *
   * @param event what has happened
   */
  public void write(AuditEvent event) {
    handover.write(event);
  }

  /**
   * The same of a request that was refused, of which each peer has so many.
   *
   * @param event what has happened
   * @param peer who has been refused, whose refusals are counted if there are too many
   */
  public void writeRefusal(AuditEvent event, String peer) {
    if (handover.takeRefusal(peer)) {
      handover.write(event);
    }
  }

  /**
   * The same, without waiting.
   *
   * @param event what has happened
   */
  public void tell(AuditEvent event) {
    handover.tell(event);
  }

  /** {@return why nothing can be written, after another try; empty if it can} */
  public Optional<String> problem() {
    return handover.problem();
  }

  /** Has it opened anew, so that a file that was moved away gets no more. */
  public void reopen() {
    handover.reopen();
  }

  /** Writes what is kept, if that does not take long. Idempotent. */
  @Override
  public void close() {
    handover.close();
    try {
      writer.join(PATIENCE_AT_END);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
