package dev.zeusd.client;

import java.util.Collections;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What was read of several devices. One that fails costs only itself: it has an error instead of a
 * value.
 *
 * @param <T> what was read of each
 * @param values by the ids of devices, ascending
 * @param errors of the devices that could not be read, by their ids; none if all is well
 */
public record PerDevice<T>(SortedMap<Integer, T> values, SortedMap<Integer, String> errors) {
  /** Keeps copies. */
  public PerDevice {
    values = Collections.unmodifiableSortedMap(new TreeMap<>(values));
    errors = Collections.unmodifiableSortedMap(new TreeMap<>(errors));
  }

  /**
   * {@return what was read of one device}
   *
   * @param id the device's id
   * @throws ZeusdException if it could not be read
   * @throws IllegalArgumentException if it was not asked for
   */
  public T get(int id) {
    T value = values.get(id);
    if (value != null) {
      return value;
    }
    String error = errors.get(id);
    if (error == null) {
      throw new IllegalArgumentException("device " + id + " was not asked for");
    }
    throw ZeusdException.ofDevices(500, "device", Map.of(id, error));
  }
}
