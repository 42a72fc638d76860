package dev.zeusd.server.audit;

import dev.zeusd.ffm.posix.FileFacts;
import dev.zeusd.server.ServerStartException;
import jakarta.json.JsonObjectBuilder;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A log of who has changed what. A thread of its own writes it, since a disk may be full, slow or
 * gone: whoever has something to log waits until that is written, but not for long, and not at all
 * while it is known that it cannot be. What could not be written is kept, up to a number, and
 * written later.
 *
 * <p>Thread-safe.
 */
public final class AuditLog implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(AuditLog.class.getName());

  /** A line takes some 10 us; nobody is to notice much of a disk that hangs. */
  private static final Duration PATIENCE = Duration.ofMillis(500);

  private static final Duration PATIENCE_AT_START = Duration.ofSeconds(2);
  private static final Duration PATIENCE_AT_END = Duration.ofMillis(200);

  /** How often to try again what could not be written, and to tell what was only counted. */
  private static final Duration PAUSE = Duration.ofSeconds(1);

  /** Some MB. */
  private static final int MAX_KEPT = 10_000;

  private final AuditTarget target;
  private final boolean isRequired;
  private final Thread writer;

  private final ReentrantLock lock = new ReentrantLock();

  /** The writer has something to do. */
  private final Condition work = lock.newCondition();

  /** The writer has done something. */
  private final Condition progress = lock.newCondition();

  // Guarded by the lock.

  private final Deque<Entry> kept = new ArrayDeque<>();
  private final RefusalLimit refusals = new RefusalLimit();
  private long lost;

  /** Why nothing can be written, as far as is known. */
  private Optional<String> problem = Optional.empty();

  /** Somebody has waited in vain, and the writer has not come back since. */
  private boolean isStuck;

  private boolean isOpen;
  private boolean reopens;
  private boolean closed;
  private long attempts;

  private static final class Entry {
    final AuditEvent event;
    boolean isDone;

    Entry(AuditEvent event) {
      this.event = event;
    }
  }

  private AuditLog(AuditTarget target, boolean isRequired) {
    this.target = target;
    this.isRequired = isRequired;
    // It waits for disks, which no thread may do that others wait for.
    writer = Thread.ofPlatform().daemon().name("audit log").unstarted(this::write);
  }

  /**
   * Opens one. If that takes long, as with a FIFO that nobody reads, it goes on behind the scenes.
   *
   * @param isRequired whether nothing may be changed while it cannot be written
   * @throws ServerStartException if it cannot be opened, or others could change it
   */
  public static AuditLog open(AuditTarget target, boolean isRequired) {
    AuditLog log = new AuditLog(target, isRequired);
    log.writer.start();
    Optional<String> problem = log.awaitOpening();
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

  private Optional<String> awaitOpening() {
    lock.lock();
    try {
      if (!await(PATIENCE_AT_START, () -> isOpen || problem.isPresent())) {
        setStuck();
      }
      return problem;
    } finally {
      lock.unlock();
    }
  }

  /** Where it is kept. */
  public AuditTarget target() {
    return target;
  }

  /** Whether nothing may be changed while it cannot be written. */
  public boolean isRequired() {
    return isRequired;
  }

  // ---- For those who have something to log ----

  /** Returns when the event is written or, if that takes too long or cannot be done, before. */
  public void write(AuditEvent event) {
    lock.lock();
    try {
      Entry entry = new Entry(event);
      boolean isKept = keep(entry);
      if (isKept
          && problem.isEmpty()
          && !isStuck
          && !await(PATIENCE, () -> entry.isDone || problem.isPresent())) {
        setStuck();
      }
    } finally {
      lock.unlock();
    }
  }

  /** The same of a request that was refused, of which each peer has so many. */
  public void writeRefusal(AuditEvent event, String peer) {
    boolean isTold;
    lock.lock();
    try {
      isTold = refusals.take(peer, System.nanoTime());
      work.signal();
    } finally {
      lock.unlock();
    }
    if (isTold) {
      write(event);
    }
  }

  /** The same, without waiting. */
  public void tell(AuditEvent event) {
    lock.lock();
    try {
      keep(new Entry(event));
    } finally {
      lock.unlock();
    }
  }

  private boolean keep(Entry entry) {
    boolean hasRoom = !closed && kept.size() < MAX_KEPT;
    if (hasRoom) {
      kept.add(entry);
      work.signal();
    } else {
      lost++;
    }
    return hasRoom;
  }

  /** Why nothing can be written, after another try; empty if it can. */
  public Optional<String> problem() {
    lock.lock();
    try {
      if (problem.isPresent() && !isStuck) {
        long before = attempts;
        work.signal();
        await(PATIENCE, () -> attempts > before);
      }
      return isStuck ? Optional.of("it takes nothing just now") : problem;
    } finally {
      lock.unlock();
    }
  }

  private interface Question {
    boolean isTrue();
  }

  /** Whether the writer has made it true in time. */
  private boolean await(Duration patience, Question question) {
    long left = patience.toNanos();
    while (!question.isTrue()) {
      if (left <= 0) {
        return false;
      }
      try {
        left = progress.awaitNanos(left);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return true;
      }
    }
    return true;
  }

  private void setStuck() {
    if (!isStuck) {
      isStuck = true;
      LOG.log(
          System.Logger.Level.WARNING,
          "the audit log, {0}, takes nothing just now: {1}",
          target,
          consequence());
    }
  }

  private String consequence() {
    return isRequired
        ? "no request that changes anything is done until it can be written"
        : "requests do not wait for it, and what they did is kept and written later";
  }

  // ---- Opening it again ----

  /** Has it opened anew, so that a file that was moved away gets no more. */
  public void reopen() {
    lock.lock();
    try {
      reopens = true;
      work.signal();
      await(PATIENCE, () -> !reopens);
    } finally {
      lock.unlock();
    }
  }

  // ---- The writer ----

  private void write() {
    Optional<AuditSink> sink = Optional.empty();
    while (awaitWork()) {
      try {
        if (sink.isEmpty()) {
          sink = Optional.of(AuditSink.open(target));
          succeeded(() -> isOpen = true);
        } else if (isAskedToReopen()) {
          sink = Optional.of(opened(sink.get()));
          endReopening();
        } else {
          Entry next = next();
          sink.get().write(next.event);
          succeeded(() -> done(next));
        }
      } catch (IOException e) {
        failed(FileFacts.reason(e));
      } catch (RuntimeException e) {
        LOG.log(System.Logger.Level.ERROR, "unexpected failure of the audit log", e);
        failed("an unexpected failure");
      }
    }
    sink.ifPresent(AuditSink::close);
  }

  /** Waits for something to do; false if that is nothing any more. */
  private boolean awaitWork() {
    lock.lock();
    try {
      while (true) {
        boolean isFailing = problem.isPresent();
        boolean hasWork = !isOpen || reopens || !kept.isEmpty();
        if (closed && (isFailing || !hasWork)) {
          return false;
        }
        if (isFailing) {
          work.awaitNanos(PAUSE.toNanos());
          return !closed;
        }
        if (hasWork) {
          return true;
        }
        if (refusals.hasUntold()) {
          work.awaitNanos(PAUSE.toNanos());
          tellCounted();
        } else {
          work.await();
        }
      }
    } catch (InterruptedException e) {
      return false;
    } finally {
      lock.unlock();
    }
  }

  private void tellCounted() {
    refusals
        .untold()
        .forEach(
            (peer, count) ->
                keep(
                    new Entry(
                        note(
                            peer + ": " + count + " more requests were refused",
                            AuditEvent.facts("not_logged")
                                .add("from", peer)
                                .add("count", count)))));
  }

  private static AuditEvent note(String text, JsonObjectBuilder facts) {
    return new AuditEvent(AuditEvent.Level.NOTICE, text, facts.build());
  }

  private boolean isAskedToReopen() {
    lock.lock();
    try {
      return reopens;
    } finally {
      lock.unlock();
    }
  }

  /** Another one; the same, if that cannot be had. */
  private AuditSink opened(AuditSink sink) {
    try {
      AuditSink another = AuditSink.open(target);
      sink.close();
      return another;
    } catch (IOException e) {
      LOG.log(
          System.Logger.Level.WARNING,
          "the audit log, {0}, cannot be opened anew: {1}; it goes on where it was",
          target,
          FileFacts.reason(e));
      return sink;
    }
  }

  private void endReopening() {
    lock.lock();
    try {
      reopens = false;
      progress.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private Entry next() {
    lock.lock();
    try {
      return kept.getFirst();
    } finally {
      lock.unlock();
    }
  }

  private void done(Entry entry) {
    entry.isDone = true;
    kept.remove();
    if (lost > 0) {
      JsonObjectBuilder facts = AuditEvent.facts("lost").add("count", lost);
      keep(new Entry(note(lost + " events could not be kept", facts)));
      lost = 0;
    }
  }

  private void succeeded(Runnable change) {
    lock.lock();
    try {
      int waiting = kept.size();
      change.run();
      if (problem.isPresent() || isStuck) {
        LOG.log(
            System.Logger.Level.INFO,
            "the audit log, {0}, is written again; events that were kept: {1}, lost: {2}",
            target,
            String.valueOf(waiting),
            String.valueOf(lost));
      }
      problem = Optional.empty();
      madeProgress();
    } finally {
      lock.unlock();
    }
  }

  private void failed(String why) {
    lock.lock();
    try {
      if (problem.isEmpty() && isOpen) {
        LOG.log(
            System.Logger.Level.WARNING,
            "the audit log, {0}, cannot be written, {1}: {2}",
            target,
            why,
            consequence());
      }
      problem = Optional.of(why);
      madeProgress();
    } finally {
      lock.unlock();
    }
  }

  private void madeProgress() {
    isStuck = false;
    attempts++;
    progress.signalAll();
  }

  /** Writes what is kept, if that does not take long. Idempotent. */
  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      work.signal();
    } finally {
      lock.unlock();
    }
    try {
      writer.join(PATIENCE_AT_END);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
