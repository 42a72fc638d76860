package dev.zeusd.core.energy;

import java.time.Duration;
import java.util.Collection;
import java.util.Objects;
import java.util.Set;

/**
 * How an energy window is wanted.
 *
 * @param name for people, at most {@link #MAX_NAME} characters; may be empty
 * @param owner whose it is, in words
 * @param ttl after which time it is forgotten if nobody has ended it, at most {@link #MAX_TTL}
 * @param gpuIds the GPUs to measure
 * @param cpuIds the CPUs to measure
 */
public record WindowRequest(
    String name, String owner, Duration ttl, Set<Integer> gpuIds, Set<Integer> cpuIds) {
  /** The longest that a window may stay open. */
  public static final Duration MAX_TTL = Duration.ofDays(30);

  /** How long it stays open if nothing is said. */
  public static final Duration DEFAULT_TTL = Duration.ofDays(7);

  /** The longest name, in characters. */
  public static final int MAX_NAME = 200;

  /**
   * Checks name and time.
   *
   * @throws IllegalArgumentException for a name that is too long, or a TTL that is not positive or
   *     too long
   */
  public WindowRequest {
    Objects.requireNonNull(owner);
    gpuIds = Set.copyOf(gpuIds);
    cpuIds = Set.copyOf(cpuIds);
    if (name.length() > MAX_NAME) {
      throw new IllegalArgumentException(
          "name has " + name.length() + " characters, must have at most " + MAX_NAME);
    }
    if (ttl.isNegative() || ttl.isZero() || ttl.compareTo(MAX_TTL) > 0) {
      throw new IllegalArgumentException("ttl is " + ttl + ", must be at most " + MAX_TTL);
    }
  }

  /**
   * {@return a request for these devices, for this process}
   *
   * @param gpuIds the GPUs to measure
   * @param cpuIds the CPUs to measure
   */
  public static WindowRequest of(Collection<Integer> gpuIds, Collection<Integer> cpuIds) {
    return new WindowRequest(
        "",
        "process " + ProcessHandle.current().pid(),
        DEFAULT_TTL,
        Set.copyOf(gpuIds),
        Set.copyOf(cpuIds));
  }
}
