package dev.zeusd.core.sampling;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The newest sample of each device, and since when it shows what it shows. It is replaced as a
 * whole by whoever has read something. Who reads it keeps its {@link #stamp} in a {@link Bookmark},
 * and what changed after that is news: nobody needs to remember for a reader what it has been told.
 *
 * <p>Immutable.
 *
 * @param <S> the samples
 */
public final class Board<S extends PowerSample> {
  private final long stamp;

  /** By index of the device; null for one that has not been read. */
  private final Entry<S>[] entries;

  /**
   * What is known of one device.
   *
   * @param sample the last one that could be read, or null
   * @param readNanos when the device was asked last, by {@link System#nanoTime}
   * @param changedAt the stamp of the board that showed this power first
   * @param answers whether the last read succeeded
   */
  record Entry<S extends PowerSample>(S sample, long readNanos, long changedAt, boolean answers) {
    /** A sample that is on no board yet. */
    static <S extends PowerSample> Entry<S> read(S sample, long readNanos) {
      return new Entry<>(sample, readNanos, 0, true);
    }

    /** A read that failed. */
    static <S extends PowerSample> Entry<S> failed(long readNanos) {
      return new Entry<>(null, readNanos, 0, false);
    }

    private Entry<S> after(Entry<S> before, long stamp) {
      S last = before == null ? null : before.sample;
      if (!answers) {
        return new Entry<>(last, readNanos, last == null ? 0 : before.changedAt, false);
      }
      boolean isSame = last != null && sample.samePower(last);
      return new Entry<>(sample, readNanos, isSame ? before.changedAt : stamp, true);
    }
  }

  private Board(long stamp, Entry<S>[] entries) {
    this.stamp = stamp;
    this.entries = entries;
  }

  /** A board of so many devices, of which nothing is known. */
  static <S extends PowerSample> Board<S> ofNothing(int devices) {
    return new Board<>(0, newEntries(devices));
  }

  /** For {@link #with}. */
  @SuppressWarnings("unchecked")
  static <S extends PowerSample> Entry<S>[] newEntries(int devices) {
    return (Entry<S>[]) new Entry<?>[devices];
  }

  /**
   * The board after some reads. One that is older than what is known of its device is left out.
   *
   * @param read by index of the device; null for those that were not read
   * @return this if there is nothing new
   */
  Board<S> with(Entry<S>[] read) {
    Entry<S>[] next = null;
    for (int device = 0; device < read.length; device++) {
      Entry<S> known = entries[device];
      if (read[device] != null && (known == null || read[device].readNanos - known.readNanos > 0)) {
        next = next == null ? entries.clone() : next;
        next[device] = read[device].after(known, stamp + 1);
      }
    }
    return next == null ? this : new Board<>(stamp + 1, next);
  }

  /** The board once nobody wants a device any more. */
  Board<S> without(int device) {
    Entry<S>[] next = entries.clone();
    next[device] = null;
    return new Board<>(stamp + 1, next);
  }

  /** {@return the number of this board; the next one has a greater one} */
  public long stamp() {
    return stamp;
  }

  /** What is known of a device, or null. */
  Entry<S> entry(int device) {
    return entries[device];
  }

  /** The newest sample of a device that answers. */
  Optional<S> current(int device) {
    Entry<S> entry = entries[device];
    return entry == null || !entry.answers ? Optional.empty() : Optional.ofNullable(entry.sample);
  }

  /** The same, if the device was asked since then. */
  Optional<S> currentSince(int device, long nanos) {
    Entry<S> entry = entries[device];
    return entry == null || entry.readNanos - nanos < 0 ? Optional.empty() : current(device);
  }

  /** The newest samples of those of some devices that answer. */
  List<S> current(int[] devices) {
    List<S> samples = new ArrayList<>(devices.length);
    for (int device : devices) {
      Entry<S> entry = entries[device];
      if (entry != null && entry.answers) {
        samples.add(entry.sample);
      }
    }
    return samples;
  }

  /** The same one by one, with the times of their reading. */
  void forEachCurrent(int[] devices, Subscription.Visitor<? super S> visitor) {
    for (int device : devices) {
      Entry<S> entry = entries[device];
      if (entry != null && entry.answers) {
        visitor.visit(entry.sample, entry.readNanos);
      }
    }
  }
}
