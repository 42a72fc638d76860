package dev.zeusd.core;

import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.energy.EnergyMeter;
import dev.zeusd.core.energy.EnergyWindow;
import dev.zeusd.core.energy.WindowEnergy;
import dev.zeusd.core.energy.WindowRequest;
import dev.zeusd.core.history.PowerHistory;
import dev.zeusd.core.sampling.CpuPowerSample;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.sampling.PowerSampler;
import dev.zeusd.core.sampling.SamplePublisher;
import dev.zeusd.core.settings.Lease;
import dev.zeusd.core.settings.LeaseException;
import dev.zeusd.core.settings.LeaseObserver;
import dev.zeusd.core.settings.LeaseRequest;
import dev.zeusd.core.settings.Leases;
import dev.zeusd.core.settings.SettingKey;
import dev.zeusd.core.worker.Carriers;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.NanoClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Flow;

/**
 * The devices of this machine: what an embedder opens.
 *
 * <p>Thread-safe. Each device has a thread of its own, which {@link DeviceWorker#call} uses; it
 * sleeps while nobody asks. Nothing reads hardware before it is asked to, but for the names of the
 * devices when they are found.
 */
public final class Node implements AutoCloseable {
  /** How long a lease of this process lasts when the process has died and come back. */
  private static final Duration EMBEDDED_TTL = Duration.ofSeconds(10);

  private final Devices<Gpu, GpuPowerSample> gpus;
  private final Devices<Cpu, CpuPowerSample> cpus;

  private final NodeConfig config;
  private final NanoClock clock;

  /** Made when it is asked for, under the lock of this. */
  private volatile Optional<Leases> leases = Optional.empty();

  /** The same. */
  private volatile Optional<EnergyMeter> energy = Optional.empty();

  private final Optional<PowerHistory> gpuPowerHistory;
  private final Optional<PowerHistory> cpuPowerHistory;

  private final List<LeaseObserver> leaseObservers = new CopyOnWriteArrayList<>();

  /** Guarded by this. */
  private boolean closed;

  private Node(
      NodeConfig config,
      List<Backend<Gpu>> gpuBackends,
      List<Backend<Cpu>> cpuBackends,
      NanoClock clock) {
    this.config = config;
    this.clock = clock;
    DeviceThreads threads = new DeviceThreads(new Carriers(config.carriers()), clock);
    try {
      gpus =
          new Devices<>(
              "GPU",
              gpuBackends,
              threads::ofGpus,
              workers -> PowerSampler.ofGpus(workers, config.gpuPowerPollHz(), clock),
              clock);
      cpus =
          new Devices<>(
              "CPU",
              cpuBackends,
              threads::ofCpus,
              workers -> PowerSampler.ofCpus(workers, config.cpuPowerPollHz(), clock),
              clock);
      gpuBackends.forEach(each -> each.keepOpenWhile(() -> hasSettings() || measuresGpus()));
    } catch (RuntimeException | Error e) {
      gpuBackends.forEach(Backend::close);
      cpuBackends.forEach(Backend::close);
      throw e;
    }
    // Spelled out here and in close: what is a lambda loads the class, for nothing in most
    // processes.
    gpuPowerHistory =
        config.gpuPowerHistory().isEmpty()
            ? Optional.empty()
            : Optional.of(
                PowerHistory.ofGpus(
                    this::gpuSet, config.gpuPowerHistory().get(), config.gpuPowerPollHz()));
    cpuPowerHistory =
        config.cpuPowerHistory().isEmpty()
            ? Optional.empty()
            : Optional.of(
                PowerHistory.ofCpus(
                    this::cpuSet, config.cpuPowerHistory().get(), config.cpuPowerPollHz()));
  }

  /**
   * Opens the real devices of this machine, as {@link NodeConfig#defaults} has them.
   *
   * @return the node; closing it ends its threads
   */
  public static Node open() {
    return open(NodeConfig.defaults());
  }

  /**
   * Finds the devices and starts their threads. A driver that takes its time is not waited for: its
   * GPUs come later.
   *
   * @param config which devices, how often they are read, and where state is kept
   * @return the node; closing it ends its threads
   * @throws NodeException if a backend that {@code config} insists on is not there
   */
  public static Node open(NodeConfig config) {
    return open(config, Optional.empty());
  }

  /**
   * The same, for a process that is started anew when it ends: where the GPUs' driver turns out to
   * have been upgraded, the new one's library is not loaded into this process. All GPUs fail then.
   *
   * @param config which devices, how often they are read, and where state is kept
   * @param afterDriverUpgrade called once then, on a thread of this node, which it must not hold up
   * @return the node; closing it ends its threads
   */
  public static Node open(NodeConfig config, Runnable afterDriverUpgrade) {
    return open(config, Optional.of(afterDriverUpgrade));
  }

  private static Node open(NodeConfig config, Optional<Runnable> afterDriverUpgrade) {
    return new Node(
        config,
        List.of(NodeBackends.gpus(config, afterDriverUpgrade)),
        List.of(NodeBackends.cpus(config)),
        NanoClock.SYSTEM);
  }

  /**
   * A node of devices that the caller brings, beside those that {@code config} names ({@link
   * GpuBackend#NONE} and {@link CpuBackend#NONE} for no others). It closes the backends.
   *
   * @param config which devices, how often they are read, and where state is kept
   * @param gpuBackends of GPUs; closed with the node
   * @param cpuBackends of CPUs; closed with the node
   * @return the node; closing it closes the backends
   * @throws NodeException if two GPUs or two CPUs have the same id, or a backend that {@code
   *     config} insists on is not there
   */
  public static Node of(
      NodeConfig config, List<Backend<Gpu>> gpuBackends, List<Backend<Cpu>> cpuBackends) {
    return of(config, gpuBackends, cpuBackends, NanoClock.SYSTEM);
  }

  /**
   * The same by another clock, for tests: devices are read, leases end and readings are dated by
   * it.
   *
   * @param config which devices, how often they are read, and where state is kept
   * @param gpuBackends of GPUs; closed with the node
   * @param cpuBackends of CPUs; closed with the node
   * @param clock what they go by, such as the testkit's
   * @return the node; closing it closes the backends
   */
  public static Node of(
      NodeConfig config,
      List<Backend<Gpu>> gpuBackends,
      List<Backend<Cpu>> cpuBackends,
      NanoClock clock) {
    List<Backend<Gpu>> gpus = new ArrayList<>(gpuBackends);
    List<Backend<Cpu>> cpus = new ArrayList<>(cpuBackends);
    gpus.add(NodeBackends.gpus(config, Optional.empty()));
    cpus.add(NodeBackends.cpus(config));
    return new Node(config, gpus, cpus, clock);
  }

  /**
   * {@return the GPUs by id, each with its thread} Ids never change, and a list that was returned
   * does not, either; but this one may be longer the next time. Two things make it look for more,
   * at most every few seconds: that there are none so far, where it waits for the driver, two
   * seconds at most; and that NVML was initialised anew, as after a reload of the driver, where it
   * does not wait. When there are more, {@link #gpuPower} is another one, and subscriptions of the
   * former are closed.
   */
  public List<DeviceWorker<Gpu>> gpus() {
    return gpuSet().devices();
  }

  /** {@return the {@link #gpus} and their {@link #gpuPower} of the same moment} */
  public DeviceSet<Gpu, GpuPowerSample> gpuSet() {
    return gpus.now();
  }

  /**
   * {@return the {@link #gpus} of now, for those who want to know nothing of threads} Where there
   * are none and the driver is still being opened, this waits for it, 30 s at most.
   */
  public List<NodeGpu> eachGpu() {
    return gpus.onceOpened().devices().stream().map(gpu -> new NodeGpu(this, gpu)).toList();
  }

  /**
   * One of them.
   *
   * @param id the GPU's id
   * @return the GPU
   * @throws NodeException if there is none with this id
   */
  public NodeGpu gpu(int id) {
    return eachGpu().stream()
        .filter(gpu -> gpu.id() == id)
        .findFirst()
        .orElseThrow(() -> noSuch("GPU", id, gpus()));
  }

  private NodeException noSuch(String kind, int id, List<? extends DeviceWorker<?>> devices) {
    List<Integer> ids = devices.stream().<Integer>map(DeviceWorker::id).toList();
    String why = ids.isEmpty() ? String.join("; ", problems()) : "there are " + ids;
    return new NodeException(
        "there is no %s %d%s".formatted(kind, id, why.isEmpty() ? "" : ": " + why));
  }

  /** {@return power readings of the {@link #gpus}, one by one or as a stream} */
  public PowerSampler<Gpu, GpuPowerSample> gpuPower() {
    return gpus.power();
  }

  /**
   * {@return the CPU packages by id, each with its thread} Looked for again as the {@link #gpus}
   * are.
   */
  public List<DeviceWorker<Cpu>> cpus() {
    return cpuSet().devices();
  }

  /** {@return the {@link #cpus} and their {@link #cpuPower} of the same moment} */
  public DeviceSet<Cpu, CpuPowerSample> cpuSet() {
    return cpus.now();
  }

  /** {@return the {@link #cpus} of now, for those who want to know nothing of threads} */
  public List<NodeCpu> eachCpu() {
    return cpus().stream().map(cpu -> new NodeCpu(this, cpu)).toList();
  }

  /**
   * One of them.
   *
   * @param id the CPU's id
   * @return the CPU
   * @throws NodeException if there is none with this id
   */
  public NodeCpu cpu(int id) {
    return eachCpu().stream()
        .filter(cpu -> cpu.id() == id)
        .findFirst()
        .orElseThrow(() -> noSuch("CPU", id, cpus()));
  }

  /** {@return power readings of the {@link #cpus}, one by one or as a stream} */
  public PowerSampler<Cpu, CpuPowerSample> cpuPower() {
    return cpus.power();
  }

  /**
   * {@return the power of these GPUs, each time that it changes, for any number of subscribers} A
   * subscriber that falls behind goes on with the latest values. {@code onError} is called if there
   * is no such GPU, {@code onComplete} when the node is closed.
   *
   * @param gpuIds the GPUs
   */
  public Flow.Publisher<GpuPowerSample> gpuPowerPublisher(Collection<Integer> gpuIds) {
    List<Integer> ids = List.copyOf(gpuIds);
    return new SamplePublisher<>(() -> gpuSet().power().subscribe(ids));
  }

  /**
   * As {@link #gpuPowerPublisher}, of CPUs.
   *
   * @param cpuIds the CPUs
   * @return as {@link #gpuPowerPublisher}
   */
  public Flow.Publisher<CpuPowerSample> cpuPowerPublisher(Collection<Integer> cpuIds) {
    List<Integer> ids = List.copyOf(cpuIds);
    return new SamplePublisher<>(() -> cpuSet().power().subscribe(ids));
  }

  /** What came of {@link #releaseGpus}. */
  public enum Release {
    /** The driver is let go of. */
    DONE,
    /** Power is streamed, so that it would be opened again at once. */
    STREAMED,
    /** A lease holds settings, or they have to be put back: the driver might forget them. */
    LEASED,
    /** A power history is kept of them, so that it would be opened again at once. */
    RECORDED,
    /** An energy window measures GPUs, so that it would be opened again at once. */
    MEASURED,
    /** A call seems to hang, so that it cannot be let go of. */
    BUSY
  }

  /**
   * Lets go of the GPUs' driver, so that it can be unloaded or a GPU unbound, reset or partitioned.
   * The next call of a GPU opens it again. While no other process has it open either and
   * persistence mode is off, the driver forgets the power limits that were set.
   *
   * @return whether that was done, or why not
   */
  public Release releaseGpus() {
    if (gpuPowerHistory.isPresent()) {
      return Release.RECORDED;
    }
    if (measuresGpus()) {
      return Release.MEASURED;
    }
    if (gpus.power().isSubscribed()) {
      return Release.STREAMED;
    }
    if (hasSettings()) {
      return Release.LEASED;
    }
    return gpus.release() ? Release.DONE : Release.BUSY;
  }

  private boolean hasSettings() {
    return leases.isPresent() && leases.get().isInUse();
  }

  private boolean measuresGpus() {
    return energy.isPresent() && energy.get().measuresGpus();
  }

  /**
   * {@return who may change which settings of the {@link #gpus}, and how they come back} The first
   * call goes on with what an earlier process has left in the state directory, if there is one;
   * without such a call, that stays as it is.
   *
   * @throws NodeException if the node is closed and there was no such call before
   */
  public Leases leases() {
    if (leases.isEmpty()) {
      synchronized (this) {
        if (leases.isEmpty()) {
          requireOpen();
          leases =
              Optional.of(
                  new Leases(
                      this::gpus,
                      config.stateDir(),
                      config.baseline(),
                      clock,
                      LeaseObserver.ofAll(leaseObservers)));
        }
      }
    }
    return leases.get();
  }

  /**
   * Measures the energy of the devices over time. The first call goes on with the windows that an
   * earlier process has left open in the state directory, if there are any.
   *
   * @return what measures the energy of the devices over time
   * @throws NodeException if the node is closed and there was no such call before
   */
  public EnergyMeter energy() {
    if (energy.isEmpty()) {
      synchronized (this) {
        if (energy.isEmpty()) {
          requireOpen();
          energy =
              Optional.of(new EnergyMeter(this::gpuSet, this::cpuSet, config.stateDir(), clock));
        }
      }
    }
    return energy.get();
  }

  /**
   * Runs {@code work} and tells the energy that all devices have used meanwhile. What it throws is
   * passed on.
   *
   * @param <E> what {@code work} may throw
   * @param work what to measure; it runs on the calling thread
   * @return the energy that all devices have used meanwhile
   * @throws E if {@code work} does
   */
  public <E extends Exception> WindowEnergy energyOf(Work<E> work) throws E {
    gpus.onceOpened();
    return energyOf(energy().begin(), work);
  }

  <E extends Exception> WindowEnergy energyOf(WindowRequest request, Work<E> work) throws E {
    return energyOf(energy().begin(request), work);
  }

  private static <E extends Exception> WindowEnergy energyOf(EnergyWindow window, Work<E> work)
      throws E {
    try (window) {
      work.run();
      return window.end();
    }
  }

  /** As {@link #energy}, if an earlier process has left windows open; else this does nothing. */
  public void resumeEnergyWindows() {
    if (EnergyMeter.hasLeftWindows(config.stateDir())) {
      energy();
    }
  }

  /** {@return what the power of GPUs was, if the configuration has it kept} */
  public Optional<PowerHistory> gpuPowerHistory() {
    return gpuPowerHistory;
  }

  /** {@return what the power of CPUs was, if the configuration has it kept} */
  public Optional<PowerHistory> cpuPowerHistory() {
    return cpuPowerHistory;
  }

  /** {@return for how long power is kept, if it is} */
  public Optional<Duration> powerHistoryLength() {
    return config.gpuPowerHistory().or(config::cpuPowerHistory);
  }

  private void requireOpen() {
    if (closed) {
      throw new NodeException("the node is closed");
    }
  }

  /**
   * Has somebody told what becomes of leases and settings without a request, from now on; before
   * the first call of {@link #leases} nothing does.
   *
   * @param observer told from now on, by the threads that change leases; it must not wait
   */
  public void observeLeases(LeaseObserver observer) {
    leaseObservers.add(observer);
  }

  /**
   * Takes a lease of settings of these GPUs, which lasts until it is closed or this process ends.
   * All then go back to what they were, even if this process is killed: by the next one that opens
   * a node with the same state directory.
   *
   * @param gpuIds the GPUs
   * @param settingKeys which settings of each of them
   * @return the lease
   * @throws LeaseException if it cannot be had
   * @throws NodeException as {@link #leases}
   */
  public Lease lease(Collection<Integer> gpuIds, Set<SettingKey> settingKeys) {
    Leases all = leases();
    LeaseRequest request =
        new LeaseRequest(
            "process " + ProcessHandle.current().pid(),
            EMBEDDED_TTL,
            Duration.ZERO,
            LeaseRequest.OnEnd.RESTORE);
    Lease lease = all.take(all.settings(gpuIds, settingKeys), request);
    lease.keep();
    return lease;
  }

  /**
   * For people: why there are no GPUs or no CPUs, and what else was found to be wrong when devices
   * were last looked for, which this does not do. Empty if nothing is.
   *
   * @return why there are no GPUs or no CPUs, and what else is wrong, for people
   */
  public List<String> problems() {
    List<String> problems = new ArrayList<>(gpus.problems());
    problems.addAll(cpus.problems());
    return List.copyOf(problems);
  }

  /**
   * Ends all leases, saves energy windows, and closes all subscriptions, the devices' threads and
   * the backends. Commands that wait are refused. Idempotent.
   */
  @Override
  public void close() {
    synchronized (this) {
      closed = true;
    }
    leases.ifPresent(Leases::close);
    energy.ifPresent(EnergyMeter::close);
    if (gpuPowerHistory.isPresent()) {
      gpuPowerHistory.get().close();
    }
    if (cpuPowerHistory.isPresent()) {
      cpuPowerHistory.get().close();
    }
    List<DeviceWorker<?>> workers = new ArrayList<>(gpus.endSampling());
    workers.addAll(cpus.endSampling());
    DeviceWorker.closeAll(workers);
    gpus.closeBackends();
    cpus.closeBackends();
  }
}
