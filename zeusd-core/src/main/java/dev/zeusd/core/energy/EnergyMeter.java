package dev.zeusd.core.energy;

import dev.zeusd.core.DeviceSet;
import dev.zeusd.core.NodeException;
import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.kernel.BootClock;
import dev.zeusd.core.sampling.CpuPowerSample;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.sampling.TimestampClock;
import dev.zeusd.core.worker.Answer;
import dev.zeusd.core.worker.NanoClock;
import dev.zeusd.core.worker.Watch;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Supplier;

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
  /**
   * So many windows may be open. One owner may have as many as are free for others, and is sure of
   * an equal share.
   */
  public static final int MAX_WINDOWS = 1024;

  private static final System.Logger LOG = System.getLogger(EnergyMeter.class.getName());
  private static final long PERIOD_NANOS = TimeUnit.SECONDS.toNanos(2);

  private final BootClock clock;
  private final MeteredDevices devices;
  private final OpenWindows open;
  private final PowerFeed feed;
  private final SavedWindows saved;
  private final Watch watch;
  private volatile boolean isClosed;
  private volatile boolean isCrashSafe;

  /**
   * Goes on with the windows that an earlier process has left in the state directory.
   *
   * @param gpus the GPUs that there are by now
   * @param cpus the CPUs that there are by now
   * @param stateDir where to keep what must outlive the process; without it, nothing does
   * @param clock what the devices go by
   */
  public EnergyMeter(
      Supplier<DeviceSet<Gpu, GpuPowerSample>> gpus,
      Supplier<DeviceSet<Cpu, CpuPowerSample>> cpus,
      Optional<Path> stateDir,
      NanoClock clock) {
    this(gpus, cpus, stateDir, clock, BootClock.of(clock), PERIOD_NANOS);
  }

  /** The same by another clock for windows, and with another time between two steps. */
  EnergyMeter(
      Supplier<DeviceSet<Gpu, GpuPowerSample>> gpus,
      Supplier<DeviceSet<Cpu, CpuPowerSample>> cpus,
      Optional<Path> stateDir,
      NanoClock readClock,
      BootClock clock,
      long periodNanos) {
    this.clock = clock;
    this.devices = new MeteredDevices(gpus, cpus, clock);
    this.open = new OpenWindows(clock::nanos, TimestampClock.of(readClock));
    this.watch = new Watch("energy windows", this::step, periodNanos);
    this.feed = new PowerFeed(gpus, readClock, clock, watch::wake);
    this.saved =
        new SavedWindows(
            stateDir, () -> new LeftWindows(devices::of, this::newWindow, this::takeOver));
    saved.recover();
    if (hasLeftWindows(stateDir) && open.isEmpty()) {
      // What the file has is of no use any more.
      save();
    }
  }

  /**
   * {@return whether an earlier process has left windows in a state directory}
   *
   * @param stateDir where an earlier process may have kept them
   */
  public static boolean hasLeftWindows(Optional<Path> stateDir) {
    return SavedWindows.areIn(stateDir);
  }

  private void takeOver(
      Collection<MeteredDevice> measured,
      List<EnergyWindow> windows,
      List<EndedWindows.Ended> ended) {
    if (!open.takeOver(measured, windows, ended)) {
      // The directory could not be used at first, and what was measured since is of no use.
      LOG.log(System.Logger.Level.WARNING, "{0} energy windows are lost", windows.size());
      return;
    }
    isCrashSafe = true;
    LOG.log(System.Logger.Level.INFO, "energy windows go on: {0}", windows.size());
    watch.wake();
  }

  private EnergyWindow newWindow(EnergyWindow.Facts facts, List<Span> spans) {
    return new EnergyWindow(this, facts, spans);
  }

  /**
   * Begins a window, and reads its devices; returns when it is on the disk, if it can be. A device
   * that cannot be read joins when it can.
   *
   * @param request which devices, for whom, and for how long at most
   * @return the window, which is open
   * @throws WindowException.TooMany if there is no room for another one of this owner
   * @throws WindowException.NoDevices if none of these devices is there
   * @throws NodeException if this is closed
   */
  public EnergyWindow begin(WindowRequest request) {
    List<MeteredDevice> wanted = devices.wanted(request);
    if (wanted.isEmpty()) {
      throw new WindowException.NoDevices("there is no device whose energy could be measured");
    }
    if (isClosed) {
      throw new NodeException("the node is closed");
    }
    EnergyWindow window = open.add(request, wanted, this::newWindow);
    // Each when it has answered: another one may let wait for long.
    read(window.devices(), device -> window.begin());
    feed();
    save();
    watch.start();
    return window;
  }

  /**
   * Begins a window of all devices, for this process; a CPU that holds others is left out.
   *
   * @return the window, which is open
   */
  public EnergyWindow begin() {
    return begin(devices.all());
  }

  /**
   * {@return the open window with this id}
   *
   * @param id as {@link EnergyWindow#id} tells it
   * @throws WindowException.Ended if there is none
   */
  public EnergyWindow find(String id) {
    return open.find(id).orElseThrow(EnergyMeter::ended);
  }

  /**
   * {@return the window with this id, also one that has ended a short time ago: its {@link
   * EnergyWindow#end} tells again what it has told}
   *
   * @param id as {@link EnergyWindow#id} tells it
   * @throws WindowException.Ended if there is none
   */
  public EnergyWindow findToEnd(String id) {
    return open.find(id).or(() -> open.findEnded(id)).orElseThrow(EnergyMeter::ended);
  }

  private static WindowException.Ended ended() {
    return new WindowException.Ended(
        "there is no such energy window: it has ended, its time was over, or it was its owner's"
            + " oldest and had to make room");
  }

  /** {@return those that are open, the oldest first} */
  public List<EnergyWindow> list() {
    return open.list();
  }

  /** {@return whether the windows of now outlive this process} */
  public boolean isCrashSafe() {
    return isCrashSafe;
  }

  /**
   * {@return whether a window is open that measures GPUs, so that their driver is asked now and
   * then}
   */
  public boolean measuresGpus() {
    return open.measuresGpus();
  }

  long now() {
    return clock.nanos();
  }

  /**
   * Reads devices side by side, and waits for them together no longer than for one.
   *
   * @param onRead told of each as soon as it has answered, or failed
   */
  void read(Collection<MeteredDevice> wanted, Consumer<MeteredDevice> onRead) {
    long deadline = System.nanoTime() + Answer.PATIENCE.toNanos();
    List<CompletableFuture<?>> readings = new ArrayList<>();
    for (MeteredDevice device : wanted) {
      readings.add(device.read().whenComplete((done, failure) -> onRead.accept(device)));
    }
    for (CompletableFuture<?> reading : readings) {
      try {
        Answer.await(reading, deadline);
      } catch (RuntimeException e) {
        // The device remembers it.
      }
    }
  }

  /**
   * Ends a window, and tells its energy when that is on the disk, if it can be; the same again for
   * who asks twice.
   */
  WindowEnergy end(EnergyWindow window) {
    if (open.find(window.id()).isPresent()) {
      WindowEnergy energy = window.read();
      if (remove(window, Optional.of(energy))) {
        return energy;
      }
    }
    // It has ended before, or meanwhile; and whoever has asked first may still wait for the disk.
    WindowEnergy told = open.told(window).orElseThrow(EnergyMeter::ended);
    save();
    return told;
  }

  /** Ends a window, unless it has ended. */
  boolean remove(EnergyWindow window, Optional<WindowEnergy> told) {
    boolean wasOpen = open.end(window, told);
    if (wasOpen) {
      feed();
      save();
    }
    return wasOpen;
  }

  private void feed() {
    List<MeteredGpu> integrated = new ArrayList<>();
    for (MeteredDevice device : open.devices()) {
      if (device instanceof MeteredGpu gpu && gpu.isIntegrated() && !isClosed) {
        integrated.add(gpu);
      }
    }
    feed.feed(integrated);
  }

  private void save() {
    isCrashSafe = saved.save(open::describeDevices, open::describe);
    if (saved.needsSaving()) {
      // Also of the last window that has ended: in the file, it is open still.
      watch.start();
    }
  }

  /**
   * Reads the counters, saves what they say, and forgets the windows whose time is over.
   *
   * @return whether there are windows left
   */
  boolean step() {
    boolean isChanged = open.expire();
    List<EnergyWindow> left = open.list();
    open.devices().stream()
        .filter(MeteredDevice::needsReads)
        .forEach(MeteredDevice::readUnlessBusy);
    for (EnergyWindow window : left) {
      isChanged |= window.begin();
    }
    feed();
    if (isChanged || saved.needsSaving()) {
      save();
    } else {
      saved.saveTallies(open::describeDevices);
    }
    return !left.isEmpty();
  }

  /** Saves what was measured; the windows go on in the next process. Idempotent. */
  @Override
  public void close() {
    synchronized (this) {
      if (isClosed) {
        return;
      }
      isClosed = true;
    }
    watch.close();
    feed.close();
    if (!open.list().isEmpty() || saved.needsSaving()) {
      save();
    }
  }
}
