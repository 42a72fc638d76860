package dev.zeusd.server.metrics;

import dev.zeusd.core.Node;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.auth.Rights;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.IntSupplier;

/**
 * What Prometheus is told of a node and of the server before it. Whatever that takes is loaded by
 * the first scrape.
 *
 * <p>Thread-safe.
 */
public final class Metrics {
  private final Node node;
  private final RequestCounters requests;
  private final IntSupplier openStreams;
  private final boolean hasLeases;

  /** Null before the first scrape. */
  private volatile Scraper scraper;

  /**
   * Of this node, and of the server that counts requests and streams.
   *
   * @param hasLeases whether settings are lent at all
   */
  public Metrics(Node node, RequestCounters requests, IntSupplier openStreams, boolean hasLeases) {
    this.node = node;
    this.hasLeases = hasLeases;
    this.requests = requests;
    this.openStreams = openStreams;
  }

  /**
   * What is wanted.
   *
   * @param groups of what: nothing is read for others
   * @param rights of whoever asks: nothing is said of other GPUs
   * @param dcgm whether GPUs are told by the names of NVIDIA's DCGM exporter, too
   * @param deadlineNanos of {@link System#nanoTime}; what has not answered by then is left out
   */
  public record Question(
      Set<ApiGroup> groups, Rights rights, boolean dcgm, TextFormat format, long deadlineNanos) {
    /** Of these, the ones that may be read. */
    List<DeviceWorker<Gpu>> of(List<DeviceWorker<Gpu>> all) {
      return all.stream()
          .filter(gpu -> rights.covers(ApiGroup.GPU_READ, gpu.device().info()))
          .toList();
    }

    /**
     * Whether a GPU may be told of.
     *
     * @param gpu empty for one that is not there any more
     */
    boolean covers(ApiGroup group, Optional<GpuInfo> gpu) {
      return groups.contains(group)
          && gpu.map(info -> rights.covers(group, info))
              .orElseGet(() -> rights.refusalOfAllGpus(group, "know of it").isEmpty());
    }
  }

  /** The text for one scrape. */
  public byte[] scrape(Question question) {
    Scraper known = scraper;
    if (known == null) {
      known = new Scraper(node, requests, openStreams, hasLeases);
      scraper = known;
    }
    return known.scrape(question);
  }
}
