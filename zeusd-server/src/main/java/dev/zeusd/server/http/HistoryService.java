package dev.zeusd.server.http;

import static dev.zeusd.server.ApiGroup.CPU_READ;
import static dev.zeusd.server.ApiGroup.GPU_READ;

import dev.zeusd.core.Node;
import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.history.PowerHistory;
import dev.zeusd.core.history.PowerHistory.Recorded;
import dev.zeusd.core.history.PowerSteps;
import dev.zeusd.core.history.TimeSteps;
import dev.zeusd.core.sampling.TimestampClock;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.function.BiConsumer;
import java.util.function.IntToLongFunction;

/**
 * What the power was, of the groups gpu-read and cpu-read. Where it is not kept, nothing of {@link
 * PowerHistory} is loaded.
 */
public final class HistoryService {
  private static final String GPU_IDS = "gpu_ids";
  private static final String CPU_IDS = "cpu_ids";

  private final Node node;
  private final DevicesById<Gpu> gpus;
  private final DevicesById<Cpu> cpus;

  /** Tells what {@code node} has kept. */
  public HistoryService(Node node) {
    this.node = node;
    this.gpus = DevicesById.gpus(node);
    this.cpus = DevicesById.cpus(node);
  }

  /** Registers the endpoints. */
  public void addTo(Routes routes) {
    routes.get(GPU_READ, "/gpu/power_history", this::gpus);
    routes.get(CPU_READ, "/cpu/power_history", this::cpus);
  }

  private void gpus(ServerRequest request, ServerResponse response, Requester requester) {
    Query query = Query.of(request, HistoryQuestion.parameters(GPU_IDS));
    PowerHistory history = node.gpuPowerHistory().orElseThrow(HistoryService::notKept);
    Collection<Integer> ids = gpus.wanted(query, GPU_IDS, requester);
    TimeSteps steps = steps(query, history, ids);
    byte[] body = json(history, ids, steps, (json, gpu) -> append(json, gpu.power()));
    Routes.sendJson(request, response, body);
  }

  private void cpus(ServerRequest request, ServerResponse response, Requester requester) {
    Query query = Query.of(request, HistoryQuestion.parameters(CPU_IDS));
    PowerHistory history = node.cpuPowerHistory().orElseThrow(HistoryService::notKept);
    Collection<Integer> ids = cpus.wanted(query, CPU_IDS, requester);
    TimeSteps steps = steps(query, history, ids);
    Routes.sendJson(request, response, json(history, ids, steps, HistoryService::appendCpuAndDram));
  }

  private static HttpException notKept() {
    return new HttpException(
        "no power history is kept on this daemon; --history 1h, for example, has it kept",
        Status.NOT_FOUND_404,
        true);
  }

  private static TimeSteps steps(Query query, PowerHistory history, Collection<Integer> ids) {
    long nowMs = TimestampClock.SYSTEM.nowMs();
    long keptMs = nowMs - history.length().toMillis();
    long oldestMs =
        ids.stream()
            .flatMapToLong(id -> history.oldestMs(id).stream())
            .map(ms -> Math.max(ms, keptMs))
            .min()
            .orElse(nowMs + 1);
    return HistoryQuestion.of(query).steps(oldestMs, nowMs, history.periodMs(), ids.size());
  }

  private static byte[] json(
      PowerHistory history,
      Collection<Integer> ids,
      TimeSteps steps,
      BiConsumer<StringBuilder, Recorded> form) {
    StringBuilder json = new StringBuilder("{\"from_ms\":").append(steps.fromMs());
    json.append(",\"to_ms\":").append(steps.toMs());
    json.append(",\"step_ms\":").append(steps.stepMs()).append(",\"power_mw\":{");
    String comma = "";
    for (int id : ids) {
      json.append(comma).append('"').append(id).append("\":");
      form.accept(json, history.read(id, steps));
      comma = ",";
    }
    return json.append("}}").toString().getBytes(StandardCharsets.ISO_8859_1);
  }

  private static void appendCpuAndDram(StringBuilder json, Recorded recorded) {
    append(json.append("{\"cpu_mw\":"), recorded.power());
    json.append(",\"dram_mw\":");
    recorded.dram().ifPresentOrElse(dram -> append(json, dram), () -> json.append("null"));
    json.append('}');
  }

  private static void append(StringBuilder json, PowerSteps power) {
    append(json.append("{\"mean\":"), power, power::meanMw);
    append(json.append(",\"min\":"), power, power::minMw);
    append(json.append(",\"max\":"), power, power::maxMw);
    json.append('}');
  }

  /** Null for a step in which nothing was read. */
  private static void append(StringBuilder json, PowerSteps power, IntToLongFunction value) {
    json.append('[');
    for (int step = 0; step < power.times().count(); step++) {
      json.append(step == 0 ? "" : ",");
      if (power.readings(step) == 0) {
        json.append("null");
      } else {
        json.append(value.applyAsLong(step));
      }
    }
    json.append(']');
  }
}
