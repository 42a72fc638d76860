package dev.zeusd.core.energy;

import dev.zeusd.core.DeviceSet;
import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.rapl.BootClock;
import dev.zeusd.core.sampling.CpuPowerSample;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.sampling.TimestampClock;
import dev.zeusd.core.worker.Answer;
import dev.zeusd.core.worker.DeviceWorker;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/**
 * Measures the energy of devices in {@link EnergyWindow}s: by their counters and, where a GPU has
 * none, by summing up its power.
 *
 * <p>While a window is open, its devices' counters are read every two seconds, so that no reset
 * costs more than that, and what was measured is saved in the state directory, if there is one:
 * windows then go on in the next process. Without windows, nothing is read or written.
 *
 * <p>Thread-safe.
 */
public final class EnergyMeter implements AutoCloseable {
  /** So many windows may be open. */
  public static final int MAX_WINDOWS = 1024;

  /** So many of them may be one owner's. */
  public static final int MAX_WINDOWS_OF_OWNER = 256;

  private static final System.Logger LOG = System.getLogger(EnergyMeter.class.getName());
  private static final long PERIOD_NANOS = TimeUnit.SECONDS.toNanos(2);
  private static final int ID_BYTES = 16;

  private final Supplier<DeviceSet<Gpu, GpuPowerSample>> gpus;
  private final Supplier<DeviceSet<Cpu, CpuPowerSample>> cpus;
  private final BootClock clock;
  private final MeteredGpu.Questions gpuQuestions;
  private final MeteredCpu.Questions cpuQuestions;
  private final PowerFeed feed;
  private final SavedWindows saved;
  private final EnergyWatch watch;

  // Guarded by this.
  private final Map<String, EnergyWindow> windows = new LinkedHashMap<>();
  private final Map<String, MeteredDevice> devices = new HashMap<>();
  private boolean isClosed;
  private volatile boolean isCrashSafe;

  /**
   * Goes on with the windows that an earlier process has left in the state directory.
   *
   * @param gpus the GPUs that there are by now
   * @param cpus the CPUs that there are by now
   * @param stateDir where to keep what must outlive the process; without it, nothing does
   */
  public EnergyMeter(
      Supplier<DeviceSet<Gpu, GpuPowerSample>> gpus,
      Supplier<DeviceSet<Cpu, CpuPowerSample>> cpus,
      Optional<Path> stateDir) {
    this(gpus, cpus, stateDir, BootClock.system(), PERIOD_NANOS);
  }

  /** The same by another clock, and with another time between two steps. */
  EnergyMeter(
      Supplier<DeviceSet<Gpu, GpuPowerSample>> gpus,
      Supplier<DeviceSet<Cpu, CpuPowerSample>> cpus,
      Optional<Path> stateDir,
      BootClock clock,
      long periodNanos) {
    this.gpus = gpus;
    this.cpus = cpus;
    this.clock = clock;
    this.gpuQuestions = new MeteredGpu.Questions(clock);
    this.cpuQuestions = new MeteredCpu.Questions(clock);
    this.watch = new EnergyWatch(this::step, periodNanos);
    this.feed = new PowerFeed(gpus, clock, watch::wake);
    this.saved = new SavedWindows(stateDir, Comeback::new);
    saved.recover();
  }

  /** Whether an earlier process has left windows in a state directory. */
  public static boolean hasLeftWindows(Optional<Path> stateDir) {
    return SavedWindows.areIn(stateDir);
  }

  /** Puts together what the files have. */
  private final class Comeback implements SavedWindows.Recovery {
    private final Map<String, MeteredDevice> left = new HashMap<>();
    private final List<EnergyWindow.Facts> facts = new ArrayList<>();
    private final List<List<Span>> spans = new ArrayList<>();

    private MeteredDevice device(String key, int id) {
      return left.computeIfAbsent(key, unknown -> newDevice(key, id));
    }

    @Override
    public void tally(String key, int id, int place, Tally.Kind kind, Tally.State state) {
      device(key, id).goOn(kind, place, state);
    }

    @Override
    public void window(EnergyWindow.Facts window) {
      facts.add(window);
      spans.add(new ArrayList<>());
    }

    @Override
    public void span(String key, int id, int place, Optional<Tally.State> start) {
      spans.getLast().add(new Span(device(key, id), place, start));
    }

    @Override
    public void finish() {
      synchronized (EnergyMeter.this) {
        if (!windows.isEmpty()) {
          // The directory could not be used at first, and what was measured since is of no use.
          LOG.log(System.Logger.Level.WARNING, "{0} energy windows are lost", facts.size());
          return;
        }
        devices.putAll(left);
        for (int i = 0; i < facts.size(); i++) {
          EnergyWindow.Facts own = facts.get(i);
          windows.put(own.id(), new EnergyWindow(EnergyMeter.this, own, spans.get(i)));
        }
        forgetUnused();
      }
      isCrashSafe = true;
      LOG.log(System.Logger.Level.INFO, "energy windows go on: {0}", facts.size());
      watch.wake();
    }
  }

  /**
   * Begins a window, and reads its devices; returns when it is on the disk, if it can be. A device
   * that cannot be read joins when it can.
   *
   * @throws WindowException.TooMany if there is no room for another one of this owner
   * @throws WindowException.NoDevices if none of these devices is there
   * @throws IllegalStateException if this is closed
   */
  public EnergyWindow begin(WindowRequest request) {
    EnergyWindow window = add(request);
    read(window.devices());
    window.begin();
    feed();
    isCrashSafe = saved.save(this::describeDevices, this::describeWindows);
    watch.start();
    return window;
  }

  /** Begins a window of all devices, for this process; a CPU that holds others is left out. */
  public EnergyWindow begin() {
    return begin(
        WindowRequest.of(
            gpus.get().devices().stream().map(DeviceWorker::id).toList(),
            cpus.get().devices().stream()
                .filter(cpu -> cpu.device().info().domain() == CpuInfo.Domain.PACKAGE)
                .map(DeviceWorker::id)
                .toList()));
  }

  private EnergyWindow add(WindowRequest request) {
    List<DeviceWorker<Gpu>> wantedGpus =
        gpus.get().devices().stream().filter(gpu -> request.gpuIds().contains(gpu.id())).toList();
    List<DeviceWorker<Cpu>> wantedCpus =
        cpus.get().devices().stream().filter(cpu -> request.cpuIds().contains(cpu.id())).toList();
    if (wantedGpus.isEmpty() && wantedCpus.isEmpty()) {
      throw new WindowException.NoDevices("there is no device whose energy could be measured");
    }
    synchronized (this) {
      requireRoom(request.owner());
      List<Span> spans = new ArrayList<>();
      wantedGpus.forEach(
          gpu -> spans.add(new Span(device(MeteredGpu.keyOf(gpu), gpu.id()), 0, Optional.empty())));
      for (DeviceWorker<Cpu> cpu : wantedCpus) {
        MeteredDevice device = device(MeteredCpu.keyOf(cpu.id()), cpu.id());
        spans.add(new Span(device, 0, Optional.empty()));
        spans.add(new Span(device, 1, Optional.empty()));
      }
      long now = now();
      EnergyWindow.Facts facts =
          new EnergyWindow.Facts(
              newId(),
              request.name(),
              request.owner(),
              TimestampClock.SYSTEM.nowMs(),
              now,
              now + request.ttl().toNanos());
      EnergyWindow window = new EnergyWindow(this, facts, spans);
      windows.put(window.id(), window);
      return window;
    }
  }

  private void requireRoom(String owner) {
    if (isClosed) {
      throw new IllegalStateException("the node is closed");
    }
    long own = windows.values().stream().filter(window -> window.owner().equals(owner)).count();
    if (own >= MAX_WINDOWS_OF_OWNER) {
      throw new WindowException.TooMany(
          "%s has %d energy windows open, and no more are possible; end some of them"
              .formatted(owner, own));
    }
    if (windows.size() >= MAX_WINDOWS) {
      throw new WindowException.TooMany(
          "%d energy windows are open, and no more are possible".formatted(windows.size()));
    }
  }

  /** Here, since few processes ever have a window. */
  private static final class Ids {
    static final SecureRandom RANDOM = new SecureRandom();
  }

  private static String newId() {
    byte[] bytes = new byte[ID_BYTES];
    Ids.RANDOM.nextBytes(bytes);
    return HexFormat.of().formatHex(bytes);
  }

  /** Holding the lock of this. */
  private MeteredDevice device(String key, int id) {
    return devices.computeIfAbsent(key, unknown -> newDevice(key, id));
  }

  private MeteredDevice newDevice(String key, int id) {
    return MeteredGpu.isKey(key)
        ? new MeteredGpu(key, id, () -> gpus.get().devices(), gpuQuestions)
        : new MeteredCpu(id, () -> cpus.get().devices(), cpuQuestions);
  }

  /**
   * The window with this id.
   *
   * @throws WindowException.Ended if there is none
   */
  public synchronized EnergyWindow find(String id) {
    EnergyWindow window = windows.get(id);
    if (window == null || window.isExpired(now())) {
      throw new WindowException.Ended("there is no such energy window, or it has ended");
    }
    return window;
  }

  /** Those that are open, the oldest first. */
  public synchronized List<EnergyWindow> list() {
    long now = now();
    return windows.values().stream().filter(window -> !window.isExpired(now)).toList();
  }

  /** Whether the windows of now outlive this process. */
  public boolean isCrashSafe() {
    return isCrashSafe;
  }

  /** Whether a window is open that measures GPUs, so that their driver is asked now and then. */
  public synchronized boolean measuresGpus() {
    return devices.values().stream().anyMatch(MeteredGpu.class::isInstance);
  }

  long now() {
    return clock.nanos();
  }

  /** Reads devices side by side, and waits for them together no longer than for one. */
  void read(Collection<MeteredDevice> wanted) {
    long deadline = System.nanoTime() + Answer.PATIENCE.toNanos();
    List<CompletableFuture<?>> readings = new ArrayList<>();
    wanted.forEach(device -> readings.add(device.read()));
    for (CompletableFuture<?> reading : readings) {
      try {
        Answer.await(reading, deadline);
      } catch (RuntimeException e) {
        // The device remembers it.
      }
    }
  }

  void remove(EnergyWindow window) {
    synchronized (this) {
      if (!windows.remove(window.id(), window)) {
        throw new WindowException.Ended("there is no such energy window, or it has ended");
      }
      forgetUnused();
    }
    feed();
    saved.save(this::describeDevices, this::describeWindows);
  }

  private void forgetUnused() {
    Set<MeteredDevice> used =
        windows.values().stream()
            .flatMap(window -> window.devices().stream())
            .collect(Collectors.toSet());
    devices.values().retainAll(used);
  }

  private void feed() {
    List<MeteredGpu> integrated = new ArrayList<>();
    synchronized (this) {
      for (MeteredDevice device : devices.values()) {
        if (device instanceof MeteredGpu gpu && gpu.isIntegrated() && !isClosed) {
          integrated.add(gpu);
        }
      }
    }
    feed.feed(integrated);
  }

  /**
   * Reads the counters, saves what they say, and forgets the windows whose time is over.
   *
   * @return whether there are windows left
   */
  boolean step() {
    boolean isChanged = false;
    List<EnergyWindow> open;
    List<MeteredDevice> all;
    synchronized (this) {
      long now = now();
      for (EnergyWindow window : List.copyOf(windows.values())) {
        if (window.isExpired(now)) {
          LOG.log(System.Logger.Level.INFO, "{0} was never ended, and is forgotten", window);
          windows.remove(window.id());
          isChanged = true;
        }
      }
      forgetUnused();
      open = List.copyOf(windows.values());
      all = List.copyOf(devices.values());
    }
    all.stream().filter(MeteredDevice::needsReads).forEach(MeteredDevice::readUnlessBusy);
    for (EnergyWindow window : open) {
      isChanged |= window.begin();
    }
    feed();
    if (isChanged) {
      saved.save(this::describeDevices, this::describeWindows);
    } else {
      saved.saveTallies(this::describeDevices);
    }
    return !open.isEmpty();
  }

  private void describeDevices(List<String> lines) {
    List<MeteredDevice> all;
    synchronized (this) {
      all = List.copyOf(devices.values());
    }
    all.forEach(device -> device.describe(lines));
  }

  private void describeWindows(List<String> lines) {
    List<EnergyWindow> all;
    synchronized (this) {
      all = List.copyOf(windows.values());
    }
    all.forEach(window -> window.describe(lines));
  }

  /** Saves what was measured; the windows go on in the next process. Idempotent. */
  @Override
  public void close() {
    boolean isOpen;
    synchronized (this) {
      if (isClosed) {
        return;
      }
      isClosed = true;
      isOpen = !windows.isEmpty();
    }
    watch.close();
    feed.close();
    if (isOpen) {
      saved.save(this::describeDevices, this::describeWindows);
    }
  }
}
