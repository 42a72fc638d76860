package dev.zeusd.core.energy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.zeusd.core.energy.Tally.Kind;
import dev.zeusd.core.energy.Tally.State;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What one reading after another adds. */
class TallyTest {
  private static final long SECOND = TimeUnit.SECONDS.toNanos(1);

  private static State after(Tally tally) {
    return tally.state().orElseThrow();
  }

  /** Of two readings that are two seconds apart. */
  @ParameterizedTest
  @CsvSource({
    // Counted on, and stood still.
    "GPU_COUNTER, 1000, 1500, 500000, 0",
    "GPU_COUNTER, 1000, 1000, 0, 0",
    // Wrapped at 64 bits; no driver counts in 32.
    "GPU_COUNTER, -100, 400, 500000, 0",
    "GPU_COUNTER, 4294967196, 400, 400000, 2",
    // Unsteady: what it has gone back is not used twice.
    "GPU_COUNTER, 5000000, 4999980, -20000, 0",
    // Reset: what was counted since is what is known.
    "GPU_COUNTER, 4000000000, 700, 700000, 2",
    "GPU_COUNTER, 500000000000, 700, 700000, 2",
    // Neither can be: 4 GJ in two seconds, or a reset to it.
    "GPU_COUNTER, 1000, 4000000000000, 0, 2",
    "GPU_COUNTER, 4000000000000, 3000000000000, 0, 2",
    // Wraps are the counter's affair.
    "CPU_COUNTER, 1000, 1500, 500, 0",
    "CPU_COUNTER, 1000, 900, 0, 2",
    // 100 W and then 200 W for two seconds.
    "POWER, 100000, 200000, 300000000, 0",
  })
  void addsWhatWasUsed(Kind kind, long before, long after, double energyUj, long missingSeconds) {
    Tally tally = new Tally(kind);
    tally.add(before, 5 * SECOND, true);
    tally.add(after, 7 * SECOND, true);
    State state = after(tally);
    assertEquals(energyUj, state.energyUj());
    assertEquals(missingSeconds * SECOND, state.missingNanos());
    assertEquals(missingSeconds * SECOND, state.gapNanos());
  }

  @Test
  void aCounterIsRightOverFailures() {
    Tally tally = new Tally(Kind.GPU_COUNTER);
    tally.add(1000, SECOND, true);
    tally.fail();
    tally.fail();
    tally.add(9000, 11 * SECOND, true);
    tally.add(9500, 12 * SECOND, true);
    State state = after(tally);
    assertEquals(8_500_000, state.energyUj());
    assertEquals(10 * SECOND, state.gapNanos());
    assertEquals(0, state.missingNanos());
  }

  /** However long that took, and wherever the counter stood. */
  @ParameterizedTest
  @CsvSource({"4000000000, 60", "3000000000, 600", "500000000000, 600", "2000000, 3600"})
  void aResetMakesNoEnergyUp(long beforeMj, long seconds) {
    Tally tally = new Tally(Kind.GPU_COUNTER);
    tally.add(beforeMj, SECOND, true);
    tally.fail();
    tally.add(1500, (1 + seconds) * SECOND, true);
    State state = after(tally);
    assertEquals(1_500_000, state.energyUj());
    assertEquals(seconds * SECOND, state.missingNanos());
  }

  @Test
  void aCounterThatSaysItWasResetIsNotWhole() {
    Tally tally = new Tally(Kind.CPU_COUNTER);
    tally.add(1000, SECOND, true);
    tally.add(1700, 3 * SECOND, false);
    State state = after(tally);
    assertEquals(700, state.energyUj());
    assertEquals(2 * SECOND, state.missingNanos());
  }

  @Test
  void powerThatNobodyReadIsMissing() {
    Tally tally = new Tally(Kind.POWER);
    tally.add(100_000, SECOND, true);
    tally.add(100_000, 2 * SECOND, true);
    tally.add(100_000, 62 * SECOND, true);
    tally.add(100_000, 63 * SECOND, true);
    State state = after(tally);
    assertEquals(200_000_000, state.energyUj());
    assertEquals(60 * SECOND, state.gapNanos());
    assertEquals(60 * SECOND, state.missingNanos());
  }

  @Test
  void readingsThatComeLateAreLeftOut() {
    Tally tally = new Tally(Kind.GPU_COUNTER);
    tally.add(1000, 3 * SECOND, true);
    tally.add(900, 2 * SECOND, true);
    tally.add(1000, 3 * SECOND, true);
    assertEquals(new State(0, 0, 0, 3 * SECOND, 1000), after(tally));
  }

  @ParameterizedTest
  @ValueSource(strings = {"NaN", "Infinity", "1e400", "x"})
  void whatIsNoEnergyIsNotTakenForOne(String energy) {
    List<String> words = List.of(energy, "0", "0", "1", "1");
    assertThrows(IllegalArgumentException.class, () -> State.parse(words));
  }

  /** The next process has the counter, but not the power of the time in between. */
  @ParameterizedTest
  @CsvSource({"GPU_COUNTER, 500000, 0", "POWER, 0, 1"})
  void theNextProcessGoesOn(Kind kind, double addedUj, long missingSeconds) {
    State left = new State(42, 5, 3, SECOND, 1000);
    List<String> words = List.of(left.text().split(" "));
    Tally tally = new Tally(kind, State.parse(words));
    assertEquals(left, after(tally));
    tally.add(1500, 2 * SECOND, true);
    State state = after(tally);
    assertEquals(42 + addedUj, state.energyUj());
    assertEquals(SECOND + 5, state.gapNanos());
    assertEquals(missingSeconds * SECOND + 3, state.missingNanos());
  }
}
