package dev.zeusd.server.metrics;

import dev.zeusd.core.Node;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.server.ApiGroup;
import java.util.List;
import java.util.Set;
import java.util.function.IntSupplier;
import java.util.function.Predicate;

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
   * @param gpus which GPUs may be read
   * @param dcgm whether GPUs are told by the names of NVIDIA's DCGM exporter, too
   * @param deadlineNanos of {@link System#nanoTime}; what has not answered by then is left out
   */
  public record Question(
      Set<ApiGroup> groups,
      Predicate<GpuInfo> gpus,
      boolean dcgm,
      TextFormat format,
      long deadlineNanos) {
    List<DeviceWorker<Gpu>> of(List<DeviceWorker<Gpu>> all) {
      return all.stream().filter(gpu -> gpus.test(gpu.device().info())).toList();
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
