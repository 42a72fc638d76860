package dev.zeusd.server.http;

import static dev.zeusd.server.ApiGroup.GPU_READ;

import dev.zeusd.core.Node;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.sampling.TimestampClock;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.util.Collection;
import java.util.Set;
import java.util.SortedMap;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.function.IntFunction;

/** The group gpu-read. */
public final class GpuReadService {
  private static final String GPU_IDS = "gpu_ids";
  private static final String SCOPE = "scope";

  /** The same objects for all who ask, so that they share the reading. */
  private static final Function<Gpu, GpuPowerSample> POWER_OF_GPU =
      gpu -> sample(gpu, PowerScope.GPU);

  private static final Function<Gpu, GpuPowerSample> POWER_OF_MODULE =
      gpu -> sample(gpu, PowerScope.MODULE);

  private final Node node;
  private final DevicesById<Gpu> gpus;

  /** Reads the GPUs of {@code node}. */
  public GpuReadService(Node node) {
    this.node = node;
    this.gpus = DevicesById.gpus(node);
  }

  /** Registers the endpoints. */
  public void addTo(Routes routes) {
    routes.get(GPU_READ, "/gpu/get_power", this::power);
    routes.get(GPU_READ, "/gpu/get_cumulative_energy", reading(Gpu::energyMj, WireJson::gpuEnergy));
    routes.get(
        GPU_READ, "/gpu/get_power_limit", reading(Gpu::powerLimitMw, WireJson::gpuPowerLimits));
    routes.get(
        GPU_READ,
        "/gpu/get_power_limit_constraints",
        reading(Gpu::powerLimitConstraints, WireJson::gpuPowerLimitConstraints));
    routes.get(
        GPU_READ,
        "/gpu/get_persistence_mode",
        reading(Gpu::persistenceMode, WireJson::gpuPersistenceModes));
    routes.get(GPU_READ, "/gpu/get_telemetry", reading(Gpu::telemetry, WireJson::gpuTelemetry));
  }

  /** The sampler's, whatever it covers; or, if a scope is asked for, of that and nothing else. */
  private void power(ServerRequest request, ServerResponse response, Requester requester) {
    Query query = Query.of(request, Set.of(GPU_IDS, SCOPE));
    IntFunction<CompletableFuture<GpuPowerSample>> read =
        query
            .optional(SCOPE)
            .map(text -> reads(query, text))
            .orElse(id -> node.gpuPower().read(id));
    send(
        new FanOut<>(gpus.wanted(query, GPU_IDS, requester), read),
        samples -> WireJson.gpuPower(samples.values()),
        request,
        response,
        requester);
  }

  private IntFunction<CompletableFuture<GpuPowerSample>> reads(Query query, String scope) {
    Function<Gpu, GpuPowerSample> read =
        switch (scope) {
          case "gpu" -> POWER_OF_GPU;
          case "module" -> POWER_OF_MODULE;
          default -> throw query.malformed(SCOPE, "is not gpu or module");
        };
    return id -> gpus.get(id).runOrShare(read);
  }

  private static GpuPowerSample sample(Gpu gpu, PowerScope scope) {
    long powerMw = gpu.powerMwOf(scope);
    return new GpuPowerSample(TimestampClock.SYSTEM.nowMs(), gpu.info().id(), powerMw);
  }

  private <T> Routes.Endpoint reading(
      Function<Gpu, T> read, Function<SortedMap<Integer, T>, byte[]> json) {
    return asking(id -> gpus.get(id).runOrShare(read), json);
  }

  private <T> Routes.Endpoint asking(
      IntFunction<CompletableFuture<T>> call, Function<SortedMap<Integer, T>, byte[]> json) {
    return (request, response, requester) ->
        send(new FanOut<>(wantedIds(request, requester), call), json, request, response, requester);
  }

  private static <T> void send(
      FanOut<T> all,
      Function<SortedMap<Integer, T>, byte[]> json,
      ServerRequest request,
      ServerResponse response,
      Requester requester) {
    byte[] body = all.answer(request, requester, outcome -> outcome.json(json));
    Routes.sendJson(request, response, body);
  }

  private Collection<Integer> wantedIds(ServerRequest request, Requester requester) {
    return gpus.wanted(Query.of(request, Set.of(GPU_IDS)), GPU_IDS, requester);
  }
}
