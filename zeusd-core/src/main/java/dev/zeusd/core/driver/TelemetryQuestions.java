package dev.zeusd.core.driver;

import dev.zeusd.core.device.GpuTelemetry;
import dev.zeusd.core.device.GpuTelemetry.OfInstance;
import dev.zeusd.core.device.GpuTelemetry.Reading;
import dev.zeusd.core.device.ThrottleReason;
import dev.zeusd.ffm.driver.DriverException;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Asks a GPU how it is doing, once, question by question: one that fails costs no other, but a GPU
 * that cannot be reached is not asked any further. For one thread.
 */
public final class TelemetryQuestions {
  private final Map<Reading, Long> readings = new EnumMap<>(Reading.class);

  /** The first, or null. */
  private DriverException failure;

  /** Nothing is asked yet. */
  public TelemetryQuestions() {}

  /** Asks for one reading. */
  public void put(Reading reading, Question<Long> question) throws DriverException {
    ask(question).ifPresent(value -> put(reading, value));
  }

  /** Takes what came with another answer. */
  public void put(Reading reading, long value) {
    readings.put(reading, value);
  }

  /** Whether it is known by now. */
  public boolean has(Reading reading) {
    return readings.containsKey(reading);
  }

  /** Asks for anything; empty if that fails. */
  public <T> Optional<T> ask(Question<T> question) throws DriverException {
    try {
      return Optional.of(question.ask());
    } catch (DriverException e) {
      if (e.kind() == DriverException.Kind.GONE) {
        throw e;
      }
      failure = failure == null ? e : failure;
      return Optional.empty();
    }
  }

  /**
   * All answers.
   *
   * @throws DriverException what failed first, if nothing was told at all
   */
  public GpuTelemetry answers(
      Optional<Set<ThrottleReason>> reasons, Optional<List<OfInstance>> migInstances)
      throws DriverException {
    if (failure != null && readings.isEmpty() && reasons.isEmpty()) {
      throw failure;
    }
    return new GpuTelemetry(readings, reasons, migInstances);
  }
}
