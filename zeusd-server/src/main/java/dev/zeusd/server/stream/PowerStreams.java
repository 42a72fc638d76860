package dev.zeusd.server.stream;

import dev.zeusd.core.DeviceSet;
import dev.zeusd.core.Node;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.PowerScope;
import dev.zeusd.core.sampling.PowerSample;
import dev.zeusd.core.sampling.PowerSampler;
import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.StreamFormat;
import dev.zeusd.server.connection.Shares;
import dev.zeusd.server.http.DevicesById;
import dev.zeusd.server.http.Query;
import dev.zeusd.server.http.Routes;
import dev.zeusd.server.http.WireJson;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.function.Supplier;

/** The endpoints of streams of power: what a request asks for, and whether it gets it. */
public final class PowerStreams implements AutoCloseable {
  private static final String FORMAT = "format";

  /** One read of each scope; the same objects for all who ask, so that they share it. */
  private static final Map<PowerScope, Function<Gpu, ?>> OF_SCOPE =
      Map.of(
          PowerScope.GPU, gpu -> gpu.powerMwOf(PowerScope.GPU),
          PowerScope.MODULE, gpu -> gpu.powerMwOf(PowerScope.MODULE));

  private final Node node;
  private final StreamFormat defaultFormat;
  private final Shares shares;
  private final StreamLoop loop = new StreamLoop("power streams");

  /** Streams of {@code node}, of {@code defaultFormat} unless a request asks for another one. */
  public PowerStreams(Node node, StreamFormat defaultFormat, Shares shares) {
    this.node = node;
    this.defaultFormat = defaultFormat;
    this.shares = shares;
  }

  /** Registers the endpoints. */
  public void addTo(Routes routes) {
    routes.get(
        ApiGroup.GPU_READ,
        "/gpu/stream_power",
        handler(
            "gpu_ids",
            DevicesById.gpus(node),
            node::gpuSet,
            OF_SCOPE,
            new Dialects<>(SampleJson::gpu, WireJson::gpuPower)));
    routes.get(
        ApiGroup.CPU_READ,
        "/cpu/stream_power",
        handler(
            "cpu_ids",
            DevicesById.cpus(node),
            node::cpuSet,
            Map.of(),
            new Dialects<>(SampleJson::cpu, WireJson::cpuPower)));
  }

  /**
   * How the samples of one kind are written.
   *
   * @param sample writes one event of the sample dialect, as JSON
   * @param snapshot one event of the snapshot dialect, as JSON
   */
  private record Dialects<S>(
      BiConsumer<S, EventChunk> sample, Function<Collection<S>, byte[]> snapshot) {
    Dialect<S> of(StreamFormat format) {
      return switch (format) {
        case SAMPLE -> new Dialect.Samples<>(sample);
        case SNAPSHOT -> new Dialect.Snapshots<>(snapshot);
      };
    }
  }

  /** The endpoint of one kind; {@code scopes} are the reads of each, if the kind has any. */
  private <D, S extends PowerSample> Routes.Endpoint handler(
      String idsParameter,
      DevicesById<D> devices,
      Supplier<DeviceSet<D, S>> set,
      Map<PowerScope, Function<D, ?>> scopes,
      Dialects<S> dialects) {
    Set<String> parameters =
        scopes.isEmpty() ? Set.of(idsParameter, FORMAT) : Set.of(idsParameter, FORMAT, Query.SCOPE);
    return (request, response, requester) -> {
      Query query = Query.of(request, parameters);
      DeviceSet<D, S> now = set.get();
      List<Integer> ids =
          List.copyOf(devices.wanted(query, idsParameter, now.devices(), requester));
      StreamFormat format =
          query.optional(FORMAT).map(text -> format(query, text)).orElse(defaultFormat);
      Optional<PowerScope> scope = query.scope();
      scope.ifPresent(wanted -> devices.requireSupported(ids, scopes.get(wanted)));
      PowerSampler<D, S> sampler = scope.map(now.power()::of).orElse(now.power());
      SseStream.serve(
          shares,
          request,
          response,
          requester,
          devices.needed(ids),
          stream -> {
            join(stream, sampler, ids, format, dialects.of(format));
            stream.sleepUntilEnded();
          });
    };
  }

  /** What streams have in common that get the same bytes. */
  private record Key(PowerSampler<?, ?> sampler, List<Integer> ids, StreamFormat format) {}

  private <S extends PowerSample> void join(
      SseStream stream,
      PowerSampler<?, S> sampler,
      List<Integer> ids,
      StreamFormat format,
      Dialect<S> dialect) {
    loop.join(
        new Key(sampler, ids, format),
        stream,
        () ->
            new PowerGroup<>(
                stream, onNews -> sampler.subscribe(ids, onNews), dialect, loop::wake));
  }

  private static StreamFormat format(Query query, String text) {
    for (StreamFormat format : StreamFormat.values()) {
      if (format.wireName().equals(text)) {
        return format;
      }
    }
    throw query.malformed(FORMAT, "is not sample or snapshot");
  }

  /** Ends all streams, those of stuck clients included. */
  @Override
  public void close() {
    loop.close();
  }
}
