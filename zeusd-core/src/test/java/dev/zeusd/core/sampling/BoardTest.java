package dev.zeusd.core.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.worker.NanoClock;
import dev.zeusd.ffm.fake.ChildJvm;
import dev.zeusd.testkit.TestClock;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.jetbrains.lincheck.Lincheck;
import org.jetbrains.lincheck.LincheckAssertionError;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What is news to whom. */
@Timeout(120)
class BoardTest {
  private static final long FRESH = 100;

  private final TestClock clock = new TestClock();
  private Board<GpuPowerSample> board = Board.ofNothing(3);

  private Bookmark<GpuPowerSample> newcomer(int... devices) {
    return new Bookmark<>(devices, FRESH, clock);
  }

  private static GpuPowerSample sample(int gpu, long powerMw) {
    return new GpuPowerSample(0, gpu, powerMw);
  }

  private static Board.Entry<GpuPowerSample>[] nothing() {
    return Board.newEntries(3);
  }

  private void read(GpuPowerSample... samples) {
    clock.jump(1);
    Board.Entry<GpuPowerSample>[] read = nothing();
    for (GpuPowerSample sample : samples) {
      read[sample.gpuId()] = Board.Entry.read(sample, clock.nanoTime());
    }
    board = board.with(read);
  }

  private void fail(int gpu) {
    clock.jump(1);
    Board.Entry<GpuPowerSample>[] read = nothing();
    read[gpu] = Board.Entry.failed(clock.nanoTime());
    board = board.with(read);
  }

  @Test
  void aChangeIsNewsOnce() {
    Bookmark<GpuPowerSample> reader = newcomer(0, 1);
    assertEquals(List.of(), reader.take(board));
    read(sample(0, 10), sample(2, 30));
    assertEquals(List.of(sample(0, 10)), reader.take(board));
    assertEquals(List.of(), reader.take(board));
    read(sample(0, 10));
    assertEquals(List.of(), reader.take(board), "it shows the same");
    read(sample(1, 20));
    read(sample(0, 11));
    assertEquals(List.of(sample(0, 11), sample(1, 20)), reader.take(board));
    assertEquals(board.stamp(), reader.seenStamp());
  }

  @Test
  void whoIsSlowGetsTheLatest() {
    Bookmark<GpuPowerSample> reader = newcomer(0, 1, 2);
    read(sample(0, 1), sample(1, 1), sample(2, 1));
    reader.take(board);
    for (int power = 2; power < 50; power++) {
      read(sample(0, power), sample(1, power));
    }
    assertEquals(List.of(sample(0, 49), sample(1, 49)), reader.take(board));
  }

  @Test
  void aNewcomerIsToldWhatIsFreshAndOfTheRestTheNextRead() {
    read(sample(0, 1));
    clock.jump(FRESH);
    read(sample(1, 2));
    Bookmark<GpuPowerSample> reader = newcomer(0, 1);
    assertEquals(List.of(sample(1, 2)), reader.take(board));
    assertTrue(!reader.hasSeenAll());
    read(sample(1, 2));
    assertEquals(List.of(), reader.take(board));
    read(sample(0, 1), sample(1, 2));
    assertEquals(List.of(sample(0, 1)), reader.take(board), "steady, but not told so far");
    assertTrue(reader.hasSeenAll());
    read(sample(0, 1), sample(1, 2));
    assertEquals(List.of(), reader.take(board));
  }

  @Test
  void aDeviceThatFailsIsNotCurrentAndItsLastChangeIsNotLost() {
    Bookmark<GpuPowerSample> reader = newcomer(0);
    read(sample(0, 1));
    reader.take(board);
    read(sample(0, 2));
    fail(0);
    assertEquals(List.of(), board.current(new int[] {0}));
    assertEquals(List.of(), newcomer(0).take(board), "nothing to tell a newcomer");
    assertEquals(List.of(sample(0, 2)), reader.take(board));
    read(sample(0, 2));
    assertEquals(List.of(), reader.take(board), "healed, and as before");
    assertEquals(List.of(sample(0, 2)), newcomer(0).take(board));
    fail(1);
    fail(1);
    assertEquals(List.of(), newcomer(1).take(board));
    read(sample(1, 5));
    assertEquals(List.of(sample(1, 5)), newcomer(1).take(board));
  }

  @Test
  void anOlderReadNeverReplacesANewerOne() {
    read(sample(0, 1));
    Board.Entry<GpuPowerSample>[] late = nothing();
    late[0] = Board.Entry.read(sample(0, 7), clock.nanoTime() - 1);
    assertSame(board, board.with(late));
    assertSame(board, board.with(nothing()));
  }

  @Test
  void aDeviceThatNobodyWantedForAWhileIsNewToAll() {
    Bookmark<GpuPowerSample> reader = newcomer(0, 1);
    read(sample(0, 1), sample(1, 1));
    reader.take(board);
    board = board.without(0);
    assertEquals(List.of(), reader.take(board));
    read(sample(0, 1), sample(1, 1));
    assertEquals(List.of(sample(0, 1)), reader.take(board));
  }

  /** Against a reader that remembers every value it was told. */
  @Test
  void inWhateverOrderReadersHearOfEachDevicesLastPowerAndOfNoOtherTwice() {
    for (int seed = 0; seed < 300; seed++) {
      Random random = new Random(seed);
      board = Board.ofNothing(3);
      List<Bookmark<GpuPowerSample>> readers = new ArrayList<>();
      List<Map<Integer, Long>> told = new ArrayList<>();
      long[] power = new long[3];
      for (int step = 0; step < 200; step++) {
        int gpu = random.nextInt(3);
        switch (random.nextInt(6)) {
          case 0 -> fail(gpu);
          case 1 -> {
            readers.add(newcomer(0, 1, 2));
            told.add(new HashMap<>());
          }
          case 2, 3 -> {
            power[gpu] += random.nextInt(2);
            read(sample(gpu, power[gpu]));
          }
          default -> {
            if (!readers.isEmpty()) {
              int who = random.nextInt(readers.size());
              take(readers.get(who), told.get(who), "seed " + seed);
            }
          }
        }
      }
      read(sample(0, power[0]), sample(1, power[1]), sample(2, power[2]));
      for (int who = 0; who < readers.size(); who++) {
        take(readers.get(who), told.get(who), "seed " + seed);
        for (int gpu = 0; gpu < 3; gpu++) {
          assertEquals(power[gpu], told.get(who).get(gpu), "seed " + seed);
        }
      }
    }
  }

  private void take(Bookmark<GpuPowerSample> reader, Map<Integer, Long> told, String seed) {
    for (GpuPowerSample sample : reader.take(board)) {
      Long before = told.put(sample.gpuId(), sample.powerMw());
      // Power only rises here.
      assertTrue(before == null || before < sample.powerMw(), seed + ": " + sample);
    }
  }

  /** Two threads that publish what they read while a third one reads the board. */
  static final class Interleavings {
    private final AtomicReference<Board<GpuPowerSample>> board =
        new AtomicReference<>(Board.ofNothing(3));

    public static void main(String[] args) {
      try {
        Lincheck.runConcurrentTest(300, () -> new Interleavings().publishersMeetReaders());
        System.out.println("result=passed");
      } catch (LincheckAssertionError e) {
        System.out.println("result=" + e.getMessage());
      }
    }

    private void publish(int gpu, long power, long readNanos) {
      Board.Entry<GpuPowerSample>[] read = nothing();
      read[gpu] = Board.Entry.read(sample(gpu, power), readNanos);
      synchronized (board) {
        board.set(board.get().with(read));
      }
    }

    private void publishersMeetReaders() {
      List<Thread> publishers =
          IntStream.range(0, 2)
              .mapToObj(
                  gpu ->
                      new Thread(
                          () -> {
                            publish(gpu, 1, 1);
                            publish(2, 10 + gpu, 10 + gpu);
                          }))
              .toList();
      publishers.forEach(Thread::start);
      Bookmark<GpuPowerSample> reader =
          new Bookmark<>(new int[] {0, 1, 2}, Long.MAX_VALUE, NanoClock.SYSTEM);
      long[] last = new long[3];
      take(reader, last);
      take(reader, last);
      try {
        for (Thread publisher : publishers) {
          publisher.join();
        }
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
      take(reader, last);
      if (last[0] != 1 || last[1] != 1 || last[2] != 11) {
        throw new AssertionError("not the latest: " + List.of(last[0], last[1], last[2]));
      }
    }

    private void take(Bookmark<GpuPowerSample> reader, long[] last) {
      for (GpuPowerSample sample : reader.take(board.get())) {
        if (sample.powerMw() <= last[sample.gpuId()]) {
          throw new AssertionError(sample + " after " + last[sample.gpuId()]);
        }
        last[sample.gpuId()] = sample.powerMw();
      }
    }
  }

  @Test
  void noInterleavingLosesOrRepeatsWhatWasPublished() throws Exception {
    ChildJvm.Result child =
        ChildJvm.run(Interleavings.class, Map.of(), "-XX:+EnableDynamicAgentLoading", "-Xmx512m");
    assertEquals("passed", child.value("result"), child.output());
  }
}
