package dev.zeusd.core.sampling;

import dev.zeusd.core.worker.NanoClock;

/**
 * Runs a pass over devices at the moments of an absolute schedule: a late tick moves no later one,
 * and ticks missed in a stall are left out. One thread does so, the lead, as long as no call of a
 * device hangs.
 *
 * <p>A second thread stands by. Each tick puts off an alarm that would wake it; only if one does
 * not come to its end in time, it wakes, and if the first thread is stuck in a call, takes over,
 * and another one stands by; the stuck one sees when it returns that it leads no more, and ends. So
 * a hang delays the others once, by the grace that a call has, however long it lasts, and leaves no
 * thread behind. To wake a thread at every tick would cost as much as the tick.
 *
 * <p>Thread-safe.
 */
final class Ticker {
  private static final System.Logger LOG = System.getLogger(Ticker.class.getName());

  private static final long END_WAIT_MILLIS = 200;

  private final String name;
  private final long periodNanos;
  private final NanoClock clock;
  private final Pass pass;

  /** Who ticks, or ticked last, or null; guarded by this. */
  private Lead lead;

  /** A pass is wanted at once, whatever the schedule says. */
  private volatile boolean isPassWanted;

  /** It is logged once. */
  private volatile boolean hasFailed;

  /** What is done at each tick. */
  interface Pass {
    /**
     * Reads what is due. It says by {@link Lead#beginCall} and {@link Lead#endCall} when it calls a
     * device, and goes on with no other one once {@link Lead#isOver}.
     *
     * @param dueNanos when the tick was due; only with {@code onSchedule}
     * @param onSchedule false for a pass that {@link #passNow} asked for
     */
    void run(Lead lead, long dueNanos, boolean onSchedule);
  }

  /** A ticker that stands still; its threads are called {@code name}. */
  Ticker(String name, long periodNanos, NanoClock clock, Pass pass) {
    this.name = name;
    this.periodNanos = periodNanos;
    this.clock = clock;
    this.pass = pass;
  }

  /** Starts the schedule with a first pass now, if it stands still. */
  synchronized void start() {
    if (!isTicking()) {
      Lead first = Lead.first(clock, periodNanos);
      isPassWanted = true;
      first.thread = newThread(() -> tick(first));
      start(first.thread);
      follow(first);
    }
  }

  private boolean isTicking() {
    return lead != null && !lead.isOver();
  }

  private void follow(Lead next) {
    lead = next;
    start(newThread(() -> standBy(next)));
  }

  private Thread newThread(Runnable work) {
    // A platform thread: a call into the driver pins its carrier, and it is to be on time.
    return Thread.ofPlatform().daemon().name(name).unstarted(work);
  }

  private void start(Thread thread) {
    clock.starting(thread);
    thread.start();
  }

  /** A pass as soon as possible, beside the schedule. */
  synchronized void passNow() {
    isPassWanted = true;
    if (isTicking()) {
      clock.unpark(lead.thread);
    }
  }

  /** Ends the schedule; a pass that runs comes to its end. */
  synchronized void stop() {
    if (isTicking()) {
      lead.end();
    }
  }

  /** As {@link #stop}, and waits for the pass that runs, unless it hangs. */
  void close() {
    Lead last;
    synchronized (this) {
      stop();
      last = lead;
    }
    try {
      if (last != null && last.thread != Thread.currentThread()) {
        last.thread.join(END_WAIT_MILLIS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void standBy(Lead watched) {
    if (watched.awaitHang()) {
      takeOver(watched);
    }
  }

  private void takeOver(Lead stuck) {
    Lead mine;
    synchronized (this) {
      if (lead != stuck || !isTicking()) {
        return;
      }
      mine = stuck.next();
      mine.thread = Thread.currentThread();
      // What the stuck one had not come to by now.
      isPassWanted = true;
      follow(mine);
    }
    tick(mine);
  }

  private void tick(Lead mine) {
    while (!mine.isOver()) {
      long now = clock.nanoTime();
      boolean onSchedule = now - mine.dueNanos() >= 0;
      if (onSchedule || isPassWanted) {
        isPassWanted = false;
        runPass(mine, onSchedule);
        if (onSchedule) {
          mine.endTick(now);
        }
      } else {
        clock.parkUntil(mine.dueNanos());
      }
    }
  }

  private void runPass(Lead mine, boolean onSchedule) {
    try {
      pass.run(mine, mine.dueNanos(), onSchedule);
    } catch (Throwable e) {
      // Whatever it is, the next tick tries again.
      if (!hasFailed) {
        hasFailed = true;
        LOG.log(System.Logger.Level.ERROR, "{0}: unexpected exception", name, e);
      }
    }
  }
}
