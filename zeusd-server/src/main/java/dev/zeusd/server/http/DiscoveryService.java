package dev.zeusd.server.http;

import dev.zeusd.core.Node;
import dev.zeusd.server.ApiGroup;
import java.util.Set;

/** What is there, and the time: never authenticated. */
public final class DiscoveryService {
  private final byte[] discovery;

  /** Describes the devices of {@code node} as they are now. */
  public DiscoveryService(Node node, Set<ApiGroup> groups) {
    this.discovery =
        WireJson.discovery(
            node.gpus().stream().map(worker -> worker.device().info()).toList(), groups);
  }

  /** Registers the endpoints. */
  public void addTo(Routes routes) {
    routes.get(
        "/discover",
        (request, response) -> {
          Query.of(request, Set.of());
          Routes.sendJson(response, discovery);
        });
    routes.get(
        "/time",
        (request, response) -> {
          Query.of(request, Set.of());
          Routes.sendJson(response, WireJson.time(System.currentTimeMillis()));
        });
  }
}
