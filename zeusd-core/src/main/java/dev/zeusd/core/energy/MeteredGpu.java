package dev.zeusd.core.energy;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.core.kernel.BootClock;
import dev.zeusd.core.worker.DeviceWorker;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.function.Supplier;

/** A GPU: by its counter or, where it has none, by its power, which {@link PowerFeed} adds, too. */
final class MeteredGpu extends MeteredDevice {
  private static final String PREFIX = "gpu:";

  private final String key;
  private final Supplier<List<DeviceWorker<Gpu>>> gpus;
  private final Questions questions;
  private volatile int id;
  private volatile PowerScope scope = PowerScope.GPU;
  private volatile Optional<Tally> tally = Optional.empty();

  /**
   * What a GPU was asked.
   *
   * @param value of its counter or its power, as the kind says
   */
  private record Reading(Tally.Kind kind, long value, long readNanos) {}

  /** What GPUs are asked: one object each for all of them, so that readings are shared. */
  static final class Questions {
    private final Function<Gpu, Reading> power;
    private final Function<Gpu, Reading> counter;

    Questions(BootClock clock) {
      power = gpu -> new Reading(Tally.Kind.POWER, gpu.powerMw(), clock.nanos());
      counter =
          gpu -> {
            try {
              return new Reading(Tally.Kind.GPU_COUNTER, gpu.energyMj(), clock.nanos());
            } catch (DeviceException.NotSupported e) {
              return power.apply(gpu);
            }
          };
    }
  }

  /** The GPU that is known by {@code key}, and had this id when it was seen last. */
  MeteredGpu(String key, int id, Supplier<List<DeviceWorker<Gpu>>> gpus, Questions questions) {
    this.key = key;
    this.id = id;
    this.gpus = gpus;
    this.questions = questions;
  }

  /** What a GPU is known by: its UUID, since ids may be others after a restart. */
  static String keyOf(DeviceWorker<Gpu> gpu) {
    return PREFIX + gpu.device().info().uuid().map(SavedWindows::encode).orElse("#" + gpu.id());
  }

  static boolean isKey(String key) {
    return key.startsWith(PREFIX);
  }

  @Override
  String key() {
    return key;
  }

  @Override
  int id() {
    return id;
  }

  @Override
  List<Tally> tallies() {
    return tally.stream().toList();
  }

  @Override
  List<Span> newSpans() {
    return List.of(new Span(this, 0, Optional.empty()));
  }

  @Override
  void goOn(Tally.Kind kind, int place, Tally.State left) {
    tally = Optional.of(new Tally(kind, left));
  }

  /** Whose power and energy it tells, as of when it was seen last. */
  PowerScope scope() {
    return scope;
  }

  /** Whether its power is summed up, so that it has to be sampled. */
  boolean isIntegrated() {
    return tally.filter(known -> known.kind() == Tally.Kind.POWER).isPresent();
  }

  @Override
  boolean needsReads() {
    return !isIntegrated();
  }

  /** Adds a reading of its power. */
  void addPower(long powerMw, long readNanos) {
    tally
        .filter(known -> known.kind() == Tally.Kind.POWER)
        .ifPresent(known -> known.add(powerMw, readNanos, true));
  }

  /** Whether it is this one, whatever its id was when it was seen last. */
  boolean isOf(DeviceWorker<Gpu> gpu) {
    return keyOf(gpu).equals(key) || key.equals(PREFIX + "#" + gpu.id());
  }

  private Optional<DeviceWorker<Gpu>> find() {
    Optional<DeviceWorker<Gpu>> found = gpus.get().stream().filter(this::isOf).findFirst();
    found.ifPresent(
        gpu -> {
          id = gpu.id();
          scope = gpu.device().info().powerScope();
        });
    return found;
  }

  @Override
  boolean isThere() {
    return find().isPresent();
  }

  private DeviceWorker<Gpu> worker() {
    return find().orElseThrow(() -> new DeviceException.Failed("this GPU is not there any more"));
  }

  @Override
  CompletableFuture<?> begin() {
    return worker()
        .share(isIntegrated() ? questions.power : questions.counter)
        .thenAccept(this::add);
  }

  private void add(Reading reading) {
    if (tally.isEmpty()) {
      begin(reading.kind);
    }
    Tally known = tally.orElseThrow();
    if (known.kind() != reading.kind) {
      throw new DeviceException.Failed("this GPU does not count its energy any more");
    }
    known.add(reading.value, reading.readNanos, true);
  }

  private synchronized void begin(Tally.Kind kind) {
    if (tally.isEmpty()) {
      tally = Optional.of(new Tally(kind));
    }
  }
}
