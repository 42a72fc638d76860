package dev.zeusd.core.worker;

import java.util.concurrent.locks.LockSupport;

/**
 * The time that a node goes by, and how to wait by it: this machine's, or, in tests, one whose time
 * they set.
 */
public interface NanoClock {
  /** The clock of this machine. */
  NanoClock SYSTEM =
      new NanoClock() {
        @Override
        public long nanoTime() {
          return System.nanoTime();
        }

        @Override
        public long wallMs() {
          return System.currentTimeMillis();
        }

        @Override
        public void park() {
          LockSupport.park(this);
        }

        @Override
        public void parkUntil(long nanos) {
          LockSupport.parkNanos(this, nanos - System.nanoTime());
        }

        @Override
        public void unpark(Thread thread) {
          LockSupport.unpark(thread);
        }

        @Override
        public Alarm newAlarm() {
          return SystemAlarm.make();
        }
      };

  /** {@return the time in ns, as {@link System#nanoTime}} */
  long nanoTime();

  /**
   * As {@link System#currentTimeMillis}: people may set it back.
   *
   * @return the time in ms since 1970, as {@link System#currentTimeMillis}
   */
  long wallMs();

  /**
   * Told before a thread starts that will wait by this clock.
   *
   * @param thread the thread
   */
  default void starting(Thread thread) {}

  /** Waits until an {@link #unpark}, or for no reason. */
  void park();

  /**
   * Waits until {@code nanos}, an {@link #unpark}, or for no reason.
   *
   * @param nanos when, as {@link #nanoTime} will tell it
   */
  void parkUntil(long nanos);

  /**
   * Lets {@code thread} go on, now or when it waits the next time.
   *
   * @param thread the thread
   */
  void unpark(Thread thread);

  /** {@return an alarm that is set for no time yet} */
  Alarm newAlarm();

  /**
   * Wakes one thread at a time that others put off again and again, which does not wake it.
   * Thread-safe, also beside a {@link #close}.
   */
  interface Alarm extends AutoCloseable {
    /**
     * It rings at {@code nanos}, and no more when it was set for before.
     *
     * @param nanos when, as {@link #nanoTime} will tell it
     */
    void setFor(long nanos);

    /** Waits until it rings, or for no reason. */
    void await();

    /** It rings now, and all that is done to it later has no effect. */
    @Override
    void close();
  }
}
