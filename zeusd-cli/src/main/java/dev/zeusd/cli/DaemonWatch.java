package dev.zeusd.cli;

import dev.zeusd.cli.DaemonState.Device;
import dev.zeusd.cli.DaemonState.Kind;
import dev.zeusd.client.ApiGroup;
import dev.zeusd.client.ClientConfig;
import dev.zeusd.client.CpuEnergy;
import dev.zeusd.client.CpuPower;
import dev.zeusd.client.Discovery;
import dev.zeusd.client.GpuTelemetry;
import dev.zeusd.client.LeaseInfo;
import dev.zeusd.client.PowerScope;
import dev.zeusd.client.ZeusdClient;
import dev.zeusd.client.ZeusdException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.concurrent.CountDownLatch;
import java.util.function.Supplier;

/** One daemon, asked now and then by a thread of its own. What it does not tell is left out. */
final class DaemonWatch implements AutoCloseable {
  private static final int HISTORY = 240;
  private static final Duration TIMEOUT = Duration.ofSeconds(15);

  private final ZeusdClient client;
  private final int intervalSeconds;
  private final CountDownLatch first = new CountDownLatch(1);

  // Of the thread that asks: by the titles of devices.
  private final Map<String, Past> pasts = new HashMap<>();

  private volatile DaemonState state;
  private volatile boolean closed;

  DaemonWatch(ClientConfig config, int intervalSeconds) {
    this.client = ZeusdClient.open(config.withTimeout(TIMEOUT));
    this.intervalSeconds = intervalSeconds;
    this.state = new DaemonState(config.endpoint().toString(), List.of(), Optional.empty());
  }

  void start() {
    Thread.ofPlatform().daemon().name("ask " + state.daemon()).start(this::askNowAndThen);
  }

  DaemonState state() {
    return state;
  }

  void awaitFirst() throws InterruptedException {
    first.await();
  }

  private void askNowAndThen() {
    try {
      while (!closed) {
        askOnce();
        first.countDown();
        Thread.sleep(intervalSeconds * 1000L);
      }
    } catch (InterruptedException e) {
      // Nobody interrupts it.
      first.countDown();
    }
  }

  void askOnce() {
    try {
      state = new DaemonState(state.daemon(), ask(), Optional.empty());
    } catch (ZeusdException e) {
      state = new DaemonState(state.daemon(), state.devices(), Optional.of(e.getMessage()));
    } catch (RuntimeException e) {
      String why = "what answers at " + state.daemon() + " is not understood: " + e;
      state = new DaemonState(state.daemon(), state.devices(), Optional.of(why));
    }
  }

  private List<Device> ask() {
    Discovery discovery = client.discover();
    List<Device> devices = new ArrayList<>();
    if (discovery.enabledApiGroups().contains(ApiGroup.GPU_READ)) {
      addGpus(discovery, devices);
    }
    if (discovery.enabledApiGroups().contains(ApiGroup.CPU_READ)) {
      addCpus(discovery, devices);
    }
    return List.copyOf(devices);
  }

  /** Empty where nothing could be read, or this user may not; but not if the daemon is gone. */
  private static <T> Map<Integer, T> values(Supplier<Map<Integer, T>> ask) {
    try {
      return ask.get();
    } catch (ZeusdException e) {
      if (e.status().isEmpty() || e.status().getAsInt() == 401) {
        throw e;
      }
      return Map.of();
    }
  }

  private void addGpus(Discovery discovery, List<Device> devices) {
    Map<Integer, Long> powerMw = values(() -> client.gpuPower().powerMw().values());
    Map<Integer, Long> energyMj = values(() -> client.gpuEnergyMj().values());
    Map<Integer, GpuTelemetry> telemetry = values(() -> client.gpuTelemetry().values());
    Map<Integer, String> holders =
        discovery.enabledApiGroups().contains(ApiGroup.GPU_CONTROL)
            ? values(() -> holders(client.leases()))
            : Map.of();
    for (Discovery.Gpu gpu : discovery.gpus()) {
      int id = gpu.id();
      Optional<GpuTelemetry> told = Optional.ofNullable(telemetry.get(id));
      OptionalLong limitMw =
          told.map(
                  t ->
                      t.enforcedPowerLimitMw().isPresent()
                          ? t.enforcedPowerLimitMw()
                          : t.powerLimitMw())
              .orElse(OptionalLong.empty());
      devices.add(
          device(
              Kind.GPU,
              id,
              gpu.name(),
              gpu.name() + gpu.uuid().orElse(""),
              scaled(powerMw.get(id), 1e3),
              scaled(energyMj.get(id), 1e3),
              limitMw.isPresent() ? scaled(limitMw.getAsLong(), 1e3) : OptionalDouble.empty(),
              told,
              gpu.powerScope().equals(Optional.of(PowerScope.MODULE)),
              holders.getOrDefault(id, "")));
    }
  }

  private void addCpus(Discovery discovery, List<Device> devices) {
    Map<Integer, CpuPower> power = values(() -> client.cpuPower().power().values());
    Map<Integer, CpuEnergy> energy = values(() -> client.cpuEnergy().values());
    List<Device> drams = new ArrayList<>();
    for (Discovery.Cpu cpu : discovery.cpus()) {
      CpuPower now = power.get(cpu.id());
      CpuEnergy sum = energy.get(cpu.id());
      if (now == null && sum == null) {
        continue; // It may not be read, or holds others, as psys does: no part of "all CPUs".
      }
      devices.add(
          device(
              Kind.CPU,
              cpu.id(),
              "",
              "",
              now == null ? OptionalDouble.empty() : scaled(now.cpuMw(), 1e3),
              sum == null ? OptionalDouble.empty() : scaled(sum.cpuEnergyUj(), 1e6),
              OptionalDouble.empty(),
              Optional.empty(),
              false,
              ""));
      if (cpu.dramAvailable()) {
        drams.add(
            device(
                Kind.DRAM,
                cpu.id(),
                "",
                "",
                now == null ? OptionalDouble.empty() : scaled(now.dramMw(), 1e3),
                sum == null ? OptionalDouble.empty() : scaled(sum.dramEnergyUj(), 1e6),
                OptionalDouble.empty(),
                Optional.empty(),
                false,
                ""));
      }
    }
    devices.addAll(drams);
  }

  private Device device(
      Kind kind,
      int id,
      String name,
      String identity,
      OptionalDouble powerW,
      OptionalDouble counterJ,
      OptionalDouble limitW,
      Optional<GpuTelemetry> telemetry,
      boolean ofModule,
      String holder) {
    String title = kind + " " + id;
    Past past = pasts.get(title);
    if (past == null || !past.identity.equals(identity)) {
      past = new Past(identity);
      pasts.put(title, past);
    }
    powerW.ifPresent(past::addPower);
    OptionalDouble energyJ = past.energyJ(counterJ);
    return new Device(
        state.daemon(),
        kind,
        id,
        name,
        powerW,
        limitW,
        energyJ,
        telemetry.map(GpuTelemetry::smClockMhz).orElse(OptionalInt.empty()),
        telemetry.map(GpuTelemetry::temperatureC).orElse(OptionalInt.empty()),
        telemetry.map(GpuTelemetry::gpuUtilizationPct).orElse(OptionalInt.empty()),
        ofModule,
        holder,
        past.powersW.stream().mapToDouble(Double::doubleValue).toArray());
  }

  /** What was seen of one device. There may be another one behind its id, later. */
  private static final class Past {
    private final String identity;
    private final List<Double> powersW = new ArrayList<>();
    private OptionalDouble lastJ = OptionalDouble.empty();
    private double sumJ;

    Past(String identity) {
      this.identity = identity;
    }

    void addPower(double powerW) {
      powersW.add(powerW);
      if (powersW.size() > HISTORY) {
        powersW.removeFirst();
      }
    }

    /** What a counter has counted since it was seen first, resets left out. */
    OptionalDouble energyJ(OptionalDouble counterJ) {
      if (counterJ.isEmpty()) {
        return OptionalDouble.empty();
      }
      sumJ += Math.max(0, counterJ.getAsDouble() - lastJ.orElse(counterJ.getAsDouble()));
      lastJ = counterJ;
      return OptionalDouble.of(sumJ);
    }
  }

  private static OptionalDouble scaled(Long value, double by) {
    return value == null ? OptionalDouble.empty() : OptionalDouble.of(value / by);
  }

  private static OptionalDouble scaled(OptionalLong value, double by) {
    return value.isPresent() ? OptionalDouble.of(value.getAsLong() / by) : OptionalDouble.empty();
  }

  private static Map<Integer, String> holders(List<LeaseInfo> leases) {
    Map<Integer, String> holders = new HashMap<>();
    for (LeaseInfo lease : leases) {
      lease.gpuIds().forEach(id -> holders.putIfAbsent(id, lease.holder()));
    }
    return holders;
  }

  @Override
  public void close() {
    closed = true;
    client.close();
  }
}
