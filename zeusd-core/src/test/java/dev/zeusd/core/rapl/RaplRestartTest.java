package dev.zeusd.core.rapl;

import static dev.zeusd.core.rapl.RaplTree.TYPICAL_RANGE_UJ;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.StateDirectory;
import dev.zeusd.core.kernel.BootClock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Counters over restarts of the process, in a time of the test's own and with real files. */
class RaplRestartTest {
  private static final long SECOND = 1_000_000_000L;
  private static final long JOULE = 1_000_000L;

  /** What a killed process may have told and not saved, at most. */
  private static final long MOST_UNSAVED_UJ = 4_000 * JOULE;

  private Path stateDir;
  private RaplTree.Zone zone;
  private SavedCounters saved;
  private RaplCounter counter;
  private long now = 1_000 * SECOND;

  @BeforeEach
  void open(@TempDir Path dir) {
    zone = new RaplTree(dir.resolve("rapl")).zone(0, "package-0");
    stateDir = dir.resolve("state");
    start();
  }

  private void start() {
    saved = new SavedCounters(StateDirectory.open(stateDir, "this fails"));
    counter = new RaplCounter(zone.dir(), 1, BootClock.of(() -> now), saved);
  }

  /** As SIGKILL does: the next process finds what is on the disk by now. */
  private void kill() throws IOException {
    Path next = stateDir.resolveSibling(stateDir.getFileName() + "-");
    Files.createDirectories(
        next, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    Files.copy(stateDir.resolve("cpu-energy"), next.resolve("cpu-energy"));
    stop();
    stateDir = next;
  }

  /** The same after what was to be saved soon has been: this test's time is not the disk's. */
  private void killAfterWrites() throws IOException {
    saved.close();
    kill();
  }

  @AfterEach
  void stop() {
    counter.close();
    saved.close();
  }

  private long told(long nanosLater, long rawUj) {
    now += nanosLater;
    zone.energy(rawUj);
    return counter.readToTell().energyUj();
  }

  /** A disk that was full, for one. */
  @Test
  void whatCouldNotBeSavedIsSavedWhenThatIsPossible() throws IOException {
    Path inTheWay = Files.createDirectories(stateDir.resolve(".cpu-energy.new/in-the-way"));
    told(0, 7 * JOULE);
    assertFalse(Files.exists(stateDir.resolve("cpu-energy")));
    Files.delete(inTheWay);
    saved.close();
    assertTrue(Files.exists(stateDir.resolve("cpu-energy")));
  }

  @Test
  void energyGoesOnThroughWrapsAndRestarts() {
    long start = TYPICAL_RANGE_UJ - 50 * JOULE;
    assertEquals(start, told(0, start));
    assertEquals(TYPICAL_RANGE_UJ + 50 * JOULE, told(SECOND, 50 * JOULE));
    stop();
    start();
    assertTrue(counter.isContinued());
    assertEquals(TYPICAL_RANGE_UJ + 90 * JOULE, told(SECOND, 90 * JOULE));
    assertEquals(TYPICAL_RANGE_UJ + start, told(250 * SECOND, start));
    stop();
    start();
    assertEquals(2 * TYPICAL_RANGE_UJ + 10 * JOULE, told(SECOND, 10 * JOULE), "wrapped while down");
  }

  @Test
  void aFirstProcessOnABootStartsAtTheHardwaresValue() {
    assertTrue(!counter.isContinued());
    assertEquals(7 * JOULE, told(0, 7 * JOULE));
  }

  @Test
  void powerAloneSavesNothing() {
    zone.energy(7 * JOULE);
    counter.read();
    stop();
    assertTrue(!Files.exists(stateDir.resolve("cpu-energy")));
  }

  @Test
  void aKilledProcessIsGoneOnFromExactly() throws IOException {
    long start = TYPICAL_RANGE_UJ - 50 * JOULE;
    told(0, start);
    assertEquals(TYPICAL_RANGE_UJ + 50 * JOULE, told(SECOND, 50 * JOULE));
    assertEquals(TYPICAL_RANGE_UJ + 900 * JOULE, told(SECOND, 900 * JOULE));
    kill();
    start();
    assertEquals(TYPICAL_RANGE_UJ + 950 * JOULE, told(SECOND, 950 * JOULE));
  }

  @Test
  void aWrapThatNobodySawWhileDownIsCounted() throws IOException {
    told(0, 200_000 * JOULE);
    told(SECOND, 200_500 * JOULE);
    kill();
    start();
    assertEquals(TYPICAL_RANGE_UJ + 60_000 * JOULE, told(200 * SECOND, 60_000 * JOULE));
  }

  @Test
  void aResetWhileDownNeverMakesEnergyFall() throws IOException {
    told(0, 100_000 * JOULE);
    long last = told(SECOND, 100_600 * JOULE);
    kill();
    start();
    long first = told(SECOND, 3 * JOULE);
    assertTrue(first >= last && first <= last + MOST_UNSAVED_UJ, first + " after " + last);
    assertEquals(first + 50 * JOULE, told(SECOND, 53 * JOULE));
    // Of which those who sum up take nothing for energy that was used; nor do later processes.
    assertEquals(100_050 * JOULE, counter.read().countedUj());
    stop();
    start();
    assertEquals(first + 60 * JOULE, told(SECOND, 63 * JOULE));
    assertEquals(100_060 * JOULE, counter.read().countedUj());
  }

  @Test
  void afterAnOrderlyEndAResetAddsNothing() {
    told(0, 100_000 * JOULE);
    stop();
    start();
    assertEquals(100_000 * JOULE, told(SECOND, 3 * JOULE));
  }

  @Test
  void downForLongerThanAWrapTakesNeverMakesEnergyFall() throws IOException {
    told(0, 100_000 * JOULE);
    long last = told(SECOND, 100_600 * JOULE);
    kill();
    start();
    // It went around, and stopped between what was saved and what was told.
    long first = told(10_000 * SECOND, 100_300 * JOULE);
    assertTrue(first >= last && first <= last + MOST_UNSAVED_UJ, first + " after " + last);
  }

  /** Who measures has to know whether there may be more. */
  @ParameterizedTest
  @CsvSource({"200, 0", "300, 1", "100000, 1"})
  void downForLongerThanAWrapTakesIsTold(long seconds, int resets) {
    told(0, 100_000 * JOULE);
    stop();
    start();
    told(seconds * SECOND, 100_300 * JOULE);
    assertEquals(resets, counter.read().resets());
  }

  @Test
  void anotherCounterInThatPlaceIsNotCompared() {
    told(0, 100_000 * JOULE);
    stop();
    zone.range(65_000 * JOULE);
    start();
    assertEquals(100_000 * JOULE, told(SECOND, 60_000 * JOULE));
    assertEquals(100_100 * JOULE, told(SECOND, 60_100 * JOULE));
  }

  @Test
  void aRangeThatCannotBeReadCostsNothingBetweenTwoWraps() throws IOException {
    Path range = zone.dir().resolve("max_energy_range_uj");
    told(0, 100_000 * JOULE);
    Files.delete(range);
    kill();
    start();
    assertEquals(100_020 * JOULE, told(SECOND, 100_020 * JOULE));
    zone.range(TYPICAL_RANGE_UJ);
    kill();
    start();
    assertEquals(100_050 * JOULE, told(SECOND, 100_050 * JOULE));
  }

  @Test
  void damagedStateCostsTheStateOnly() throws IOException {
    told(0, 100_000 * JOULE);
    stop();
    StateDirectory.open(stateDir, "").orElseThrow().write("cpu-energy", List.of("a 1 2 x"));
    start();
    assertEquals(5 * JOULE, told(SECOND, 5 * JOULE));
    assertTrue(Files.exists(stateDir.resolve("cpu-energy.damaged")));
  }

  @Test
  void manyRequestsAreFewWrites() throws Exception {
    told(0, 0);
    long before = Files.getLastModifiedTime(stateDir.resolve("cpu-energy")).toMillis();
    int writes = 0;
    long startNanos = System.nanoTime();
    for (int i = 1; i <= 200; i++) {
      told(SECOND / 10, 50 * i * JOULE);
      long modified = Files.getLastModifiedTime(stateDir.resolve("cpu-energy")).toMillis();
      writes += modified != before ? 1 : 0;
      before = modified;
    }
    long seconds = (System.nanoTime() - startNanos) / SECOND;
    assertTrue(writes <= 2 + seconds / 2, writes + " writes in s: " + seconds);
    stop();
    start();
    assertEquals(10_050 * JOULE, told(SECOND, 10_050 * JOULE));
  }

  @Test
  void withoutAPlaceItCountsAllTheSame() throws IOException {
    stop();
    Files.createDirectories(stateDir.getParent());
    if (Files.exists(stateDir)) {
      Files.deleteIfExists(stateDir.resolve(".lock"));
      Files.delete(stateDir);
    }
    Files.writeString(stateDir, "in the way");
    start();
    assertEquals(JOULE, told(0, JOULE));
    assertEquals(2 * JOULE, told(SECOND, 2 * JOULE));
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void toldEnergyNeverFallsWhateverHappens(long seed) throws Exception {
    Random random = new Random(seed);
    long usedUj = random.nextLong(TYPICAL_RANGE_UJ);
    long last = told(0, usedUj);
    for (int step = 0; step < 200; step++) {
      long nanos =
          random.nextInt(20) == 0 ? random.nextLong(3000 * SECOND) : random.nextLong(SECOND);
      usedUj += nanos / 1000 * random.nextLong(400);
      switch (random.nextInt(20)) {
        case 0 -> usedUj = 0; // a reset
        case 1, 2 -> {
          killAfterWrites();
          start();
        }
        case 3 -> {
          stop();
          start();
        }
        default -> {}
      }
      long energyUj = told(nanos, usedUj % TYPICAL_RANGE_UJ);
      assertTrue(energyUj >= last, "step " + step + ": " + energyUj + " after " + last);
      last = energyUj;
    }
  }

  @Test
  void aProcessThatIsKilledWhileItWritesLeavesAWholeFile() throws Exception {
    told(0, JOULE);
    Files.writeString(stateDir.resolve(".cpu-energy.new"), "half of a li");
    told(200 * SECOND, 3 * JOULE);
    Await.until("written", () -> !Files.exists(stateDir.resolve(".cpu-energy.new")));
    kill();
    start();
    assertEquals(4 * JOULE, told(SECOND, 4 * JOULE));
  }
}
