package dev.zeusd.server.http;

import static dev.zeusd.server.ApiGroup.CPU_READ;
import static dev.zeusd.server.ApiGroup.GPU_READ;

import dev.zeusd.core.Node;
import dev.zeusd.core.history.PowerHistory;
import dev.zeusd.core.history.PowerHistory.Recorded;
import dev.zeusd.core.history.PowerSteps;
import dev.zeusd.core.history.TimeSteps;
import dev.zeusd.core.sampling.TimestampClock;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.Optional;
import java.util.function.IntToLongFunction;
import java.util.function.Supplier;

/**
 * What the power was, of the groups gpu-read and cpu-read. Where it is not kept, nothing of {@link
 * PowerHistory} is loaded.
 */
public final class HistoryService {
  private final Node node;

  /** Tells what {@code node} has kept. */
  public HistoryService(Node node) {
    this.node = node;
  }

  /** Registers the endpoints. */
  public void addTo(Routes routes) {
    routes.get(
        GPU_READ,
        "/gpu/power_history",
        endpoint("gpu_ids", DevicesById.gpus(node), node::gpuPowerHistory, false));
    routes.get(
        CPU_READ,
        "/cpu/power_history",
        endpoint("cpu_ids", DevicesById.cpus(node), node::cpuPowerHistory, true));
  }

  private static Routes.Endpoint endpoint(
      String idsParameter,
      DevicesById<?> devices,
      Supplier<Optional<PowerHistory>> histories,
      boolean tellsDram) {
    return (request, response, requester) -> {
      Query query = Query.of(request, HistoryQuestion.parameters(idsParameter));
      PowerHistory history = histories.get().orElseThrow(HistoryService::notKept);
      Collection<Integer> ids = devices.wanted(query, idsParameter, requester);
      TimeSteps steps = steps(query, history, ids);
      Routes.sendJson(request, response, json(history, ids, steps, tellsDram));
    };
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
      PowerHistory history, Collection<Integer> ids, TimeSteps steps, boolean tellsDram) {
    StringBuilder json = new StringBuilder("{\"from_ms\":").append(steps.fromMs());
    json.append(",\"to_ms\":").append(steps.toMs());
    json.append(",\"step_ms\":").append(steps.stepMs()).append(",\"power_mw\":{");
    String comma = "";
    for (int id : ids) {
      json.append(comma).append('"').append(id).append("\":");
      Recorded recorded = history.read(id, steps);
      if (tellsDram) {
        appendCpuAndDram(json, recorded);
      } else {
        append(json, recorded.power());
      }
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
