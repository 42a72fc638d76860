package dev.zeusd.server.audit;

import dev.zeusd.server.audit.AuditBacklog.Entry;
import jakarta.json.JsonObjectBuilder;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/**
 * Between those who have something to log and the one thread that writes it: what is to be written,
 * and how that goes. Those who wait for the writer do so for a time, and not at all while it is
 * known that nothing can be written.
 *
 * <p>Thread-safe.
 */
final class AuditHandover {
  /** A line takes some 10 us; nobody is to notice much of a disk that hangs. */
  private static final Duration PATIENCE = Duration.ofMillis(500);

  private static final Duration PATIENCE_AT_START = Duration.ofSeconds(2);

  /** How often to try again what could not be written, and to tell what was only counted. */
  private static final Duration PAUSE = Duration.ofSeconds(1);

  private final AuditTarget target;
  private final AuditComplaints complaints;
  private final ReentrantLock lock = new ReentrantLock();

  /** The writer has something to do. */
  private final Condition work = lock.newCondition();

  /** The writer has done something. */
  private final Condition progress = lock.newCondition();

  // Guarded by the lock.

  private final AuditBacklog backlog = new AuditBacklog();
  private final RefusalLimit refusals = new RefusalLimit();

  /** Why nothing can be written, as far as is known. */
  private Optional<String> problem = Optional.empty();

  /** Somebody has waited in vain, and the writer has not come back since. */
  private boolean isStuck;

  private boolean isOpen;
  private boolean reopens;
  private boolean closed;
  private long attempts;

  AuditHandover(AuditTarget target, boolean isRequired) {
    this.target = target;
    complaints = new AuditComplaints(target, isRequired);
  }

  private <T> T locked(Supplier<T> action) {
    lock.lock();
    try {
      return action.get();
    } finally {
      lock.unlock();
    }
  }

  private void locked(Runnable action) {
    lock.lock();
    try {
      action.run();
    } finally {
      lock.unlock();
    }
  }

  // ---- For those who have something to log ----

  /** Returns when it is written or, if that takes too long or cannot be done, before. */
  void write(AuditEvent event) {
    byte[] bytes = target.bytesOf(event);
    locked(() -> keep(bytes).ifPresent(this::awaitWritten));
  }

  private void awaitWritten(Entry entry) {
    if (problem.isEmpty()
        && !isStuck
        && !await(PATIENCE, () -> entry.isDone || problem.isPresent())) {
      setStuck();
    }
  }

  /** The same, without waiting. */
  void tell(AuditEvent event) {
    byte[] bytes = target.bytesOf(event);
    locked(() -> keep(bytes));
  }

  private Optional<Entry> keep(byte[] bytes) {
    work.signal();
    return closed ? Optional.empty() : backlog.add(bytes);
  }

  /** Whether another refusal of this peer is to be told; else it is counted. */
  boolean takeRefusal(String peer) {
    return locked(
        () -> {
          work.signal();
          return refusals.take(peer, System.nanoTime());
        });
  }

  /** Why nothing can be written, after another try; empty if it can. */
  Optional<String> problem() {
    return locked(
        () -> {
          if (problem.isPresent() && !isStuck) {
            long before = attempts;
            work.signal();
            await(PATIENCE, () -> attempts > before);
          }
          return isStuck ? Optional.of("it takes nothing just now") : problem;
        });
  }

  /** Has it opened anew. */
  void reopen() {
    locked(
        () -> {
          reopens = true;
          work.signal();
          return await(PATIENCE, () -> !reopens);
        });
  }

  /** Waits until it is open for the first time, or why it cannot be is known. */
  Optional<String> awaitOpening() {
    return locked(
        () -> {
          if (!await(PATIENCE_AT_START, () -> isOpen || problem.isPresent())) {
            setStuck();
          }
          return problem;
        });
  }

  /** Takes nothing any more. */
  void close() {
    locked(
        () -> {
          closed = true;
          work.signal();
        });
  }

  /** Whether the writer has made it true in time. */
  private boolean await(Duration patience, BooleanSupplier question) {
    long left = patience.toNanos();
    while (!question.getAsBoolean()) {
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
      complaints.isStuck();
    }
  }

  // ---- For the writer ----

  /** Waits for something to do; false if that is nothing any more. */
  boolean awaitWork() {
    lock.lock();
    try {
      while (true) {
        boolean isFailing = problem.isPresent();
        boolean hasWork = !isOpen || reopens || !backlog.isEmpty();
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
          keepCounted();
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

  private void keepCounted() {
    refusals
        .untold()
        .forEach(
            (peer, count) ->
                keepNote(
                    peer + ": " + count + " more requests were refused",
                    AuditEvent.facts("not_logged").add("from", peer).add("count", count)));
  }

  private void keepNote(String text, JsonObjectBuilder facts) {
    keep(target.bytesOf(new AuditEvent(AuditEvent.Level.NOTICE, text, facts.build())));
  }

  /** Whether it is to be opened anew, before anything else is written. */
  boolean isAskedToReopen() {
    return locked(() -> reopens);
  }

  /** That has been done, or cannot be. */
  void reopened() {
    locked(
        () -> {
          reopens = false;
          progress.signalAll();
        });
  }

  /** What is to be written next, or once more. */
  byte[] next() {
    return locked(() -> backlog.first().bytes);
  }

  /** It has been opened, for the first time. */
  void opened() {
    locked(
        () -> {
          isOpen = true;
          succeeded();
        });
  }

  /** What came {@link #next} has been written. */
  void written() {
    locked(
        () -> {
          succeeded();
          backlog.removeFirst();
          keepLost();
        });
  }

  private void keepLost() {
    long lost = backlog.lost();
    if (lost > 0) {
      backlog.forgetLost();
      keepNote(lost + " events could not be kept", AuditEvent.facts("lost").add("count", lost));
    }
  }

  private void succeeded() {
    if (problem.isPresent() || isStuck) {
      complaints.isWrittenAgain(backlog);
    }
    problem = Optional.empty();
    madeProgress();
  }

  /** It could not be opened or written. */
  void failed(String why) {
    locked(
        () -> {
          if (problem.isEmpty() && isOpen) {
            complaints.fails(why);
          }
          problem = Optional.of(why);
          madeProgress();
        });
  }

  private void madeProgress() {
    isStuck = false;
    attempts++;
    progress.signalAll();
  }
}
