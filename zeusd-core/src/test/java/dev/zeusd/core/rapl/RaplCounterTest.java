package dev.zeusd.core.rapl;

import static dev.zeusd.core.rapl.RaplFault.FORBIDDEN;
import static dev.zeusd.core.rapl.RaplTree.TYPICAL_RANGE_UJ;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.TestLog;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.EnergyReading;
import dev.zeusd.core.kernel.BootClock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import java.util.Random;
import java.util.logging.Level;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class RaplCounterTest {
  private static final long SECOND = 1_000_000_000L;
  private static final long JOULE = 1_000_000L;

  private RaplTree.Zone zone;
  private RaplCounter counter;
  private long now = Long.MAX_VALUE - 30 * SECOND; // nanoTime may overflow at any time
  private long slept = 3 * SECOND;

  private final BootClock clock =
      new BootClock() {
        @Override
        public long nanos() {
          return now;
        }

        @Override
        public long sleptNanos() {
          return slept;
        }
      };

  @BeforeEach
  void open(@TempDir Path dir) {
    zone = new RaplTree(dir).zone(0, "package-0");
    counter = new RaplCounter(zone.dir(), 1, clock, SavedCounters.none());
  }

  @AfterEach
  void close() {
    counter.close();
  }

  private EnergyReading after(long nanos, long rawUj) {
    now += nanos;
    zone.energy(rawUj);
    return counter.read();
  }

  private long energyAfter(long nanos, long rawUj) {
    return after(nanos, rawUj).energyUj();
  }

  @Test
  void startsAtTheRawCounterAndFollowsIt() {
    assertEquals(5_000 * JOULE, energyAfter(0, 5_000 * JOULE));
    assertEquals(5_050 * JOULE, energyAfter(SECOND, 5_050 * JOULE));
    assertEquals(5_050 * JOULE, energyAfter(SECOND, 5_050 * JOULE));
  }

  @Test
  void eachReadingCarriesTheTimeOfItsRead() {
    EnergyReading first = after(0, 100 * JOULE);
    EnergyReading second = after(350_000_000, 100 * JOULE + 17_500_000);
    assertEquals(now, second.readNanos());
    assertEquals(OptionalLong.of(50_000), second.powerMwSince(first));
  }

  @Test
  void addsTheRangeAtEachWrap() {
    long start = TYPICAL_RANGE_UJ - 20 * JOULE;
    energyAfter(0, start);
    assertEquals(start + 50 * JOULE, energyAfter(SECOND, 30 * JOULE));
    energyAfter(300 * SECOND, start);
    assertEquals(start + TYPICAL_RANGE_UJ + 50 * JOULE, energyAfter(SECOND, 30 * JOULE));
  }

  @Test
  void aWrapAfterLongSilenceIsPlausibleWhateverTheValues() {
    energyAfter(0, 200_000 * JOULE);
    long wrapped = TYPICAL_RANGE_UJ + 199_000 * JOULE;
    assertEquals(wrapped, energyAfter(300 * SECOND, 199_000 * JOULE));
  }

  @Test
  void aResetAddsNothingAndCountingGoesOn() {
    EnergyReading before = after(0, 100_000 * JOULE);
    EnergyReading reset = after(SECOND, 7 * JOULE);
    assertEquals(100_000 * JOULE, reset.energyUj());
    assertEquals(OptionalLong.empty(), reset.powerMwSince(before), "power is not known");
    EnergyReading later = after(SECOND, 57 * JOULE);
    assertEquals(100_050 * JOULE, later.energyUj());
    assertEquals(OptionalLong.of(50_000), later.powerMwSince(reset));
  }

  @Test
  void aResetBetweenTwoGuardReadsAddsNothing() {
    energyAfter(0, 100_000 * JOULE);
    assertEquals(100_000 * JOULE, energyAfter(counter.maxSilenceNanos(), 0));
  }

  @Test
  void whatPassesForAWrapAddsNoMoreThanCouldHaveBeenUsed() {
    // A reset from 40 J below the top cannot be told from a wrap.
    long start = TYPICAL_RANGE_UJ - 40 * JOULE;
    energyAfter(0, start);
    assertEquals(start + 40 * JOULE, energyAfter(SECOND / 10, 0));
  }

  @Test
  void theImpliedPowerDecides() {
    long start = TYPICAL_RANGE_UJ - 1_000 * JOULE;
    energyAfter(0, start);
    assertEquals(start, energyAfter(SECOND / 10, 0), "10 kW");
    energyAfter(300 * SECOND, start);
    long before = energyAfter(SECOND, start);
    assertEquals(before + 1_000 * JOULE, energyAfter(SECOND, 0), "1 kW");
  }

  @Test
  void aValueAboveTheRangeIsNoWrap() {
    zone.range(1_000 * JOULE);
    energyAfter(0, 2_000 * JOULE);
    assertEquals(2_000 * JOULE, energyAfter(SECOND, JOULE));
  }

  @Test
  void aLeapAddsNothingAndCountingGoesOn() {
    EnergyReading before = after(0, 1_000 * JOULE);
    EnergyReading leap = after(SECOND, 50_000 * JOULE);
    assertEquals(1_000 * JOULE, leap.energyUj(), "49 kW");
    assertEquals(OptionalLong.empty(), leap.powerMwSince(before), "power is not known");
    assertEquals(1_050 * JOULE, energyAfter(SECOND, 50_050 * JOULE));
    after(SECOND, Long.MAX_VALUE);
    assertEquals(1_050 * JOULE, energyAfter(SECOND, 50_100 * JOULE), "and back");
    assertEquals(1_100 * JOULE, energyAfter(SECOND, 50_150 * JOULE));
  }

  @Test
  void whatWasUsedWhileNobodyReadIsNoLeap() {
    energyAfter(0, 1_000 * JOULE);
    assertEquals(200_000 * JOULE, energyAfter(150 * SECOND, 200_000 * JOULE));
    assertEquals(205_000 * JOULE, energyAfter(SECOND, 205_000 * JOULE), "5 kW");
  }

  @Test
  void aReplacedCounterHasItsOwnRange() throws IOException {
    energyAfter(0, 400 * JOULE);
    zone.removeEnergy();
    zone.range(500 * JOULE).energy(400 * JOULE);
    now += SECOND;
    assertEquals(400 * JOULE, counter.read().energyUj());
    assertEquals(510 * JOULE, energyAfter(SECOND, 10 * JOULE), "wrapped at 500 J");
  }

  @Test
  void theGuardReadsTwicePerWrapAtOneKilowatt() {
    counter.read();
    assertEquals(TYPICAL_RANGE_UJ / 2, counter.maxSilenceNanos(), "131 s");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"0", "1", "1000", "9223372036854775807", "18446744073709551615", "", "-1", "x"})
  void anOddRangeCostsWrapsAndNoMore(String range) throws IOException {
    Files.writeString(zone.dir().resolve("max_energy_range_uj"), range);
    try (TestLog log = new TestLog(RaplCounter.class.getName())) {
      assertEquals(100 * JOULE, energyAfter(0, 100 * JOULE));
      assertEquals(150 * JOULE, energyAfter(SECOND, 150 * JOULE));
      assertEquals(150 * JOULE, energyAfter(SECOND, 0), "no wrap, whose range is unknown");
      assertEquals(160 * JOULE, energyAfter(100 * SECOND, 10 * JOULE));
      assertTrue(log.lines(Level.WARNING).size() <= 1, log.lines(Level.WARNING).toString());
    }
    assertTrue(counter.maxSilenceNanos() >= SECOND);
    assertTrue(counter.maxSilenceNanos() <= 600 * SECOND);
  }

  @ParameterizedTest
  @EnumSource
  @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aFaultyFileFailsByNameAndHeals(RaplFault fault) throws IOException {
    energyAfter(0, 100 * JOULE);
    fault.applyTo(zone);
    for (int i = 0; i < 2; i++) {
      DeviceException e = assertThrows(DeviceException.class, counter::read);
      // Without its zone it may be the range that is missed first.
      assertTrue(e.getMessage().contains(zone.dir().toString()), e.getMessage());
      assertTrue(fault == FORBIDDEN || e instanceof DeviceException.Failed, e.toString());
    }
    zone.restore(150 * JOULE);
    now += SECOND;
    assertEquals(150 * JOULE, counter.read().energyUj());
    assertEquals(160 * JOULE, energyAfter(SECOND, 160 * JOULE));
    assertEquals(1, openFiles());
  }

  @ParameterizedTest
  @EnumSource
  @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aFaultyRangeIsLoggedOnceAndHeals(RaplFault fault) throws IOException {
    Path range = zone.dir().resolve("max_energy_range_uj");
    fault.replace(range);
    long start = TYPICAL_RANGE_UJ - 20 * JOULE;
    try (TestLog log = new TestLog(RaplCounter.class.getName())) {
      for (int i = 0; i < 20; i++) {
        assertEquals(start, energyAfter(SECOND, start));
      }
      assertTrue(log.lines(Level.WARNING).getFirst().contains(range.toString()));
      assertEquals(1, log.lines(Level.WARNING).size());
      Files.deleteIfExists(range);
      zone.range(TYPICAL_RANGE_UJ);
      assertEquals(start, energyAfter(11 * SECOND, start));
      assertEquals(List.of(range + " can be used again"), log.lines(Level.INFO));
    }
    assertEquals(TYPICAL_RANGE_UJ / 2, counter.maxSilenceNanos());
    assertEquals(start + 50 * JOULE, energyAfter(SECOND, 30 * JOULE), "wrapped");
  }

  private long energyAfterSleep(long sleepNanos, long rawUj) {
    slept += sleepNanos;
    return energyAfter(sleepNanos + SECOND / 10, rawUj);
  }

  @Test
  void whatIsUsedInSleepCounts() {
    EnergyReading before = after(0, 1_000 * JOULE);
    slept += 3600 * SECOND;
    EnergyReading woken = after(3600 * SECOND, 29_800 * JOULE);
    assertEquals(29_800 * JOULE, woken.energyUj(), "8 W for an hour");
    assertEquals(OptionalLong.of(8_000), woken.powerMwSince(before));
    assertEquals(29_850 * JOULE, energyAfter(SECOND, 29_850 * JOULE));
  }

  @Test
  void aCounterMayWrapInSleep() {
    long start = 200_000 * JOULE;
    energyAfter(0, start);
    assertEquals(
        start + TYPICAL_RANGE_UJ - 100_000 * JOULE,
        energyAfterSleep(36_000 * SECOND, start - 100_000 * JOULE));
  }

  @Test
  void aCounterThatBeginsAnewInSleepMakesNothingUp() {
    energyAfter(0, 200_000 * JOULE);
    assertEquals(200_000 * JOULE, energyAfterSleep(36_000 * SECOND, 2 * JOULE));
    assertEquals(200_050 * JOULE, energyAfter(SECOND, 52 * JOULE));
  }

  @Test
  void sleepExplainsNoLeap() {
    energyAfter(0, 1_000 * JOULE);
    assertEquals(1_000 * JOULE, energyAfterSleep(60 * SECOND, 100_000 * JOULE), "1.6 kW asleep");
  }

  @Test
  void aFileThatIsReplacedIsFollowed() throws IOException {
    energyAfter(0, 100 * JOULE);
    Path other = zone.dir().resolve("other");
    Files.writeString(other, 130 * JOULE + "\n");
    Files.move(other, zone.energyFile(), StandardCopyOption.ATOMIC_MOVE);
    now += SECOND;
    assertEquals(130 * JOULE, counter.read().energyUj());
    assertEquals(140 * JOULE, energyAfter(SECOND, 140 * JOULE));
  }

  /** Faults that need no process to make. */
  private static final RaplFault[] QUICK_FAULTS =
      Arrays.stream(RaplFault.values())
          .filter(fault -> fault != RaplFault.FIFO)
          .toArray(RaplFault[]::new);

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void noUseIsLostInFaultsAndWraps(long seed) throws IOException {
    Random random = new Random(seed);
    long usedUj = random.nextLong(TYPICAL_RANGE_UJ);
    zone.energy(usedUj);
    assertEquals(usedUj, counter.read().energyUj());
    for (int step = 0; step < 500; step++) {
      // Two in a row are within the guard's period.
      long nanos = random.nextLong(TYPICAL_RANGE_UJ / 4);
      now += nanos;
      usedUj += nanos / 1000 * random.nextLong(600);
      if (step % 2 == 0) {
        QUICK_FAULTS[random.nextInt(QUICK_FAULTS.length)].applyTo(zone);
        assertThrows(DeviceException.class, counter::read);
        zone.restore(usedUj % TYPICAL_RANGE_UJ);
      } else {
        assertEquals(usedUj, energyAfter(0, usedUj % TYPICAL_RANGE_UJ), "step " + step);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void whateverTheCounterSaysEnergyNeverFallsNorGrowsBeyondReason(long seed) {
    Random random = new Random(seed);
    long last = energyAfter(0, random.nextLong(TYPICAL_RANGE_UJ));
    for (int step = 0; step < 1000; step++) {
      long nanos = random.nextLong(SECOND);
      // Of any size, and beyond the range.
      EnergyReading reading = after(nanos, random.nextLong() >>> 1 + random.nextInt(62));
      assertTrue(reading.energyUj() >= last, "step " + step);
      long mostUj = 10 * (nanos + 100 * JOULE) + 10;
      assertTrue(reading.energyUj() - last <= mostUj, "step " + step);
      last = reading.energyUj();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "\n",
        "garbage\n",
        "-5\n",
        "12 34\n",
        "1.5",
        "0x10",
        "99999999999999999999",
        "9223372036854775808",
        "1234567890123456789012345678901234567890"
      })
  void garbageFailsByNameAndHeals(String text) {
    energyAfter(0, 100 * JOULE);
    zone.energyText(text);
    DeviceException e = assertThrows(DeviceException.Failed.class, counter::read);
    assertTrue(e.getMessage().contains(zone.energyFile().toString()), e.getMessage());
    assertEquals(150 * JOULE, energyAfter(SECOND, 150 * JOULE));
  }

  /** Nothing could be added to it. */
  @Test
  void aFirstValueThatCannotBeFailsByNameAndHeals() {
    zone.energyText("9223372036854775807");
    DeviceException e = assertThrows(DeviceException.Failed.class, counter::read);
    assertTrue(e.getMessage().contains(zone.energyFile().toString()), e.getMessage());
    assertEquals(150 * JOULE, energyAfter(SECOND, 150 * JOULE));
  }

  @ParameterizedTest
  @ValueSource(strings = {"42", "42\n", "0042\n", "42 \r\n"})
  void numbersAreReadWithAndWithoutDecoration(String text) {
    zone.energyText(text);
    assertEquals(42, counter.read().energyUj());
  }

  @Test
  void theFileIsOpenedAtTheFirstReadAndOnlyOnce() throws IOException {
    assertEquals(0, openFiles());
    for (int i = 0; i < 1000; i++) {
      energyAfter(SECOND / 1000, (i / 2) * JOULE / 100);
      zone.range(TYPICAL_RANGE_UJ);
    }
    assertEquals(1, openFiles());
    zone.removeEnergy();
    assertThrows(DeviceException.class, counter::read);
    assertEquals(0, openFiles());
    energyAfter(0, 0);
    counter.close();
    assertEquals(0, openFiles());
  }

  /** How many files of the zone this process has open. */
  private long openFiles() throws IOException {
    try (Stream<Path> descriptors = Files.list(Path.of("/proc/self/fd"))) {
      List<Path> all = descriptors.toList();
      return all.stream().filter(this::isInZone).count();
    }
  }

  private boolean isInZone(Path descriptor) {
    try {
      return Files.readSymbolicLink(descriptor).startsWith(zone.dir().toRealPath());
    } catch (IOException e) {
      return false; // closed meanwhile
    }
  }
}
