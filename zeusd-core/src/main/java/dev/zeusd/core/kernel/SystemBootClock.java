package dev.zeusd.core.kernel;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Linux's CLOCK_BOOTTIME, to within some 10 ms: {@link System#nanoTime} and what the machine has
 * slept, which is looked up in {@code /proc/uptime} at first, and whenever the wall clock has moved
 * against nanoTime, as it does in sleep. So to ask for the time takes no system call, and no native
 * function has to be linked, which takes a tenth of a second.
 */
final class SystemBootClock implements BootClock {
  /** Movements of the wall clock below that are none; nor is a sleep that short. */
  private static final long SIGNIFICANT_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

  private static final int TRIES = 5;

  private final LongSupplier wallMs;
  private final LongSupplier nanoTime;
  private final Supplier<OptionalLong> uptimeNanos;

  private volatile Look look;

  /**
   * What was found at the last look.
   *
   * @param wallAheadNanos the wall clock less nanoTime
   * @param sleptNanos the uptime less nanoTime
   */
  private record Look(long wallAheadNanos, long sleptNanos) {}

  /** For tests: a clock from clocks. */
  SystemBootClock(LongSupplier wallMs, LongSupplier nanoTime, Supplier<OptionalLong> uptimeNanos) {
    this.wallMs = wallMs;
    this.nanoTime = nanoTime;
    this.uptimeNanos = uptimeNanos;
  }

  /** Reads {@code /proc/uptime}; empty where that cannot be done. */
  static Supplier<OptionalLong> uptimeFile() {
    return () -> {
      try {
        String seconds = Files.readString(Path.of("/proc/uptime")).split(" ", 2)[0];
        return OptionalLong.of(new BigDecimal(seconds).movePointRight(9).longValueExact());
      } catch (IOException | ArithmeticException | NumberFormatException e) {
        return OptionalLong.empty();
      }
    };
  }

  @Override
  public long nanos() {
    long wallNanos = TimeUnit.MILLISECONDS.toNanos(wallMs.getAsLong());
    long now = nanoTime.getAsLong();
    Look last = look;
    if (last == null || Math.abs(wallNanos - now - last.wallAheadNanos) > SIGNIFICANT_NANOS) {
      last = lookAgain(wallNanos - now);
    }
    return now + last.sleptNanos;
  }

  @Override
  public long sleptNanos() {
    return look == null ? lookAgain(0).sleptNanos : look.sleptNanos;
  }

  private synchronized Look lookAgain(long wallAheadNanos) {
    long sleptNanos = look == null ? 0 : look.sleptNanos;
    for (int i = 0; i < TRIES; i++) {
      long before = nanoTime.getAsLong();
      OptionalLong uptime = uptimeNanos.get();
      long after = nanoTime.getAsLong();
      // Else this thread was stopped in between.
      if (uptime.isPresent() && after - before < SIGNIFICANT_NANOS / 4) {
        long nowSlept = uptime.getAsLong() - after;
        boolean first = look == null;
        sleptNanos = first || nowSlept - sleptNanos > SIGNIFICANT_NANOS ? nowSlept : sleptNanos;
        break;
      }
    }
    look = new Look(wallAheadNanos, sleptNanos);
    return look;
  }
}
