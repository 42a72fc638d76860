package dev.zeusd.core.worker;

/** Work for a moment: told when it was due, gives the time it wants to run next. */
public interface TimedWork {
  /** Answer of {@link #run}: not again. */
  long NEVER = Long.MIN_VALUE;

  /**
   * Times are {@link NanoClock#nanoTime}'s.
   *
   * @param dueNanos when it was to run
   * @return when it is to run again; {@link #NEVER}: not again
   */
  long run(long dueNanos);
}
