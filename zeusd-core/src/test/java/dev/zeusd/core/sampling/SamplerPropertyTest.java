package dev.zeusd.core.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.zeusd.core.Await;
import dev.zeusd.core.Metronome;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.NanoClock;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import java.util.logging.Logger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * What holds in whatever order subscribers come and go while readings fail, hang and heal: each
 * subscriber ends up with the latest value, never sees time or values go back, and after the last
 * close nothing is read and no tick waits.
 */
@Timeout(180)
class SamplerPropertyTest {
  private static final int LIVES = 3;
  private static final int GPUS = 3;
  private static final int POLL_HZ = 250;
  private static final int ROUNDS = 6;

  /** How old a sampler's schedule is before a storm, in ms. */
  private static final long ROUND_BEATS = 1000;

  /** Silence up to this is a busy machine's; what a storm breaks is to last longer than that. */
  private static final long SILENCE_BEATS = ROUND_BEATS / 2;

  private static final int STORM_STEPS = 40;
  private static final int MOST_SUBSCRIBERS = 8;
  private static final Duration LONG = Duration.ofSeconds(20);

  private final Logger failuresOnPurpose = Logger.getLogger(PowerSampler.class.getName());

  @BeforeEach
  void hideFailuresOnPurpose() {
    failuresOnPurpose.setUseParentHandlers(false);
  }

  @AfterEach
  void showFailures() {
    failuresOnPurpose.setUseParentHandlers(true);
  }

  @Test
  void theLatestValueArrivesAndSilenceFollowsTheLastClose() throws Exception {
    try (Metronome metronome = new Metronome();
        ExecutorService threads = Executors.newFixedThreadPool(LIVES)) {
      List<Future<?>> lives =
          IntStream.rangeClosed(1, LIVES)
              .<Future<?>>mapToObj(seed -> threads.submit(new Life(seed, metronome)::live))
              .toList();
      for (Future<?> life : lives) {
        life.get();
      }
      Await.until("no ticker is left", () -> Await.threads("GPU power") == 0);
    }
  }

  /** What a GPU's readings do. Its power only ever rises, so that an old value is known as such. */
  private static final class Readings {
    private volatile long powerMw;
    private volatile boolean failing;
    private volatile CountDownLatch held = new CountDownLatch(0);

    long read() {
      try {
        held.await();
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
      if (failing) {
        throw new DeviceException.Failed("on purpose");
      }
      return powerMw;
    }

    void hold() {
      if (held.getCount() == 0) {
        held = new CountDownLatch(1);
      }
    }

    void release() {
      held.countDown();
    }
  }

  /** One client, which checks all that it is given. */
  private static final class Subscriber {
    private final Subscription<GpuPowerSample> power;
    private final List<Integer> ids;
    private final AtomicLongArray lastMw = new AtomicLongArray(GPUS);
    private final long[] lastMs = new long[GPUS];
    private final Thread thread;
    private volatile String wrong = "";

    Subscriber(PowerSampler<Gpu, GpuPowerSample> sampler, List<Integer> ids) {
      this.ids = ids;
      this.power = sampler.subscribe(ids);
      this.thread = Thread.startVirtualThread(this::pollUntilClosed);
    }

    private void pollUntilClosed() {
      try {
        while (!power.isClosed()) {
          take(power.poll(LONG));
        }
      } catch (InterruptedException e) {
        wrong = e.toString();
      }
    }

    private void take(List<GpuPowerSample> samples) {
      int before = -1;
      for (GpuPowerSample sample : samples) {
        int gpu = sample.gpuId();
        if (gpu <= before || !ids.contains(gpu)) {
          wrong = "asked for " + ids + ", got " + samples;
        }
        if (sample.timestampMs() < lastMs[gpu] || sample.powerMw() < lastMw.get(gpu)) {
          wrong = sample + " after " + lastMw.get(gpu) + " mW at " + lastMs[gpu];
        }
        before = gpu;
        lastMs[gpu] = sample.timestampMs();
        lastMw.set(gpu, sample.powerMw());
      }
    }

    boolean hasSeen(long powerMw) {
      return ids.stream().allMatch(gpu -> lastMw.get(gpu) == powerMw);
    }

    void awaitEnd() throws InterruptedException {
      assertTrue(thread.join(LONG), "a closed subscription is still polled");
      assertEquals("", wrong);
    }
  }

  /** One sampler from its first subscriber to its last. */
  private static final class Life {
    private final long seed;
    private final Random random;
    private final Metronome metronome;
    private final List<Readings> readings = new ArrayList<>();
    private final List<DeviceWorker<Gpu>> workers = new ArrayList<>();
    private final PowerSampler<Gpu, GpuPowerSample> sampler;
    private final List<Subscriber> open = new ArrayList<>();
    private final List<CompletableFuture<?>> calls = new ArrayList<>();
    private final Deque<String> steps = new ArrayDeque<>();
    private long newestMw;

    Life(long seed, Metronome metronome) {
      this.seed = seed;
      this.random = new Random(seed);
      this.metronome = metronome;
      for (int gpu = 0; gpu < GPUS; gpu++) {
        Readings its = new Readings();
        readings.add(its);
        workers.add(PublicationOrderTest.worker(gpu, its::read));
      }
      this.sampler = PowerSampler.ofGpus(workers, POLL_HZ, NanoClock.SYSTEM);
    }

    Void live() throws Exception {
      try {
        for (int round = 0; round < ROUNDS; round++) {
          grow();
          storm();
          assertTheLatestValueArrives();
        }
        end();
      } catch (AssertionError e) {
        throw new AssertionError("seed " + seed + ": " + e.getMessage() + "; last: " + steps, e);
      } finally {
        readings.forEach(Readings::release);
        DeviceWorker.closeAll(workers);
      }
      return null;
    }

    /** Time passes while somebody is subscribed, so that the ticks get on. */
    private void grow() throws InterruptedException {
      subscribe();
      Subscriber keeper = open.removeLast();
      long start = metronome.beats();
      while (metronome.beats() - start < ROUND_BEATS) {
        step();
        if (open.size() == MOST_SUBSCRIBERS) {
          close(open.removeFirst());
        }
        pause(5_000);
      }
      open.add(keeper);
    }

    /** Much at once, up to that nobody is subscribed for a moment. */
    private void storm() throws InterruptedException {
      for (int i = 0; i < STORM_STEPS; i++) {
        if (random.nextInt(8) == 0) {
          closeAll();
        } else {
          step();
        }
        pause(2_000);
      }
    }

    private void step() throws InterruptedException {
      int gpu = random.nextInt(GPUS);
      int choice = random.nextInt(10);
      steps.add(choice + " on GPU " + gpu);
      if (steps.size() > STORM_STEPS) {
        steps.remove();
      }
      switch (choice) {
        case 0, 1 -> subscribe();
        case 2 -> closeAnyOne();
        case 3, 4 -> readings.get(gpu).powerMw = ++newestMw;
        case 5 -> readings.get(gpu).failing = random.nextBoolean();
        case 6 -> readings.get(gpu).hold();
        case 7 -> readings.get(gpu).release();
        // By another thread: a held reading holds up who asks for it.
        case 8 ->
            calls.add(
                CompletableFuture.supplyAsync(
                    () -> sampler.read(gpu).join(), Thread::startVirtualThread));
        default -> {
          int micros = random.nextInt(1_000);
          calls.add(workers.get(gpu).submit(device -> sleep(micros)));
        }
      }
    }

    private void subscribe() {
      List<Integer> ids =
          IntStream.range(0, GPUS).filter(gpu -> random.nextInt(3) > 0).boxed().toList();
      open.add(new Subscriber(sampler, ids));
    }

    private void closeAnyOne() throws InterruptedException {
      if (!open.isEmpty()) {
        close(open.remove(random.nextInt(open.size())));
      }
    }

    /** Maybe from two threads at a time, which has to count once. */
    private void close(Subscriber subscriber) throws InterruptedException {
      if (random.nextBoolean()) {
        Thread.startVirtualThread(subscriber.power::close);
      }
      subscriber.power.close();
      subscriber.awaitEnd();
    }

    private void closeAll() throws InterruptedException {
      steps.add("close all");
      for (Subscriber subscriber : open) {
        close(subscriber);
      }
      open.clear();
    }

    private void pause(int mostMicros) {
      sleep(random.nextInt(mostMicros));
    }

    private static Object sleep(int micros) {
      LockSupport.parkNanos(micros * 1000L);
      return null;
    }

    private void assertTheLatestValueArrives() throws InterruptedException {
      subscribe();
      newestMw++;
      for (Readings each : readings) {
        each.failing = false;
        each.release();
        each.powerMw = newestMw;
      }
      long start = metronome.beats();
      while (!open.stream().allMatch(subscriber -> subscriber.hasSeen(newestMw))) {
        if (metronome.beats() - start > SILENCE_BEATS) {
          fail("nothing for " + SILENCE_BEATS + " ms: " + describe());
        }
        Thread.sleep(1);
      }
    }

    private String describe() {
      StringBuilder text = new StringBuilder("newest is " + newestMw);
      open.forEach(each -> text.append("; ").append(each.ids).append(" has ").append(each.lastMw));
      return text.toString();
    }

    private void end() throws Exception {
      closeAll();
      for (CompletableFuture<?> call : calls) {
        call.handle((value, failure) -> "ended").get(LONG.toSeconds(), TimeUnit.SECONDS);
      }
      // Without a time limit: a tick that waited would give one.
      for (DeviceWorker<Gpu> worker : workers) {
        Thread thread = worker.call(device -> Thread.currentThread());
        Await.until(thread + " sleeps", () -> thread.getState() == Thread.State.WAITING);
      }
      assertEquals(List.of(), sampler.subscribe(List.of()).current());
    }
  }
}
