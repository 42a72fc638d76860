package dev.zeusd.server.http;

import static dev.zeusd.server.ApiGroup.CPU_READ;
import static dev.zeusd.server.ApiGroup.GPU_READ;

import dev.zeusd.core.Node;
import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.energy.EnergyWindow;
import dev.zeusd.core.energy.WindowRequest;
import dev.zeusd.server.ApiGroup;
import io.helidon.http.Status;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.time.Duration;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.Function;

/**
 * Energy windows, of the groups gpu-read and cpu-read: each window has what its beginner may read.
 */
public final class EnergyService {
  private static final String NAME = "name";
  private static final String GPU_IDS = "gpu_ids";
  private static final String CPU_IDS = "cpu_ids";
  private static final String TTL_S = "ttl_s";
  private static final String WINDOW_ID = "window_id";

  private final Node node;
  private final DevicesById<Gpu> gpus;
  private final DevicesById<Cpu> cpus;

  /** Windows of {@code node}. */
  public EnergyService(Node node) {
    this.node = node;
    this.gpus = DevicesById.gpus(node);
    this.cpus = DevicesById.cpus(node);
  }

  /** Registers the endpoints. */
  public void addTo(Routes routes) {
    Set<ApiGroup> groups = Collections.unmodifiableSet(EnumSet.of(GPU_READ, CPU_READ));
    routes.post(groups, "/energy/begin", this::begin);
    routes.post(
        groups,
        "/energy/end",
        (request, response, requester, own) -> {
          EnergyWindow window = window(request, requester, own, node.energy()::findToEnd);
          Routes.sendJson(request, response, EnergyJson.energy(window.end()));
        });
    routes.get(
        groups,
        "/energy/window",
        (request, response, requester, own) -> {
          EnergyWindow window = window(request, requester, own, node.energy()::find);
          Routes.sendJson(request, response, EnergyJson.energy(window.soFar()));
        });
    routes.get(groups, "/energy/windows", this::list);
  }

  private void begin(
      ServerRequest request, ServerResponse response, Requester requester, Set<ApiGroup> own) {
    Query query = Query.of(request, Set.of(NAME, GPU_IDS, CPU_IDS, TTL_S));
    String name = query.optional(NAME).map(text -> name(query, text)).orElse("");
    Duration ttl =
        query.optional(TTL_S).isPresent()
            ? query.seconds(TTL_S, 1, WindowRequest.MAX_TTL.toSeconds())
            : WindowRequest.DEFAULT_TTL;
    Set<Integer> gpuIds = ids(gpus, GPU_READ, GPU_IDS, query, requester, own);
    Set<Integer> cpuIds = ids(cpus, CPU_READ, CPU_IDS, query, requester, own);
    EnergyWindow window =
        node.energy().begin(new WindowRequest(name, requester.name(), ttl, gpuIds, cpuIds));
    response.status(Status.CREATED_201);
    Routes.sendJson(request, response, EnergyJson.begun(window, node.energy().isCrashSafe()));
  }

  private static String name(Query query, String text) {
    if (text.length() > WindowRequest.MAX_NAME) {
      throw query.malformed(NAME, "is longer than " + WindowRequest.MAX_NAME + " characters");
    }
    if (text.chars().anyMatch(Character::isISOControl)) {
      throw query.malformed(NAME, "has control characters");
    }
    return text;
  }

  /** Those that are named, or all; none where none are named, and the group may not be used. */
  private static Set<Integer> ids(
      DevicesById<?> devices,
      ApiGroup group,
      String parameter,
      Query query,
      Requester requester,
      Set<ApiGroup> own) {
    if (own.contains(group)) {
      return Set.copyOf(devices.wanted(query, parameter, requester));
    }
    if (query.optional(parameter).isPresent()) {
      refuse(group, requester);
    }
    return Set.of();
  }

  /** Says why a group may not be used. */
  private static void refuse(ApiGroup group, Requester requester) {
    requester.require(group);
    throw Routes.notEnabled(group);
  }

  /** The one that is named, if all of its devices may be read. */
  private EnergyWindow window(
      ServerRequest request,
      Requester requester,
      Set<ApiGroup> own,
      Function<String, EnergyWindow> find) {
    String id = Query.of(request, Set.of(WINDOW_ID)).required(WINDOW_ID);
    EnergyWindow window = find.apply(id);
    if (!window.gpuIds().isEmpty()) {
      if (!own.contains(GPU_READ)) {
        refuse(GPU_READ, requester);
      }
      requester.require(GPU_READ, gpus.gpuInfos(window.gpuIds()));
    }
    if (!window.cpuIds().isEmpty() && !own.contains(CPU_READ)) {
      refuse(CPU_READ, requester);
    }
    return window;
  }

  private void list(
      ServerRequest request, ServerResponse response, Requester requester, Set<ApiGroup> own) {
    Query.of(request, Set.of());
    boolean isAdmin = requester.isLeaseAdmin();
    String name = requester.name();
    List<EnergyWindow> shown =
        node.energy().list().stream()
            .filter(window -> isAdmin || window.owner().equals(name))
            .toList();
    Routes.sendJson(request, response, EnergyJson.list(shown));
  }
}
