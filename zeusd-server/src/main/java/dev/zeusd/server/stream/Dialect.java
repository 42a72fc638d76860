package dev.zeusd.server.stream;

import java.util.Collection;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Function;

/** How changes become events. */
sealed interface Dialect<S> {
  /**
   * Writes the events that tell of {@code changed}.
   *
   * @param current the newest value of each device that has one
   */
  void write(List<S> changed, List<S> current, EventChunk events);

  /** Whether an event shows all devices, and the first one has to wait for their values. */
  boolean showsAll();

  /**
   * One event for each device.
   *
   * @param json writes the data of one
   */
  record Samples<S>(BiConsumer<S, EventChunk> json) implements Dialect<S> {
    @Override
    public void write(List<S> changed, List<S> current, EventChunk events) {
      for (S each : changed) {
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
    public void write(List<S> changed, List<S> current, EventChunk events) {
      events.beginEvent().text(json.apply(current.isEmpty() ? changed : current)).endEvent();
    }

    @Override
    public boolean showsAll() {
      return true;
    }
  }
}
