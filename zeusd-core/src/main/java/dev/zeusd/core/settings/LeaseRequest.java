package dev.zeusd.core.settings;

import java.time.Duration;
import java.util.Objects;
import java.util.Optional;

/**
 * How a lease is wanted.
 *
 * @param holder who wants it, in words that others may see
 * @param ttl how long it lasts if it is not renewed, at most {@link #MAX_TTL}
 * @param patience how long to wait, first come first served, while others hold what is wanted
 * @param onEnd what becomes of the settings
 * @param process whose end is the lease's, if there is such a process
 */
public record LeaseRequest(
    String holder,
    Duration ttl,
    Duration patience,
    OnEnd onEnd,
    Optional<ClientProcess.Id> process) {
  /** The longest that a lease may go on without being renewed. */
  public static final Duration MAX_TTL = Duration.ofDays(7);

  /** What becomes of the settings of a lease that ends. */
  public enum OnEnd {
    /** They go back to what they were. */
    RESTORE,
    /** They stay as they are. */
    KEEP
  }

  /**
   * Checks the times.
   *
   * @throws IllegalArgumentException for a TTL that is not positive or too long, or a negative wait
   */
  public LeaseRequest {
    Objects.requireNonNull(holder);
    Objects.requireNonNull(onEnd);
    Objects.requireNonNull(process);
    if (ttl.isNegative() || ttl.isZero() || ttl.compareTo(MAX_TTL) > 0) {
      throw new IllegalArgumentException("ttl is " + ttl + ", must be at most " + MAX_TTL);
    }
    if (patience.isNegative()) {
      throw new IllegalArgumentException("patience is " + patience);
    }
  }

  /**
   * Of no particular process.
   *
   * @param holder who wants it, in words that others may see
   * @param ttl how long it lasts if it is not renewed
   * @param patience how long to wait for others whose lease is in the way
   * @param onEnd what becomes of the settings
   */
  public LeaseRequest(String holder, Duration ttl, Duration patience, OnEnd onEnd) {
    this(holder, ttl, patience, onEnd, Optional.empty());
  }
}
