package dev.zeusd.client;

import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeMap;

/**
 * What was asked could not be done; the message says what, and what to do. The one kind of
 * exception of this library, but for arguments that make no sense.
 */
public final class ZeusdException extends RuntimeException {
  private static final long serialVersionUID = 1L;
  private static final int TOO_MANY_REQUESTS = 429;
  private static final int SERVER_ERRORS = 500;

  /** Of HTTP; 0 if there was no answer. */
  private final int status;

  /** By id. */
  private final TreeMap<Integer, String> deviceErrors;

  private ZeusdException(
      int status, String message, Map<Integer, String> deviceErrors, Throwable cause) {
    super(message, cause);
    this.status = status;
    this.deviceErrors = new TreeMap<>(deviceErrors);
  }

  /** The daemon was not reached, or its answer could not be understood. */
  static ZeusdException unreachable(String message, Throwable cause) {
    return new ZeusdException(0, message, Map.of(), cause);
  }

  /** The daemon answered this. */
  static ZeusdException refused(int status, String message) {
    return new ZeusdException(status, message, Map.of(), null);
  }

  /** The daemon answered this of devices. */
  static ZeusdException ofDevices(int status, String kind, Map<Integer, String> deviceErrors) {
    StringBuilder message = new StringBuilder();
    deviceErrors.forEach(
        (id, error) ->
            message
                .append(message.isEmpty() ? "" : "; ")
                .append(kind)
                .append(' ')
                .append(id)
                .append(": ")
                .append(error));
    return new ZeusdException(status, message.toString(), deviceErrors, null);
  }

  /** {@return the HTTP status of the answer; empty if there was none that could be understood} */
  public OptionalInt status() {
    return status == 0 ? OptionalInt.empty() : OptionalInt.of(status);
  }

  /** {@return what went wrong with each device, by its id; empty if it was not about devices} */
  public Map<Integer, String> deviceErrors() {
    return Map.copyOf(deviceErrors);
  }

  /**
   * {@return whether the same may work in a moment: no answer, too many requests, or trouble over
   * there}
   */
  public boolean isTransient() {
    return status == 0 || status == TOO_MANY_REQUESTS || status >= SERVER_ERRORS;
  }
}
