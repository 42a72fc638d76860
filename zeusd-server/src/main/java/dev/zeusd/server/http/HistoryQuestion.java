package dev.zeusd.server.http;

import dev.zeusd.core.history.TimeSteps;
import io.helidon.http.BadRequestException;
import java.util.OptionalLong;
import java.util.Set;

/**
 * Of which time somebody wants to know the power; all in ms, and since 1970.
 *
 * @param fromMs when the first step begins; left out: with the oldest reading
 * @param toMs when the last one ends; left out: now
 * @param stepMs how long each is; left out: so long that an answer can be looked at
 */
record HistoryQuestion(OptionalLong fromMs, OptionalLong toMs, OptionalLong stepMs) {
  private static final String FROM_MS = "from_ms";
  private static final String TO_MS = "to_ms";
  private static final String STEP_MS = "step_ms";

  /** Of each device, where the length of a step is left out. */
  private static final int USUAL_STEPS = 500;

  /** Of all devices together; each takes some 25 bytes of the answer. */
  static final int MOST_STEPS = 100_000;

  /** What may be said. */
  static Set<String> parameters(String idsName) {
    return Set.of(idsName, FROM_MS, TO_MS, STEP_MS);
  }

  /**
   * What a query says.
   *
   * @throws BadRequestException for what makes no sense
   */
  static HistoryQuestion of(Query query) {
    HistoryQuestion asked =
        new HistoryQuestion(millis(query, FROM_MS), millis(query, TO_MS), millis(query, STEP_MS));
    if (asked.stepMs.orElse(1) < 1) {
      throw query.malformed(STEP_MS, "is less than 1");
    }
    if (asked.fromMs.orElse(0) > asked.toMs.orElse(Long.MAX_VALUE)) {
      throw query.malformed(TO_MS, "is before " + FROM_MS);
    }
    return asked;
  }

  private static OptionalLong millis(Query query, String name) {
    return query.optional(name).isPresent()
        ? OptionalLong.of(query.millis(name))
        : OptionalLong.empty();
  }

  /**
   * The steps of an answer: those that were asked for, but for what is before the oldest reading
   * and after now.
   *
   * @param periodMs between two readings
   * @param devices how many an answer has
   * @throws BadRequestException if they are too many
   */
  TimeSteps steps(long oldestMs, long nowMs, long periodMs, int devices) {
    long wantedMs = fromMs.orElse(oldestMs);
    long endMs = Math.min(toMs.orElse(Long.MAX_VALUE), nowMs + 1);
    long shownMs = Math.max(0, endMs - Math.max(wantedMs, oldestMs));
    long step = stepMs.orElse(Math.max(periodMs, shownMs / USUAL_STEPS + 1));
    long beginMs = wantedMs + Math.max(0, oldestMs - wantedMs) / step * step;
    long count = Math.max(0, endMs - beginMs + step - 1) / step;
    if (count * devices > MOST_STEPS) {
      throw new BadRequestException(
          "%d steps of %d devices are more than the %d that an answer has room for; ask for longer steps (%s), less time or fewer devices"
              .formatted(count, devices, MOST_STEPS, STEP_MS));
    }
    return new TimeSteps(beginMs, step, (int) count);
  }
}
