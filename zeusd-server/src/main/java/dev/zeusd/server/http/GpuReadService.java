package dev.zeusd.server.http;

import static dev.zeusd.server.ApiGroup.GPU_READ;

import dev.zeusd.core.Node;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.sampling.PowerSampler;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.util.Collection;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.function.Function;

/** The group gpu-read. */
public final class GpuReadService {
  private static final String GPU_IDS = "gpu_ids";

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
        GPU_READ,
        "/gpu/get_power_limit",
        reading(Gpu::powerLimitMw, Gpu::modulePowerLimitMw, WireJson::gpuPowerLimits));
    routes.get(
        GPU_READ,
        "/gpu/get_power_limit_constraints",
        reading(
            Gpu::powerLimitConstraints,
            Gpu::modulePowerLimitConstraints,
            WireJson::gpuPowerLimitConstraints));
    routes.get(
        GPU_READ,
        "/gpu/get_persistence_mode",
        reading(Gpu::persistenceMode, WireJson::gpuPersistenceModes));
    routes.get(GPU_READ, "/gpu/get_telemetry", reading(Gpu::telemetry, GpuJson::telemetry));
  }

  /** Whatever the sampler covers; or, if a scope is asked for, that and nothing else. */
  private void power(ServerRequest request, ServerResponse response, Requester requester) {
    Query query = Query.of(request, Set.of(GPU_IDS, Query.SCOPE));
    Collection<Integer> ids = gpus.wanted(query, GPU_IDS, requester);
    PowerSampler<Gpu, GpuPowerSample> whole = node.gpuPower();
    PowerSampler<Gpu, GpuPowerSample> sampler = query.scope().map(whole::of).orElse(whole);
    send(
        new FanOut<>(ids, sampler::read),
        samples -> WireJson.gpuPower(samples.values()),
        request,
        response,
        requester);
  }

  private <T> Routes.Endpoint reading(
      Function<Gpu, T> read, Function<SortedMap<Integer, T>, byte[]> json) {
    return (request, response, requester) -> {
      Query query = Query.of(request, Set.of(GPU_IDS));
      send(reads(query, read, requester), json, request, response, requester);
    };
  }

  /** The same of what the module that carries a GPU may have as well. */
  private <T> Routes.Endpoint reading(
      Function<Gpu, T> ofGpu,
      Function<Gpu, T> ofModule,
      Function<SortedMap<Integer, T>, byte[]> json) {
    return (request, response, requester) -> {
      Query query = Query.of(request, Set.of(GPU_IDS, Query.SCOPE));
      boolean isOfModule = query.scope().equals(Optional.of(PowerScope.MODULE));
      FanOut<T> reads = reads(query, isOfModule ? ofModule : ofGpu, requester);
      send(reads, json, request, response, requester);
    };
  }

  private <T> FanOut<T> reads(Query query, Function<Gpu, T> read, Requester requester) {
    return new FanOut<>(
        gpus.wanted(query, GPU_IDS, requester), id -> gpus.get(id).runOrShare(read));
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
}
