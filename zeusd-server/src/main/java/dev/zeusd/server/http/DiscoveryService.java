package dev.zeusd.server.http;

import static dev.zeusd.server.ApiGroup.CPU_READ;
import static dev.zeusd.server.ApiGroup.GPU_CONTROL;
import static dev.zeusd.server.ApiGroup.GPU_READ;

import dev.zeusd.core.Node;
import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.device.MigInstance;
import dev.zeusd.core.sampling.TimestampClock;
import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.auth.Claims;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/**
 * What is there, the time, what can be asked for, and who a token belongs to; no group has to be
 * enabled for these.
 */
public final class DiscoveryService {
  private final Node node;
  private final Set<ApiGroup> groups;
  private final Access access;

  /** Null before the first request. */
  private volatile Discovery prepared;

  /** Describes the devices of {@code node}. */
  public DiscoveryService(Node node, Set<ApiGroup> groups, Access access) {
    this.node = node;
    this.groups = groups;
    this.access = access;
  }

  /**
   * A GPU.
   *
   * @param vendor who made it, if that is known
   * @param instances those that it is partitioned into, if it is
   */
  record KnownGpu(GpuInfo info, Optional<String> vendor, Optional<List<MigInstance>> instances) {
    private static KnownGpu of(Gpu gpu) {
      return new KnownGpu(gpu.info(), gpu.vendor(), gpu.migInstances());
    }
  }

  private record Discovery(
      List<KnownGpu> gpus, List<CpuInfo> cpus, List<String> problems, byte[] json) {}

  private Discovery discovery() {
    List<KnownGpu> gpus = node.gpus().stream().map(worker -> KnownGpu.of(worker.device())).toList();
    List<CpuInfo> cpus = node.cpus().stream().map(worker -> worker.device().info()).toList();
    List<String> problems = problems(gpus.isEmpty(), cpus.isEmpty());
    Discovery known = prepared;
    // Devices that are found later, and GPUs that did not answer at first.
    return known != null
            && known.gpus.equals(gpus)
            && known.cpus.equals(cpus)
            && known.problems.equals(problems)
        ? known
        : new Discovery(
            gpus,
            cpus,
            problems,
            WireJson.discovery(
                gpus, cpus, groups, access.needsToken(), node.powerHistoryLength(), problems));
  }

  /** Why a whole kind of device is missing, the daemon's configuration included. */
  private List<String> problems(boolean noGpus, boolean noCpus) {
    List<String> problems = new ArrayList<>(node.problems());
    if (noGpus && !groups.contains(GPU_READ) && !groups.contains(GPU_CONTROL)) {
      problems.add("no GPUs: neither gpu-read nor gpu-control is enabled on this daemon");
    }
    if (noCpus && !groups.contains(CPU_READ)) {
      problems.add("no CPUs: cpu-read is not enabled on this daemon");
    }
    return problems;
  }

  /** Registers the endpoints. */
  public void addTo(Routes routes) {
    routes.get(
        "/discover",
        (request, response) -> {
          Query.of(request, Set.of());
          Discovery current = discovery();
          prepared = current;
          Routes.sendJson(request, response, current.json);
        });
    routes.get(
        "/time",
        (request, response) -> {
          Query.of(request, Set.of());
          // For comparison with the timestamps of readings, so of the same clock.
          Routes.sendJson(request, response, WireJson.time(TimestampClock.SYSTEM.nowMs()));
        });
    routes.get(
        "/openapi.json",
        (request, response) -> {
          Query.of(request, Set.of());
          Routes.sendJson(request, response, openApi());
        });
    if (access.isKnownByMoreThanTheSystem()) {
      routes.get(
          "/auth/whoami",
          (request, response) -> {
            Requester requester = access.identify(request);
            Query.of(request, Set.of());
            Optional<String> certificate = requester.certificateSubject();
            if (requester.claims().isEmpty() && certificate.isEmpty()) {
              throw new HttpException(
                  "nobody is asked for a token or a certificate here", Status.NOT_FOUND_404, true);
            }
            List<String> mayUse =
                groups.stream().sorted().filter(requester::mayUse).map(ApiGroup::wireName).toList();
            Claims claims =
                requester
                    .claims()
                    .orElseGet(
                        () -> new Claims(certificate.orElseThrow(), mayUse, Optional.empty()));
            Routes.sendJson(request, response, WireJson.claims(claims, certificate));
          });
    }
  }

  /** Read anew each time: few ask for it, so it need not stay in memory. */
  private static byte[] openApi() {
    try (InputStream document = DiscoveryService.class.getResourceAsStream("openapi.json")) {
      return Objects.requireNonNull(document, "openapi.json").readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
