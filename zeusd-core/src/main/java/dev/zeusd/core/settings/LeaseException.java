package dev.zeusd.core.settings;

import dev.zeusd.core.NodeException;
import dev.zeusd.core.device.DeviceException;
import java.util.Map;
import java.util.TreeMap;

/** Why a lease cannot be had or used; the message is for users. */
public abstract sealed class LeaseException extends NodeException {
  private static final long serialVersionUID = 1L;

  private LeaseException(String message, Throwable cause) {
    super(message, cause);
  }

  /** Somebody else's lease holds a setting. */
  public static final class Held extends LeaseException {
    private static final long serialVersionUID = 1L;

    /** Who has the lease, in words. */
    private final String holder;

    /** How long it lasts if it is not renewed. */
    private final long expiresInMs;

    Held(String message, String holder, long expiresInMs) {
      super(message, null);
      this.holder = holder;
      this.expiresInMs = expiresInMs;
    }

    /** {@return who has it, in words} */
    public String holder() {
      return holder;
    }

    /** {@return how long that lease lasts if it is not renewed, in ms} */
    public long expiresInMs() {
      return expiresInMs;
    }
  }

  /** There is no such lease, or not any more. */
  public static final class Ended extends LeaseException {
    private static final long serialVersionUID = 1L;

    Ended(String message) {
      super(message, null);
    }
  }

  /** Leases are closed, or the thread that waits for one was interrupted. */
  public static final class Stopping extends LeaseException {
    private static final long serialVersionUID = 1L;

    Stopping(String message) {
      super(message, null);
    }
  }

  /** The lease is good, but not for this. */
  public static final class NotCovered extends LeaseException {
    private static final long serialVersionUID = 1L;

    NotCovered(String message) {
      super(message, null);
    }
  }

  /** What would have to be put back cannot be written down. */
  public static final class NotSaved extends LeaseException {
    private static final long serialVersionUID = 1L;

    NotSaved(String message, Throwable cause) {
      super(message, cause);
    }
  }

  /** GPUs that do not say what their settings are. */
  public static final class Unreadable extends LeaseException {
    private static final long serialVersionUID = 1L;

    private final transient Map<Integer, DeviceException> failures;

    Unreadable(Map<Integer, DeviceException> failures) {
      super("no lease, since GPUs do not answer: " + failures, null);
      this.failures = new TreeMap<>(failures);
    }

    /** {@return why, by id} */
    public Map<Integer, DeviceException> failures() {
      return Map.copyOf(failures);
    }
  }
}
