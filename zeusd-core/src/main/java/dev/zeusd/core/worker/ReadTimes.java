package dev.zeusd.core.worker;

import dev.zeusd.core.device.DeviceException;
import java.util.function.Function;

/**
 * How long the reads of one device have taken, since its {@link DeviceWorker} was made. Reads are
 * written down by whoever has the device's turn, so one at a time; from any thread, the numbers of
 * some moment can be asked for.
 */
public final class ReadTimes {
  // Read by everybody once `reads` is.
  private long totalNanos;
  private long failures;

  private volatile long reads;

  /** None yet. */
  ReadTimes() {}

  /**
   * The numbers.
   *
   * @param reads how often the device was read
   * @param failures how often that failed, but for what it does not support at all
   * @param totalNanos how long the reads took together, in ns
   */
  public record Totals(long reads, long failures, long totalNanos) {}

  /** {@return the numbers up to now; or up to a moment ago, while a read ends just now} */
  public Totals totals() {
    long known = reads;
    return new Totals(known, failures, totalNanos);
  }

  /** Reads a device, by whoever has its turn. */
  <D, T> T of(D device, Function<? super D, ? extends T> read) {
    long start = System.nanoTime();
    boolean failed = true;
    try {
      T value = read.apply(device);
      failed = false;
      return value;
    } catch (DeviceException.NotSupported e) {
      failed = false;
      throw e;
    } finally {
      note(System.nanoTime() - start, failed);
    }
  }

  /**
   * A read took so long, by whoever had the device's turn.
   *
   * @param tookNanos how long it took, in ns
   * @param failed whether the device did not answer
   */
  public void note(long tookNanos, boolean failed) {
    totalNanos += tookNanos;
    failures += failed ? 1 : 0;
    reads = reads + 1;
  }
}
