package dev.zeusd.server;

import java.util.Objects;
import java.util.Set;

/**
 * How the server serves a node.
 *
 * @param listen where
 * @param groups which endpoints
 * @param streamFormat the dialect of streams that do not ask for one
 */
public record ServerConfig(Listen listen, Set<ApiGroup> groups, StreamFormat streamFormat) {
  /** Takes a copy of the set. */
  public ServerConfig {
    Objects.requireNonNull(listen);
    Objects.requireNonNull(streamFormat);
    groups = Set.copyOf(groups);
  }
}
