package dev.zeusd.server.metrics;

import dev.zeusd.core.DeviceSet;
import dev.zeusd.core.Node;
import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.CpuEnergy;
import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.worker.Answer;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.metrics.CpuFamilies.CpuScrape;
import dev.zeusd.server.metrics.GpuScrape.Readings;
import io.prometheus.metrics.config.EscapingScheme;
import io.prometheus.metrics.expositionformats.ExpositionFormatWriter;
import io.prometheus.metrics.expositionformats.OpenMetricsTextFormatWriter;
import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import io.prometheus.metrics.model.snapshots.MetricSnapshots;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.IntSupplier;

/**
 * Reads each device once and writes what it says. No value is kept from one scrape to the next.
 *
 * <p>Thread-safe.
 */
final class Scraper {
  /** A device whose call takes longer has not answered, and is not waited for by every scrape. */
  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(2);

  private static final int USUAL_BYTES = 48 << 10;

  /** The same objects for all scrapes, so that those that come at the same time share a read. */
  private static final Function<Gpu, Readings> READ_GPU = Readings::of;

  private static final Function<Gpu, Readings> READ_GPU_BUT_POWER = Readings::withoutPower;

  private static final Function<Cpu, CpuEnergy> READ_CPU = Cpu::energy;

  private final Node node;
  private final RequestCounters requests;
  private final IntSupplier openStreams;

  /** Of the GPUs of the last scrape: what they are hardly ever changes. */
  private volatile Map<GpuInfo, GpuLabels> labels = Map.of();

  private final boolean hasLeases;

  /**
   * Puts texts together, on a platform thread that is there while there are scrapes. On a virtual
   * one, the library's {@link java.io.BufferedWriter} begins with a small buffer and copies it for
   * each word by which it grows: 13 MB for a text of 34 kB.
   */
  private final ThreadPoolExecutor text =
      new ThreadPoolExecutor(
          1,
          1,
          1,
          TimeUnit.MINUTES,
          new LinkedBlockingQueue<>(),
          Thread.ofPlatform().daemon().name("metrics").factory());

  /**
   * Of this node, and of the server that counts requests and streams.
   *
   * @param hasLeases whether settings are lent at all
   */
  Scraper(Node node, RequestCounters requests, IntSupplier openStreams, boolean hasLeases) {
    this.node = node;
    this.hasLeases = hasLeases;
    this.requests = requests;
    this.openStreams = openStreams;
    text.allowCoreThreadTimeOut(true);
  }

  /** The text for one scrape. */
  byte[] scrape(Metrics.Question question) {
    // What the daemon has to say of itself is put together while the devices are read.
    List<Running<Cpu, CpuEnergy>> cpus = startCpus(question);
    List<RunningGpu> gpus = startGpus(question);
    Families families = new Families();
    DaemonFamilies.addBuild(families);
    ProcessFamilies.add(families);
    DaemonFamilies.addRequests(requests, openStreams.getAsInt(), families);
    DaemonFamilies.addPowerHistory(node, families);
    boolean mayChange = question.groups().contains(ApiGroup.GPU_CONTROL);
    // Who watches GPUs needs no right to change them to be told that something is not as it was.
    if (mayChange || (hasLeases && question.groups().contains(ApiGroup.GPU_READ))) {
      DaemonFamilies.addLeases(node, question, families);
    }
    addGpus(gpus, question, families);
    addCpus(cpus, question, families);
    DaemonFamilies.addReadTimes(readTimes(question), families);
    MetricSnapshots snapshots = families.done();
    return CompletableFuture.supplyAsync(() -> write(snapshots, question.format()), text).join();
  }

  private List<DaemonFamilies.ReadTimesOf> readTimes(Metrics.Question question) {
    List<DaemonFamilies.ReadTimesOf> all = new ArrayList<>();
    if (question.groups().contains(ApiGroup.GPU_READ)) {
      question.of(node.gpus()).forEach(gpu -> all.add(DaemonFamilies.ReadTimesOf.of("gpu", gpu)));
    }
    if (question.groups().contains(ApiGroup.CPU_READ)) {
      node.cpus().forEach(cpu -> all.add(DaemonFamilies.ReadTimesOf.of("cpu", cpu)));
    }
    return all;
  }

  /** The platform's energy has that of the packages in it, and would be added to it. */
  private static boolean isPackage(DeviceWorker<Cpu> cpu) {
    return cpu.device().info().domain() == CpuInfo.Domain.PACKAGE;
  }

  /** A read that is under way. */
  private record Running<D, T>(D device, CompletableFuture<T> result) {
    static <D, T> Running<D, T> start(DeviceWorker<D> worker, Function<D, T> read) {
      if (worker.inCallNanos() > PATIENCE_NANOS) {
        // Others have waited for it; the next scrape finds out whether it is back.
        return new Running<>(worker.device(), CompletableFuture.failedFuture(Answer.missing()));
      }
      try {
        // On the device's thread, since this one has no time to lose with a driver that hangs.
        return new Running<>(worker.device(), worker.share(read));
      } catch (DeviceException e) {
        return new Running<>(worker.device(), CompletableFuture.failedFuture(e));
      }
    }

    /** Whatever it fails with costs this device only. */
    Optional<T> await(long deadlineNanos) {
      try {
        return Optional.of(Answer.await(result, deadlineNanos));
      } catch (RuntimeException e) {
        return Optional.empty();
      }
    }
  }

  private List<Running<Cpu, CpuEnergy>> startCpus(Metrics.Question question) {
    return question.groups().contains(ApiGroup.CPU_READ)
        ? node.cpus().stream()
            .filter(Scraper::isPackage)
            .map(cpu -> Running.start(cpu, READ_CPU))
            .toList()
        : List.of();
  }

  private static void addCpus(
      List<Running<Cpu, CpuEnergy>> running, Metrics.Question question, Families families) {
    List<CpuScrape> cpus = new ArrayList<>();
    for (Running<Cpu, CpuEnergy> cpu : running) {
      cpus.add(new CpuScrape(cpu.device.info(), cpu.await(question.deadlineNanos())));
    }
    CpuFamilies.add(cpus, families);
  }

  /**
   * A GPU that is being read.
   *
   * @param streamed its power, if it is streamed and so need not be read
   */
  private record RunningGpu(Optional<GpuPowerSample> streamed, Running<Gpu, Readings> reading) {
    static RunningGpu start(DeviceWorker<Gpu> gpu, Optional<GpuPowerSample> streamed) {
      return new RunningGpu(
          streamed, Running.start(gpu, streamed.isPresent() ? READ_GPU_BUT_POWER : READ_GPU));
    }

    Optional<Readings> await(long deadlineNanos) {
      return reading
          .await(deadlineNanos)
          .map(read -> streamed.map(its -> read.withPowerMw(its.powerMw())).orElse(read));
    }
  }

  private List<RunningGpu> startGpus(Metrics.Question question) {
    if (!question.groups().contains(ApiGroup.GPU_READ)) {
      return List.of();
    }
    DeviceSet<Gpu, GpuPowerSample> set = node.gpuSet();
    return question.of(set.devices()).stream()
        .map(gpu -> RunningGpu.start(gpu, set.power().current(gpu.id())))
        .toList();
  }

  private void addGpus(List<RunningGpu> running, Metrics.Question question, Families families) {
    List<GpuScrape> gpus = new ArrayList<>();
    Map<GpuInfo, GpuLabels> known = labels;
    Map<GpuInfo, GpuLabels> used = new HashMap<>();
    for (RunningGpu each : running) {
      Optional<Readings> readings = each.await(question.deadlineNanos());
      Gpu gpu = each.reading.device;
      GpuInfo info = gpu.info();
      GpuLabels its = known.containsKey(info) ? known.get(info) : GpuLabels.of(info);
      used.put(info, its);
      gpus.add(new GpuScrape(info, its, gpu.driver(), readings));
    }
    labels = used;
    GpuFamilies.add(gpus, families);
    if (question.dcgm()) {
      DcgmFamilies.add(gpus, families);
    }
  }

  private static byte[] write(MetricSnapshots snapshots, TextFormat format) {
    ExpositionFormatWriter writer =
        switch (format) {
          case PROMETHEUS -> PrometheusTextFormatWriter.create();
          case OPEN_METRICS -> OpenMetricsTextFormatWriter.create();
        };
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(USUAL_BYTES);
    try {
      writer.write(bytes, snapshots, EscapingScheme.UNDERSCORE_ESCAPING);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes.toByteArray();
  }
}
