package dev.zeusd.core.sampling;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.CpuBackend;
import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.Metronome;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvml.Call;
import dev.zeusd.testkit.nvml.FakeNvml.CallRecord;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The rate is held, the grid does not drift, and power adds up to energy. */
@Timeout(180)
class SamplingRateTest {
  private static final int ATTEMPTS = 3;
  private static final long SECONDS = 10;

  private final FakeNvml nvml = FakeNvml.inProcess();

  @BeforeEach
  void reset() {
    nvml.reset();
  }

  private static Node open(int pollHz) {
    return Node.open(
        NodeConfig.defaults()
            .withGpuBackend(GpuBackend.NVML)
            .withGpuPowerPollHz(pollHz)
            .withCpuBackend(CpuBackend.NONE));
  }

  /**
   * What one run at 1000 Hz on four GPUs gave.
   *
   * @param machineError the share of the ticks that a thread lost which does nothing but sleep from
   *     tick to tick: what the machine was too busy for, whoever asks
   */
  private record Rates(
      double worstError, double machineError, double shareOnGrid, double shiftMicros) {
    boolean good() {
      // A tick that reads a GPU and wakes a subscriber loses more than a mere wake-up does: five
      // times as much beside two builds on two cores.
      return worstError < Math.max(0.02, 0.01 + 6 * machineError)
          && shareOnGrid > 0.7
          && Math.abs(shiftMicros) < 250;
    }
  }

  /** Other work on the machine only ever makes it worse, so the best of some attempts counts. */
  @Test
  void aThousandHertzOnFourGpusIsHeldWithoutDrift() throws Exception {
    List<Rates> tries = new ArrayList<>();
    do {
      tries.add(measure());
    } while (!tries.get(tries.size() - 1).good() && tries.size() < ATTEMPTS);
    assertTrue(tries.stream().anyMatch(Rates::good), "tries: " + tries);
  }

  private Rates measure() throws InterruptedException {
    nvml.reset();
    for (int gpu = 0; gpu < 4; gpu++) {
      nvml.gpu(gpu).countingPower(100_000);
    }
    AtomicBoolean stop = new AtomicBoolean();
    try (Metronome metronome = new Metronome();
        Node node = open(1000);
        Subscription<GpuPowerSample> power = node.gpuPower().subscribe(List.of(0, 1, 2, 3))) {
      Thread poller =
          Thread.startVirtualThread(
              () -> {
                try {
                  while (!stop.get()) {
                    power.poll(Duration.ofSeconds(1));
                  }
                } catch (InterruptedException e) {
                  throw new AssertionError(e);
                }
              });
      awaitBeats(metronome, 500); // the code warms up
      long start = System.nanoTime();
      long firstTicks = metronome.beats();
      long[] first = reads();
      awaitBeats(metronome, 1000);
      double early = phaseMicros(nvml.history());
      for (int second = 1; second < SECONDS; second++) {
        awaitBeats(metronome, 1000);
      }
      long[] last = reads();
      double ticks = (System.nanoTime() - start) / 1e6;
      double machineError = Math.max(0, 1 - (metronome.beats() - firstTicks) / ticks);
      List<CallRecord> end = nvml.history();
      stop.set(true);
      poller.join();
      double worst = 0;
      for (int gpu = 0; gpu < 4; gpu++) {
        assertTrue(last[gpu] - first[gpu] <= ticks + 10, "more reads than ticks on GPU " + gpu);
        worst = Math.max(worst, Math.abs((last[gpu] - first[gpu]) / ticks - 1));
      }
      double late = phaseMicros(end);
      return new Rates(worst, machineError, shareNear(end, late), shift(late, early));
    }
  }

  /** So many ms, or more on a machine that is too busy for each. */
  private static void awaitBeats(Metronome metronome, long beats) throws InterruptedException {
    long before = metronome.beats();
    Await.until("the time passes", () -> metronome.beats() - before >= beats);
  }

  private long[] reads() {
    long[] reads = new long[4];
    for (int gpu = 0; gpu < 4; gpu++) {
      reads[gpu] = nvml.gpu(gpu).powerReads();
    }
    return reads;
  }

  /** Where in the millisecond the last second's reads of GPU 0 begin: the mean of an angle. */
  private static double phaseMicros(List<CallRecord> history) {
    long from = history.get(history.size() - 1).startNs() - 1_000_000_000L;
    double x = 0;
    double y = 0;
    for (CallRecord call : history) {
      if (isRead(call) && call.startNs() >= from) {
        double angle = 2 * Math.PI * (call.startNs() % 1_000_000) / 1e6;
        x += Math.cos(angle);
        y += Math.sin(angle);
      }
    }
    return Math.atan2(y, x) / (2 * Math.PI) * 1000;
  }

  private static boolean isRead(CallRecord call) {
    return call.call() == Call.GET_FIELD_VALUES && call.device() == 0;
  }

  /** Share of the reads of the whole history, some 4 s, that begin within 250 us of the phase. */
  private static double shareNear(List<CallRecord> history, double phaseMicros) {
    List<CallRecord> reads = history.stream().filter(SamplingRateTest::isRead).toList();
    long near =
        reads.stream()
            .filter(call -> Math.abs(shift(call.startNs() % 1_000_000 / 1e3, phaseMicros)) < 250)
            .count();
    return (double) near / reads.size();
  }

  /** A difference of phases, from -500 to 500 us. */
  private static double shift(double micros, double fromMicros) {
    return Math.IEEEremainder(micros - fromMicros, 1000);
  }

  @Test
  void streamedPowerOfASineAddsUpToTheEnergyCounter() throws Exception {
    List<Double> errors = new ArrayList<>();
    do {
      errors.add(relativeError());
    } while (errors.get(errors.size() - 1) >= 0.005 && errors.size() < ATTEMPTS);
    assertTrue(errors.stream().anyMatch(error -> error < 0.005), "relative errors: " + errors);
  }

  private double relativeError() throws InterruptedException {
    nvml.gpu(1).sinePower(300_000, 200_000, 1_300);
    try (Node node = open(20);
        Subscription<GpuPowerSample> power = node.gpuPower().subscribe(List.of(1))) {
      List<GpuPowerSample> samples = new ArrayList<>(power.poll(Duration.ofSeconds(20)));
      Energy from = energy(node);
      double end = from.timestampMs + SECONDS * 1000;
      while (samples.get(samples.size() - 1).timestampMs() < end) {
        samples.addAll(power.poll(Duration.ofSeconds(20)));
      }
      Energy to = energy(node);
      while (samples.get(samples.size() - 1).timestampMs() < to.timestampMs) {
        samples.addAll(power.poll(Duration.ofSeconds(20)));
      }
      double streamedMj = integralMj(samples, from.timestampMs, to.timestampMs);
      double countedMj = to.energyMj - from.energyMj;
      // 300 W over 10.x s: both are of the expected size, not only equal; to within 5 %, since the
      // sine may end anywhere.
      double size = countedMj / (300 * (to.timestampMs - from.timestampMs));
      return Math.max(Math.abs(streamedMj / countedMj - 1), Math.abs(size - 1) / 10);
    }
  }

  private record Energy(double timestampMs, double energyMj) {}

  private static Energy energy(Node node) {
    return node.gpus()
        .get(1)
        .call(
            (Gpu gpu) -> {
              long before = System.currentTimeMillis();
              long energyMj = gpu.energyMj();
              return new Energy((before + System.currentTimeMillis()) / 2.0, energyMj);
            });
  }

  /** By trapezoids; those at the ends are cut where the energy was read. */
  private static double integralMj(List<GpuPowerSample> samples, double fromMs, double toMs) {
    double mwMs = 0;
    for (int i = 1; i < samples.size(); i++) {
      GpuPowerSample a = samples.get(i - 1);
      GpuPowerSample b = samples.get(i);
      assertTrue(b.timestampMs() >= a.timestampMs(), a + " before " + b);
      double start = Math.max(fromMs, a.timestampMs());
      double end = Math.min(toMs, b.timestampMs());
      if (end > start) {
        mwMs += (end - start) * (at(a, b, start) + at(a, b, end)) / 2;
      }
    }
    return mwMs / 1000;
  }

  private static double at(GpuPowerSample a, GpuPowerSample b, double ms) {
    double share = (ms - a.timestampMs()) / (b.timestampMs() - a.timestampMs());
    return a.powerMw() + share * (b.powerMw() - a.powerMw());
  }
}
