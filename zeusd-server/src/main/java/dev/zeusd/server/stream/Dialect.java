package dev.zeusd.server.stream;

import java.util.Collection;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Function;

/** How samples become events. */
sealed interface Dialect<S> {
  /**
   * Writes the events.
   *
   * @param samples what has changed or, if this {@link #showsAll}, the newest of each device
   */
  void write(List<S> samples, EventChunk events);

  /** Whether an event shows all devices, and the first one has to wait for their values. */
  boolean showsAll();

  /**
   * One event for each device that has changed.
   *
   * @param json writes the data of one
   */
  record Samples<S>(BiConsumer<S, EventChunk> json) implements Dialect<S> {
    @Override
    public void write(List<S> samples, EventChunk events) {
      for (S each : samples) {
        json.accept(each, events.beginEvent());
        events.endEvent();
      }
    }

    @Override
    public boolean showsAll() {
      return false;
    }
  }

  /**
   * One event for all devices.
   *
   * @param json gives its data
   */
  record Snapshots<S>(Function<Collection<S>, byte[]> json) implements Dialect<S> {
    @Override
    public void write(List<S> samples, EventChunk events) {
      events.beginEvent().text(json.apply(samples)).endEvent();
    }

    @Override
    public boolean showsAll() {
      return true;
    }
  }
}
