package dev.zeusd.core.sampling;

import dev.zeusd.core.worker.NanoClock;
import java.time.Duration;

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

  /** A call that takes longer is taken for one that hangs. */
  static final Duration GRACE = Duration.ofMillis(10);

  private static final long END_WAIT_MILLIS = 200;

  private final String name;
  private final long periodNanos;
  private final NanoClock clock;
  private final Pass pass;

  // Guarded by this.
  /** Who ticks, or null while this is stopped. */
  private Lead lead;

  /** Who ticked last, or null. */
  private Lead latest;

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
    if (lead == null) {
      TickSchedule schedule = new TickSchedule(clock.nanoTime(), periodNanos);
      isPassWanted = true;
      lead = new Lead(schedule, schedule.first());
      latest = lead;
      // A platform thread: a call into the driver pins its carrier, and it is to be on time.
      lead.thread = Thread.ofPlatform().daemon().name(name).unstarted(lead::tick);
      start(lead.thread);
      standBy(lead);
    }
  }

  private void standBy(Lead watched) {
    // A platform thread, since it may lead.
    start(Thread.ofPlatform().daemon().name(name).unstarted(() -> watch(watched)));
  }

  private void start(Thread thread) {
    clock.starting(thread);
    thread.start();
  }

  /** A pass as soon as possible, beside the schedule. */
  synchronized void passNow() {
    isPassWanted = true;
    if (lead != null) {
      clock.unpark(lead.thread);
    }
  }

  /** Ends the schedule; a pass that runs comes to its end. */
  synchronized void stop() {
    if (lead != null) {
      lead.end();
      lead = null;
    }
  }

  /** As {@link #stop}, and waits for the pass that runs, unless it hangs. */
  void close() {
    Lead last;
    synchronized (this) {
      stop();
      last = latest;
    }
    try {
      if (last != null && last.thread != Thread.currentThread()) {
        last.thread.join(END_WAIT_MILLIS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void watch(Lead watched) {
    if (awaitHang(watched)) {
      takeOver(watched);
    }
  }

  /** Returns true once it is stuck in a call, and false if it leads no more. */
  private boolean awaitHang(Lead watched) {
    // Made here, since the first alarm of a process takes longer than many ticks.
    try (NanoClock.Alarm alarm = clock.newAlarm()) {
      watched.alarm = alarm;
      while (!watched.isOver()) {
        long nowNanos = clock.nanoTime();
        long callNanos = watched.callSinceNanos;
        long nextNanos = watched.dueNanos;
        if (callNanos != Lead.NO_CALL) {
          if (nowNanos - callNanos >= GRACE.toNanos() && watched.callSinceNanos == callNanos) {
            return true;
          }
          nextNanos = callNanos;
        } else if (nextNanos - nowNanos < 0) {
          nextNanos = nowNanos;
        }
        alarm.setFor(nextNanos + GRACE.toNanos());
        alarm.await();
      }
      return false;
    }
  }

  private void takeOver(Lead stuck) {
    Lead mine;
    synchronized (this) {
      if (lead != stuck) {
        return;
      }
      stuck.isOver = true;
      mine = new Lead(stuck.schedule, stuck.dueNanos);
      mine.thread = Thread.currentThread();
      lead = mine;
      latest = mine;
      // What the stuck one had not come to by now.
      isPassWanted = true;
      standBy(mine);
    }
    mine.tick();
  }

  /** One thread's time as the one that ticks. */
  final class Lead {
    private static final long NO_CALL = Long.MIN_VALUE;

    private final TickSchedule schedule;
    private Thread thread;
    private volatile boolean isOver;

    /** Wakes who stands by, or null as long as there is none. */
    private volatile NanoClock.Alarm alarm;

    /** The beginning of the call that is under way. */
    private volatile long callSinceNanos = NO_CALL;

    /** The tick that is next or under way. */
    private volatile long dueNanos;

    private Lead(TickSchedule schedule, long dueNanos) {
      this.schedule = schedule;
      this.dueNanos = dueNanos;
    }

    /** Whether another thread ticks now, or none. */
    boolean isOver() {
      return isOver;
    }

    /** A device is called from now on. */
    void beginCall(long nowNanos) {
      callSinceNanos = nowNanos;
    }

    /** It has answered. */
    void endCall() {
      callSinceNanos = NO_CALL;
    }

    private void end() {
      isOver = true;
      clock.unpark(thread);
      NanoClock.Alarm set = alarm;
      if (set != null) {
        set.close();
      }
    }

    private void tick() {
      while (!isOver) {
        long now = clock.nanoTime();
        boolean onSchedule = now - dueNanos >= 0;
        if (onSchedule || isPassWanted) {
          isPassWanted = false;
          runPass(onSchedule);
          if (onSchedule) {
            dueNanos = schedule.next(now, clock.nanoTime());
            putOffAlarm();
          }
        } else {
          clock.parkUntil(dueNanos);
        }
      }
    }

    private void putOffAlarm() {
      NanoClock.Alarm set = alarm;
      if (set != null) {
        set.setFor(dueNanos + GRACE.toNanos());
      }
    }

    private void runPass(boolean onSchedule) {
      try {
        pass.run(this, dueNanos, onSchedule);
      } catch (Throwable e) {
        // Whatever it is, the next tick tries again.
        if (!hasFailed) {
          hasFailed = true;
          LOG.log(System.Logger.Level.ERROR, "{0}: unexpected exception", name, e);
        }
      }
    }
  }
}
