package dev.zeusd.core.worker;

import dev.zeusd.core.device.DeviceException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * A device, and the thread on which it is called: commands in the order they arrived, reads, and
 * timed work; these take turns, so none starves another. A driver call that takes long holds up
 * nothing but its own device, and does not pin the carrier of a virtual thread.
 *
 * <p>While the device is idle and has been quick, {@link #runOrSubmit} and {@link #runOrShare} ask
 * it on the thread of the caller, since waking this thread and being woken by it takes ten times as
 * long as such a call; and so does the sampler. It is never called twice at a time. While a command
 * of a device that {@link YieldsTurn} waits for something else, the device is read.
 *
 * <p>Thread-safe. The thread starts when it is needed first, and sleeps without work.
 *
 * @param <D> the device
 */
public final class DeviceWorker<D> implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(DeviceWorker.class.getName());

  /**
   * Commands that may wait for one device; a client that wants more is told to come back. Half of
   * them is enough for anybody, so that nobody need fill it alone.
   */
  public static final int QUEUE_CAPACITY = 2048;

  /** With more, even a quick device may be one that hangs just now. */
  private static final int FEW_WAITING = 8;

  private final int id;
  private final String name;
  private final D device;
  private final Mailbox mailbox;

  /**
   * The same, but for a device whose commands wait for something else: they have another thread.
   */
  private final Mailbox commands;

  private final Turn turn;

  private final CallQueue<D> queue;
  private final SharedReads<D> sharedReads;
  private final ReadTimes readTimes = new ReadTimes();

  /**
   * Nothing is called yet; the thread will be called {@code name}.
   *
   * @param id the device's id
   * @param name of its thread, such as {@code GPU 0}
   * @param device the device; called by this worker only
   */
  public DeviceWorker(int id, String name, D device) {
    this(id, name, device, Carriers.OF_THIS_MACHINE, NanoClock.SYSTEM);
  }

  /**
   * The same by another clock.
   *
   * @param id the device's id
   * @param name of its thread, such as {@code GPU 0}
   * @param device the device; called by this worker only
   * @param carriers those that virtual threads of callers may pin
   * @param clock by which the devices are read
   */
  public DeviceWorker(int id, String name, D device, Carriers carriers, NanoClock clock) {
    this.id = id;
    this.name = name;
    this.device = device;
    this.mailbox = new Mailbox(name, clock);
    this.turn = new Turn(carriers, clock);
    if (device instanceof YieldsTurn yielding) {
      this.commands = new Mailbox(name + " commands", clock);
      yielding.yieldTurnBy(turn::yieldFor);
    } else {
      this.commands = mailbox;
    }
    this.queue = new CallQueue<>(this, mailbox, commands);
    this.sharedReads = new SharedReads<>(queue, clock);
  }

  /** {@return the device's id} */
  public int id() {
    return id;
  }

  String name() {
    return name;
  }

  /**
   * {@return the device itself, for what needs no hardware; everything else goes through {@link
   * #call}}
   */
  public D device() {
    return device;
  }

  /** {@return how long reads have taken, one-shot ones and those of samplers} */
  public ReadTimes readTimes() {
    return readTimes;
  }

  /**
   * Queues {@code call}; the future ends with its value, or with the exception it threw, on the
   * worker's thread; with {@link DeviceException.Unavailable} if this is closed before its turn.
   *
   * @param <T> what is asked for
   * @param call asks the device; runs while nobody else calls it
   * @return ends with the answer, or with what the call has thrown
   * @throws DeviceException.Unavailable if too many calls wait already
   */
  public <T> CompletableFuture<T> submit(Function<? super D, ? extends T> call) {
    return queue.add(Mailbox.Kind.COMMAND, call);
  }

  /**
   * As {@link #submit}, but asks the device here and now, on the calling thread, if it is idle and
   * its calls have been quick, or if this is within another call of it. Nothing else that was
   * submitted before is overtaken.
   *
   * <p>Should the driver hang in just this call, the caller hangs with it.
   *
   * @param <T> what is asked for
   * @param call asks the device; runs while nobody else calls it
   * @return ends with the answer, or with what the call has thrown
   */
  public <T> CompletableFuture<T> runOrSubmit(Function<? super D, ? extends T> call) {
    if (turn.isMine()) {
      return runNow(call);
    }
    // One that has yielded the turn is not to be overtaken.
    return commands == mailbox && turn.tryTakeAsGuest(this::isIdle)
        ? runAsGuest(call)
        : submit(call);
  }

  /**
   * As {@link #runOrSubmit}, for what only reads: it takes turns with the commands that wait,
   * however many they are. If the same object {@code read} waits for its turn already, its value is
   * for this caller, too: what many ask of a slow device does not add up, and yet no value is older
   * than the question.
   *
   * @param <T> what is asked for
   * @param read asks the device; those who ask by the same object may share an answer
   * @return ends with the answer, or with what the call has thrown
   * @throws DeviceException.Unavailable if it has been waiting for longer than {@link
   *     Answer#PATIENCE}
   */
  public <T> CompletableFuture<T> runOrShare(Function<? super D, ? extends T> read) {
    if (turn.isMine()) {
      return runNow(read);
    }
    return turn.tryTakeAsGuest(this::isIdle)
        ? runAsGuest(device -> readTimes.of(device, read))
        : share(read);
  }

  /**
   * As {@link #runOrShare}, but on the device's thread in any case.
   *
   * @param <T> what is asked for
   * @param read asks the device; those who ask by the same object may share an answer
   * @return ends with the answer, or with what the call has thrown
   */
  public <T> CompletableFuture<T> share(Function<? super D, ? extends T> read) {
    // To find out who else waits for a quick one would take as long as the read.
    return turn.isQuick() && queue.waitingReads() < FEW_WAITING
        ? queue.add(Mailbox.Kind.READ, read)
        : sharedReads.join(read);
  }

  private <T> CompletableFuture<T> runNow(Function<? super D, ? extends T> call) {
    try {
      return CompletableFuture.completedFuture(call.apply(device));
    } catch (Throwable e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private boolean isIdle() {
    return queue.isEmpty() && !mailbox.isClosed();
  }

  private <T> CompletableFuture<T> runAsGuest(Function<? super D, ? extends T> call) {
    try {
      return turn.timed(() -> runNow(call));
    } finally {
      turn.releaseAsGuest();
    }
  }

  /**
   * Runs {@code call} on the device's thread and waits for its value; within another call of the
   * device, it runs at once.
   *
   * @param <T> what is asked for
   * @param call asks the device; runs while nobody else calls it
   * @return what the device has answered
   * @throws DeviceException what the device threw, or why it was not asked, as {@link #submit}
   */
  public <T> T call(Function<? super D, ? extends T> call) {
    return Answer.await(turn.isMine() ? runNow(call) : submit(call));
  }

  /** The right to call the device. */
  Turn turn() {
    return turn;
  }

  /**
   * {@return how long calls took lately, in ns: the longest one, which fades with each that
   * follows}
   */
  public long recentNanos() {
    return turn.recentNanos();
  }

  /** {@return how long the call that runs now has been running, in ns; 0 if none does} */
  public long inCallNanos() {
    return turn.heldNanos();
  }

  /**
   * Lets the calling thread call the {@link #device}, if nobody else does just now and this is
   * open; {@link #endCall} has to follow. It goes before all that waits, so it is for who comes
   * seldom.
   *
   * @return whether the calling thread may call it, until {@link #endCall}
   */
  public boolean tryBeginCall() {
    return !mailbox.isClosed() && turn.tryTake();
  }

  /**
   * The call that {@link #tryBeginCall} has allowed is over.
   *
   * @param tookNanos how long the device took, in ns
   */
  public void endCall(long tookNanos) {
    turn.noteTime(tookNanos);
    turn.release();
  }

  /**
   * Makes a call on the device's thread, before all that waits for it, unless this closes before;
   * {@code then} gets its value there.
   *
   * @param <T> what is asked for
   * @param call asks the device; runs while nobody else calls it
   * @param then gets the answer, on the device's thread
   */
  public <T> void callNext(Supplier<T> call, Consumer<? super T> then) {
    mailbox.post(Mailbox.Kind.FIRST, () -> then.accept(withTurn(call)));
  }

  /**
   * Runs {@code work} at {@code dueNanos}, as a call on the device's thread.
   *
   * @param dueNanos when, by the worker's clock
   * @param work what to do then
   */
  public void schedule(long dueNanos, TimedWork work) {
    mailbox.schedule(dueNanos, due -> withTurn(() -> work.run(due)));
  }

  private <T> T withTurn(Supplier<T> call) {
    turn.take();
    try {
      return turn.timed(call);
    } finally {
      turn.release();
    }
  }

  /**
   * For a call that takes several of the device's: the caller ends it. Like the answer of {@link
   * #submit}, it is not waited for in vain within a call of this device.
   *
   * @param <T> what is asked for
   * @return an answer that is still to be given
   */
  public <T> CompletableFuture<T> newAnswer() {
    return new Answer<>(this, false);
  }

  /**
   * Ends the thread after the call that runs now; calls that wait are refused with {@link
   * DeviceException.Unavailable}. A call that hangs in the driver is waited for only briefly: its
   * thread is a daemon and does not keep the process.
   */
  @Override
  public void close() {
    closeAll(List.of(this));
  }

  /**
   * As {@link #close} of each, and together no longer than one of them that hangs.
   *
   * @param workers those to close
   */
  public static void closeAll(Collection<? extends DeviceWorker<?>> workers) {
    List<Mailbox> mailboxes = new ArrayList<>();
    for (DeviceWorker<?> worker : workers) {
      mailboxes.add(worker.mailbox);
      if (worker.commands != worker.mailbox) {
        mailboxes.add(worker.commands);
      }
    }
    for (String running : Mailbox.closeAll(mailboxes)) {
      LOG.log(
          System.Logger.Level.WARNING, "{0}: a call has not ended, and is left behind", running);
    }
  }
}
