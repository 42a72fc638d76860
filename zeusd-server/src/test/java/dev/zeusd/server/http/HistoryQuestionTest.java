package dev.zeusd.server.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.history.TimeSteps;
import io.helidon.http.BadRequestException;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

class HistoryQuestionTest {
  private static final long OLDEST_MS = 1_000_000;
  private static final long NOW_MS = 1_600_000;
  private static final OptionalLong LEFT_OUT = OptionalLong.empty();

  private static TimeSteps steps(OptionalLong from, OptionalLong to, OptionalLong step) {
    return new HistoryQuestion(from, to, step).steps(OLDEST_MS, NOW_MS, 50, 4);
  }

  private static OptionalLong ms(long ms) {
    return OptionalLong.of(ms);
  }

  @Test
  void isAboutAllThatThereIs() {
    TimeSteps all = steps(LEFT_OUT, LEFT_OUT, LEFT_OUT);
    assertEquals(OLDEST_MS, all.fromMs());
    assertTrue(all.toMs() > NOW_MS && all.toMs() <= NOW_MS + all.stepMs(), all::toString);
    assertTrue(all.count() <= 500 && all.count() > 490, all::toString);
  }

  @Test
  void stepsAreNoShorterThanThePeriodUnlessThatIsAskedFor() {
    assertEquals(new TimeSteps(NOW_MS - 199, 50, 4), steps(ms(NOW_MS - 199), LEFT_OUT, LEFT_OUT));
    assertEquals(new TimeSteps(NOW_MS - 199, 1, 200), steps(ms(NOW_MS - 199), LEFT_OUT, ms(1)));
  }

  @Test
  void leavesOutWhatIsNotThere() {
    assertEquals(
        new TimeSteps(OLDEST_MS - 3, 7000, 86), steps(ms(OLDEST_MS - 70_003), LEFT_OUT, ms(7000)));
    assertEquals(
        new TimeSteps(OLDEST_MS, 1000, 2), steps(LEFT_OUT, ms(OLDEST_MS + 1001), ms(1000)));
    assertEquals(0, steps(ms(0), ms(OLDEST_MS), ms(1000)).count());
    assertEquals(0, steps(LEFT_OUT, ms(OLDEST_MS - 1), LEFT_OUT).count());
    assertEquals(0, steps(ms(NOW_MS + 5), LEFT_OUT, LEFT_OUT).count());
    assertEquals(1, steps(ms(NOW_MS), ms(999_999_999_999_999L), ms(999_999_999_999_999L)).count());
  }

  @Test
  void anAnswerHasAnEnd() {
    assertEquals(25_000, steps(ms(NOW_MS - 24_999), LEFT_OUT, ms(1)).count());
    String refusal =
        assertThrows(BadRequestException.class, () -> steps(ms(NOW_MS - 25_000), LEFT_OUT, ms(1)))
            .getMessage();
    assertTrue(refusal.startsWith("25001 steps of 4 devices"), refusal);
    assertThrows(BadRequestException.class, () -> steps(ms(0), LEFT_OUT, ms(1)));
  }
}
