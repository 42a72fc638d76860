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
   * A client of the daemon that the environment names; see {@link ClientConfig#fromEnvironment}.
   */
  public static ZeusdClient open() {
    return open(ClientConfig.fromEnvironment());
  }

  /** A client of this daemon. Nothing is sent yet. */
  public static ZeusdClient open(ClientConfig config) {
    return new ZeusdClient(config);
  }

  /** Where its daemon is. */
  public Endpoint endpoint() {
    return http.config().endpoint();
  }

  /** What the daemon has. */
  public Discovery discover() {
    return Discovery.of(http.get(Target.of("/discover")).json());
  }

  /** The daemon's clock, by which samples are timed: ms since 1970. */
  public long timeMs() {
    JsonObject json = http.get(Target.of("/time")).json();
    return Json.understood(() -> json.getJsonNumber("timestamp_ms").longValue());
  }

  /** Whose token, or certificate, this client uses; empty where the daemon asks for none. */
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

  /** The power of GPUs now, in mW. */
  public GpuPowers gpuPower(int... gpuIds) {
    return gpuPower(gpus("/gpu/get_power", gpuIds));
  }

  GpuPowers gpuPower(Target target) {
    Http.Text answer = http.get(target);
    JsonObject power = answer.json().getJsonObject("power_mw");
    PerDevice<Long> powerMw =
        Json.perDevice(
            answer,
            "GPU",
            power == null ? JsonObject.EMPTY_JSON_OBJECT : power,
            (byId, id) -> byId.getJsonNumber(id).longValue());
    return new GpuPowers(timestampMs(answer), powerMw);
  }

  /** The energy of GPUs since their driver was loaded, in mJ; unsigned, of 64 bits. */
  public PerDevice<Long> gpuEnergyMj(int... gpuIds) {
    return gpus("/gpu/get_cumulative_energy", gpuIds, json -> Json.unsigned(json, "energy_mj"));
  }

  /** The power limits of GPUs, in mW. */
  public PerDevice<Long> powerLimitMw(int... gpuIds) {
    return powerLimitMw(gpus("/gpu/get_power_limit", gpuIds));
  }

  PerDevice<Long> powerLimitMw(Target target) {
    return Json.perDevice(
        http.get(target), "GPU", json -> json.getJsonNumber("power_limit_mw").longValue());
  }

  /** Which power limits GPUs take. */
  public PerDevice<PowerLimitRange> powerLimitRange(int... gpuIds) {
    return powerLimitRange(gpus("/gpu/get_power_limit_constraints", gpuIds));
  }

  PerDevice<PowerLimitRange> powerLimitRange(Target target) {
    return Json.perDevice(
        http.get(target),
        "GPU",
        json ->
            new PowerLimitRange(
                json.getJsonNumber("min_power_limit_mw").longValue(),
                json.getJsonNumber("max_power_limit_mw").longValue()));
  }

  /** Whether the driver of GPUs stays loaded while nobody uses them. */
  public PerDevice<Boolean> persistenceMode(int... gpuIds) {
    return gpus("/gpu/get_persistence_mode", gpuIds, json -> json.getBoolean("enabled"));
  }

  /** How GPUs are doing: temperatures, clocks, utilisation, memory. */
  public PerDevice<GpuTelemetry> gpuTelemetry(int... gpuIds) {
    return gpus("/gpu/get_telemetry", gpuIds, GpuTelemetry::of);
  }

  /** The power of CPUs now; takes a tenth of a second, unless somebody streams it. */
  public CpuPowers cpuPower(int... cpuIds) {
    Http.Text answer = http.get(cpus("/cpu/get_power", cpuIds));
    JsonObject power = answer.json().getJsonObject("power_mw");
    PerDevice<CpuPower> byCpu =
        Json.perDevice(
            answer,
            "CPU",
            power == null ? JsonObject.EMPTY_JSON_OBJECT : power,
            (byId, id) -> CpuPower.of(byId.getJsonObject(id)));
    return new CpuPowers(timestampMs(answer), byCpu);
  }

  /** The energy of CPUs and their memory since a moment before the first request, in µJ. */
  public PerDevice<CpuEnergy> cpuEnergy(int... cpuIds) {
    Target target = cpus("/cpu/get_cumulative_energy", cpuIds).with("cpu", true).with("dram", true);
    return Json.perDevice(http.get(target), "CPU", CpuEnergy::of);
  }

  /**
   * The power of GPUs in the past.
   *
   * @throws ZeusdException with the status 404 if the daemon keeps none ({@code --history})
   */
  public PowerHistory<List<PowerStep>> gpuPowerHistory(HistoryRange range, int... gpuIds) {
    return PowerHistory.ofGpus(http.get(range.of(gpus("/gpu/power_history", gpuIds))).json());
  }

  /** The same of CPUs and their memory. */
  public PowerHistory<PowerHistory.OfCpu> cpuPowerHistory(HistoryRange range, int... cpuIds) {
    return PowerHistory.ofCpus(http.get(range.of(cpus("/cpu/power_history", cpuIds))).json());
  }

  /** Power of GPUs as it is measured; connects at once. */
  public PowerSamples<GpuPowerSample> streamGpuPower(int... gpuIds) {
    return streamGpuPower(gpus("/gpu/stream_power", gpuIds));
  }

  PowerSamples<GpuPowerSample> streamGpuPower(Target target) {
    return new PowerSamples<>(http, target.with("format", "sample"), SampleReader::gpus);
  }

  /** Power and its limits of the GPUs alone, or of the modules that carry them. */
  public ScopedGpus gpusOf(PowerScope scope) {
    return new ScopedGpus(this, scope);
  }

  /** Power of CPUs as it is measured; connects at once. */
  public PowerSamples<CpuPowerSample> streamCpuPower(int... cpuIds) {
    Target target = cpus("/cpu/stream_power", cpuIds).with("format", "sample");
    return new PowerSamples<>(http, target, SampleReader::cpus);
  }

  /**
   * The same for subscribers. Each has a stream of its own, which goes on over a restart of the
   * daemon; one that does not keep up gets the latest values.
   */
  public Flow.Publisher<GpuPowerSample> gpuPowerPublisher(int... gpuIds) {
    int[] ids = gpuIds.clone();
    return new SamplePublisher<>(() -> streamGpuPower(ids), GpuPowerSample::gpuId);
  }

  /** As {@link #gpuPowerPublisher}, of CPUs. */
  public Flow.Publisher<CpuPowerSample> cpuPowerPublisher(int... cpuIds) {
    int[] ids = cpuIds.clone();
    return new SamplePublisher<>(() -> streamCpuPower(ids), CpuPowerSample::cpuId);
  }

  /** Changes settings of GPUs, for good. {@link #lease} changes them for a while. */
  public GpuSettings settings() {
    return new GpuSettings(http, Map.of(), true);
  }

  /**
   * Takes settings of GPUs for this client alone, and keeps them until the lease is closed.
   *
   * @throws ZeusdException with the status 409 if somebody else has one of them
   */
  public Lease lease(LeaseRequest request) {
    return Lease.take(http, request);
  }

  /** This client's leases; all of them for an admin. */
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

  /** What a window has measured until now. */
  public EnergyReport energySoFar(String windowId) {
    return EnergyReport.of(http.get(energy("/energy/window", windowId)).json());
  }

  /**
   * Ends a window. Should the answer be lost, this may be called again: for ten minutes, the daemon
   * tells the same once more.
   */
  public EnergyReport endEnergyWindow(String windowId) {
    return EnergyReport.of(http.post(energy("/energy/end", windowId), Map.of()).json());
  }

  private static Target energy(String path, String windowId) {
    return Target.of(path).with("window_id", windowId);
  }

  /** This client's windows that are open; all of them for an admin. */
  public List<EnergyWindowInfo> energyWindows() {
    JsonObject json = http.get(Target.of("/energy/windows")).json();
    return Json.understood(
        () -> Json.objects(json, "windows").stream().map(EnergyWindowInfo::of).toList());
  }

  /** What Prometheus is told, in its text format. */
  public String metrics() {
    return http.get(Target.of("/metrics")).text();
  }

  /** The same, with the metrics of GPUs also by the names of NVIDIA's DCGM exporter. */
  public String metricsWithDcgmNames() {
    return http.get(Target.of("/metrics").with("names", "dcgm")).text();
  }

  /** The API as an OpenAPI document. */
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
