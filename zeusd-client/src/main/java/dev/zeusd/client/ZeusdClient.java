package dev.zeusd.client;

import jakarta.json.JsonObject;
import java.time.Duration;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Flow;
import java.util.function.Function;

/**
 * A daemon's API. Opens connections when it needs them, keeps some, and may be used from any number
 * of threads; each call waits for its answer.
 *
 * <p>Where ids of devices may be given, none means all that this client may read. A device that
 * cannot be read costs only itself: its error is in {@link PerDevice#errors}. Whatever else goes
 * wrong is a {@link ZeusdException}: the daemon is not reached, it refuses, or none of the devices
 * that were asked for could be read.
 */
public final class ZeusdClient implements AutoCloseable {
  private static final int NOT_FOUND = 404;

  private final Http http;

  private ZeusdClient(ClientConfig config) {
    http = new Http(config);
  }

  /**
   * {@return a client of the daemon that the environment names; see {@link
   * ClientConfig#fromEnvironment}}
   */
  public static ZeusdClient open() {
    return open(ClientConfig.fromEnvironment());
  }

  /**
   * {@return a client of this daemon} Nothing is sent yet.
   *
   * @param config where the daemon is, and how to talk to it
   */
  public static ZeusdClient open(ClientConfig config) {
    return new ZeusdClient(config);
  }

  /** {@return where its daemon is} */
  public Endpoint endpoint() {
    return http.config().endpoint();
  }

  /** {@return what the daemon has} */
  public Discovery discover() {
    return Discovery.of(http.get(Target.of("/discover")).json());
  }

  /** {@return the daemon's clock, by which samples are timed: ms since 1970} */
  public long timeMs() {
    JsonObject json = http.get(Target.of("/time")).json();
    return Json.understood(() -> json.getJsonNumber("timestamp_ms").longValue());
  }

  /**
   * {@return whose token, or certificate, this client uses; empty where the daemon asks for none}
   */
  public Optional<TokenInfo> whoAmI() {
    try {
      return Optional.of(TokenInfo.of(http.get(Target.of("/auth/whoami")).json()));
    } catch (ZeusdException e) {
      if (e.status().orElse(0) == NOT_FOUND) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /**
   * {@return the power of GPUs now, in mW}
   *
   * @param gpuIds the GPUs to ask; none: all
   */
  public GpuPowers gpuPower(int... gpuIds) {
    return gpuPower(gpus("/gpu/get_power", gpuIds));
  }

  GpuPowers gpuPower(Target target) {
    Http.Text answer = http.get(target);
    PerDevice<Long> powerMw =
        Json.perDevice(
            answer,
            "GPU",
            Json.member(answer.json(), "power_mw"),
            (byId, id) -> byId.getJsonNumber(id).longValue());
    return new GpuPowers(timestampMs(answer), powerMw);
  }

  /**
   * {@return the energy of GPUs since their driver was loaded, in mJ; unsigned, of 64 bits}
   *
   * @param gpuIds the GPUs to ask; none: all
   */
  public PerDevice<Long> gpuEnergyMj(int... gpuIds) {
    return gpus("/gpu/get_cumulative_energy", gpuIds, json -> Json.unsigned(json, "energy_mj"));
  }

  /**
   * {@return the power limits of GPUs, in mW}
   *
   * @param gpuIds the GPUs to ask; none: all
   */
  public PerDevice<Long> powerLimitMw(int... gpuIds) {
    return powerLimitMw(gpus("/gpu/get_power_limit", gpuIds));
  }

  PerDevice<Long> powerLimitMw(Target target) {
    return Json.perDevice(
        http.get(target), "GPU", json -> json.getJsonNumber("power_limit_mw").longValue());
  }

  /**
   * {@return which power limits GPUs take}
   *
   * @param gpuIds the GPUs to ask; none: all
   */
  public PerDevice<PowerLimitConstraints> powerLimitConstraints(int... gpuIds) {
    return powerLimitConstraints(gpus("/gpu/get_power_limit_constraints", gpuIds));
  }

  PerDevice<PowerLimitConstraints> powerLimitConstraints(Target target) {
    return Json.perDevice(
        http.get(target),
        "GPU",
        json ->
            new PowerLimitConstraints(
                json.getJsonNumber("min_power_limit_mw").longValue(),
                json.getJsonNumber("max_power_limit_mw").longValue()));
  }

  /**
   * {@return whether the driver of GPUs stays loaded while nobody uses them}
   *
   * @param gpuIds the GPUs to ask; none: all
   */
  public PerDevice<Boolean> persistenceMode(int... gpuIds) {
    return gpus("/gpu/get_persistence_mode", gpuIds, json -> json.getBoolean("enabled"));
  }

  /**
   * {@return how GPUs are doing: temperatures, clocks, utilisation, memory}
   *
   * @param gpuIds the GPUs to ask; none: all
   */
  public PerDevice<GpuTelemetry> gpuTelemetry(int... gpuIds) {
    return gpus("/gpu/get_telemetry", gpuIds, GpuTelemetry::of);
  }

  /**
   * {@return the power of CPUs now; takes a tenth of a second, unless somebody streams it}
   *
   * @param cpuIds the CPUs to ask; none: all
   */
  public CpuPowers cpuPower(int... cpuIds) {
    Http.Text answer = http.get(cpus("/cpu/get_power", cpuIds));
    PerDevice<CpuPower> byCpu =
        Json.perDevice(
            answer,
            "CPU",
            Json.member(answer.json(), "power_mw"),
            (byId, id) -> CpuPower.of(byId.getJsonObject(id)));
    return new CpuPowers(timestampMs(answer), byCpu);
  }

  /**
   * {@return the energy of CPUs and their memory since a moment before the first request, in µJ}
   *
   * @param cpuIds the CPUs to ask; none: all
   */
  public PerDevice<CpuEnergy> cpuEnergy(int... cpuIds) {
    Target target = cpus("/cpu/get_cumulative_energy", cpuIds).with("cpu", true).with("dram", true);
    return Json.perDevice(http.get(target), "CPU", CpuEnergy::of);
  }

  /**
   * {@return the power of GPUs in the past}
   *
   * @param range which time, in which steps
   * @param gpuIds the GPUs to ask; none: all
   * @throws ZeusdException with the status 404 if the daemon keeps none ({@code --history})
   */
  public PowerHistory<List<PowerStep>> gpuPowerHistory(HistoryRange range, int... gpuIds) {
    return PowerHistory.ofGpus(http.get(range.of(gpus("/gpu/power_history", gpuIds))).json());
  }

  /**
   * {@return the same of CPUs and their memory}
   *
   * @param range which time, in which steps
   * @param cpuIds the CPUs to ask; none: all
   */
  public PowerHistory<PowerHistory.OfCpu> cpuPowerHistory(HistoryRange range, int... cpuIds) {
    return PowerHistory.ofCpus(http.get(range.of(cpus("/cpu/power_history", cpuIds))).json());
  }

  /**
   * Power of GPUs as it is measured; connects at once.
   *
   * @param gpuIds the GPUs to ask; none: all
   * @return a stream of the power of GPUs as it is measured; it is connected
   */
  public PowerSamples<GpuPowerSample> streamGpuPower(int... gpuIds) {
    return streamGpuPower(gpus("/gpu/stream_power", gpuIds));
  }

  PowerSamples<GpuPowerSample> streamGpuPower(Target target) {
    return new PowerSamples<>(http, target.with("format", "sample"), SampleReader::gpus);
  }

  /**
   * {@return power and its limits of the GPUs alone, or of the modules that carry them}
   *
   * @param scope the GPUs alone, or their modules
   */
  public ScopedGpus gpusOf(PowerScope scope) {
    return new ScopedGpus(this, scope);
  }

  /**
   * Power of CPUs as it is measured; connects at once.
   *
   * @param cpuIds the CPUs to ask; none: all
   * @return a stream of the power of CPUs as it is measured; it is connected
   */
  public PowerSamples<CpuPowerSample> streamCpuPower(int... cpuIds) {
    Target target = cpus("/cpu/stream_power", cpuIds).with("format", "sample");
    return new PowerSamples<>(http, target, SampleReader::cpus);
  }

  /**
   * {@return the same for subscribers} Each has a stream of its own, which goes on over a restart
   * of the daemon; one that does not keep up gets the latest values.
   *
   * @param gpuIds the GPUs to ask; none: all
   */
  public Flow.Publisher<GpuPowerSample> gpuPowerPublisher(int... gpuIds) {
    int[] ids = gpuIds.clone();
    return new SamplePublisher<>(() -> streamGpuPower(ids), GpuPowerSample::gpuId);
  }

  /**
   * {@return a publisher as {@link #gpuPowerPublisher}, of CPUs}
   *
   * @param cpuIds the CPUs to ask; none: all
   */
  public Flow.Publisher<CpuPowerSample> cpuPowerPublisher(int... cpuIds) {
    int[] ids = cpuIds.clone();
    return new SamplePublisher<>(() -> streamCpuPower(ids), CpuPowerSample::cpuId);
  }

  /**
   * Changes settings of GPUs, for good. {@link #lease} changes them for a while.
   *
   * @return what changes settings of GPUs, for good
   */
  public GpuSettings settings() {
    return new GpuSettings(http, Map.of(), true);
  }

  /**
   * Takes settings of GPUs for this client alone, and keeps them until the lease is closed.
   *
   * @param request which settings of which GPUs, and for how long
   * @return the lease, which goes on until it is closed
   * @throws ZeusdException with the status 409 if somebody else has one of them
   */
  public Lease lease(LeaseRequest request) {
    return Lease.take(http, request);
  }

  /** {@return this client's leases; all of them for an admin} */
  public List<LeaseInfo> leases() {
    JsonObject json = http.get(Target.of("/leases")).json();
    return Json.understood(() -> Json.objects(json, "leases").stream().map(LeaseInfo::of).toList());
  }

  /** Lets the daemon let go of the GPUs' driver, until the next request for a GPU. */
  public void releaseDriver() {
    http.post(Target.of("/gpu/release"), Map.of());
  }

  /**
   * Begins to measure the energy of GPUs and CPUs; none means all that this client may read. The
   * window outlives this client, and the daemon.
   *
   * @param name for people; may be empty
   * @param gpuIds the GPUs to measure; none: all
   * @param cpuIds the CPUs to measure; none: all
   * @param ttl when it is forgotten if nobody has ended it, in whole seconds; up to 30 days
   * @return its id, for {@link #energySoFar} and {@link #endEnergyWindow}
   */
  public String beginEnergyWindow(
      String name, Collection<Integer> gpuIds, Collection<Integer> cpuIds, Duration ttl) {
    Target target =
        Target.of("/energy/begin")
            .withIds("gpu_ids", gpuIds)
            .withIds("cpu_ids", cpuIds)
            .with("ttl_s", ttl.toSeconds());
    Target named = name.isEmpty() ? target : target.with("name", name);
    JsonObject json = http.postOnce(named, 0).json();
    return Json.understood(() -> json.getString("window_id"));
  }

  /**
   * {@return what a window has measured until now}
   *
   * @param windowId as {@link #beginEnergyWindow} has returned it
   */
  public WindowEnergy energySoFar(String windowId) {
    return WindowEnergy.of(http.get(energy("/energy/window", windowId)).json());
  }

  /**
   * Ends a window. Should the answer be lost, this may be called again: for ten minutes, the daemon
   * tells the same once more.
   *
   * @param windowId as {@link #beginEnergyWindow} has returned it
   * @return what the window has measured
   */
  public WindowEnergy endEnergyWindow(String windowId) {
    return WindowEnergy.of(http.post(energy("/energy/end", windowId), Map.of()).json());
  }

  private static Target energy(String path, String windowId) {
    return Target.of(path).with("window_id", windowId);
  }

  /** {@return this client's windows that are open; all of them for an admin} */
  public List<EnergyWindowInfo> energyWindows() {
    JsonObject json = http.get(Target.of("/energy/windows")).json();
    return Json.understood(
        () -> Json.objects(json, "windows").stream().map(EnergyWindowInfo::of).toList());
  }

  /** {@return what Prometheus is told, in its text format} */
  public String metrics() {
    return http.get(Target.of("/metrics")).text();
  }

  /** {@return the same, with the metrics of GPUs also by the names of NVIDIA's DCGM exporter} */
  public String metricsWithDcgmNames() {
    return http.get(Target.of("/metrics").with("names", "dcgm")).text();
  }

  /** {@return the API as an OpenAPI document} */
  public String openApi() {
    return http.get(Target.of("/openapi.json")).text();
  }

  private <T> PerDevice<T> gpus(String path, int[] gpuIds, Function<JsonObject, T> read) {
    return Json.perDevice(http.get(gpus(path, gpuIds)), "GPU", read);
  }

  static Target gpus(String path, int... gpuIds) {
    return Target.of(path).withIds("gpu_ids", list(gpuIds));
  }

  private static Target cpus(String path, int... cpuIds) {
    return Target.of(path).withIds("cpu_ids", list(cpuIds));
  }

  private static List<Integer> list(int... ids) {
    return Arrays.stream(ids).boxed().toList();
  }

  private static long timestampMs(Http.Text answer) {
    JsonObject json = answer.json();
    return Json.understood(() -> json.getJsonNumber("timestamp_ms").longValue());
  }

  /** Closes all connections, streams and what leases are kept by; leases end after their TTL. */
  @Override
  public void close() {
    http.close();
  }
}
