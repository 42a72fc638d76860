package dev.zeusd.core.sampling;

/** What one publication hands to every subscription: at most one sample for each device. */
final class Batch<S> {
  private final Object[] samples;
  private final boolean[] changed;
  private boolean empty = true;

  Batch(int devices) {
    samples = new Object[devices];
    changed = new boolean[devices];
  }

  /** Adds a sample; {@code isNew} unless it only repeats the power that was published last. */
  void put(int device, S sample, boolean isNew) {
    samples[device] = sample;
    changed[device] |= isNew;
    empty = false;
  }

  boolean isEmpty() {
    return empty;
  }

  /** The sample of a device, or null. */
  @SuppressWarnings("unchecked")
  S sample(int device) {
    return (S) samples[device];
  }

  boolean isChanged(int device) {
    return changed[device];
  }
}
