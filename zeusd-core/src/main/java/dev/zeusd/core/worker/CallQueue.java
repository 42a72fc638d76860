package dev.zeusd.core.worker;

import dev.zeusd.core.device.DeviceException;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;

/**
 * The calls that wait for a device: commands in the order they came, and reads, which take turns
 * with them. There may be only so many of each.
 *
 * <p>Thread-safe.
 */
final class CallQueue<D> {
  private final DeviceWorker<D> worker;
  private final Mailbox reads;
  private final Mailbox commands;

  // From the call until it is its turn.
  private final AtomicInteger waitingCommands = new AtomicInteger();
  private final AtomicInteger waitingReads = new AtomicInteger();

  /** Nothing waits; the mailboxes are the worker's, and may be the same. */
  CallQueue(DeviceWorker<D> worker, Mailbox reads, Mailbox commands) {
    this.worker = worker;
    this.reads = reads;
    this.commands = commands;
  }

  boolean isEmpty() {
    return waitingCommands.get() == 0 && waitingReads.get() == 0;
  }

  int waitingReads() {
    return waitingReads.get();
  }

  /**
   * Adds a call; the future ends with what it ends with.
   *
   * @throws DeviceException.Unavailable if too many wait already
   */
  <T> CompletableFuture<T> add(Mailbox.Kind kind, Function<? super D, ? extends T> call) {
    AtomicInteger waiting = kind == Mailbox.Kind.READ ? waitingReads : waitingCommands;
    if (waiting.incrementAndGet() > DeviceWorker.QUEUE_CAPACITY) {
      waiting.decrementAndGet();
      throw new DeviceException.Unavailable(
          "%s is busy: %d %ss wait for it already; try again later"
              .formatted(
                  worker.name(),
                  DeviceWorker.QUEUE_CAPACITY,
                  kind.name().toLowerCase(Locale.ROOT)));
    }
    Call<T> added = new Call<>(kind, call, waiting);
    (kind == Mailbox.Kind.READ ? reads : commands).post(kind, added);
    return added.result;
  }

  private final class Call<T> implements Mailbox.Task {
    private final Mailbox.Kind kind;
    private final Function<? super D, ? extends T> call;
    private final AtomicInteger waiting;
    private final Answer<T> result;

    Call(Mailbox.Kind kind, Function<? super D, ? extends T> call, AtomicInteger waiting) {
      this.kind = kind;
      this.call = call;
      this.waiting = waiting;
      this.result = new Answer<>(worker, kind == Mailbox.Kind.COMMAND);
    }

    @Override
    public void run() {
      worker.turn().take();
      try {
        waiting.decrementAndGet();
        // Else whoever waited has given up.
        if (!result.isDone()) {
          result.begin();
          result.complete(worker.turn().timed(this::apply));
        }
      } catch (Throwable e) {
        result.completeExceptionally(e);
      } finally {
        worker.turn().release();
      }
    }

    private T apply() {
      return kind == Mailbox.Kind.READ
          ? worker.readTimes().of(worker.device(), call)
          : call.apply(worker.device());
    }

    @Override
    public void refuse() {
      waiting.decrementAndGet();
      result.completeExceptionally(new DeviceException.Unavailable(worker.name() + " is closed"));
    }
  }
}
