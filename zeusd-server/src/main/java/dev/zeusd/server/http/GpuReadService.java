package dev.zeusd.server.http;

import static dev.zeusd.server.ApiGroup.GPU_READ;

import dev.zeusd.core.Node;
import dev.zeusd.core.device.Gpu;
import io.helidon.webserver.http.ServerRequest;
import java.util.Collection;
import java.util.Set;
import java.util.SortedMap;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.function.IntFunction;

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
    routes.get(
        GPU_READ,
        "/gpu/get_power",
        asking(id -> node.gpuPower().read(id), samples -> WireJson.gpuPower(samples.values())));
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

  private <T> Routes.Endpoint reading(
      Function<Gpu, T> read, Function<SortedMap<Integer, T>, byte[]> json) {
    return asking(id -> gpus.get(id).runOrShare(read), json);
  }

  private <T> Routes.Endpoint asking(
      IntFunction<CompletableFuture<T>> call, Function<SortedMap<Integer, T>, byte[]> json) {
    return (request, response, requester) -> {
      FanOut<T> all = new FanOut<>(wantedIds(request, requester), call);
      byte[] body = all.answer(request, requester.connection(), outcome -> outcome.json(json));
      Routes.sendJson(request, response, body);
    };
  }

  private Collection<Integer> wantedIds(ServerRequest request, Requester requester) {
    return gpus.wanted(Query.of(request, Set.of(GPU_IDS)), GPU_IDS, requester);
  }
}
