package dev.zeusd.server.metrics;

import io.prometheus.metrics.model.snapshots.CounterSnapshot;
import io.prometheus.metrics.model.snapshots.CounterSnapshot.CounterDataPointSnapshot;
import io.prometheus.metrics.model.snapshots.Exemplars;
import io.prometheus.metrics.model.snapshots.GaugeSnapshot;
import io.prometheus.metrics.model.snapshots.GaugeSnapshot.GaugeDataPointSnapshot;
import io.prometheus.metrics.model.snapshots.InfoSnapshot;
import io.prometheus.metrics.model.snapshots.InfoSnapshot.InfoDataPointSnapshot;
import io.prometheus.metrics.model.snapshots.Labels;
import io.prometheus.metrics.model.snapshots.MetricMetadata;
import io.prometheus.metrics.model.snapshots.MetricSnapshot;
import io.prometheus.metrics.model.snapshots.MetricSnapshots;
import io.prometheus.metrics.model.snapshots.Quantiles;
import io.prometheus.metrics.model.snapshots.SummarySnapshot;
import io.prometheus.metrics.model.snapshots.SummarySnapshot.SummaryDataPointSnapshot;
import io.prometheus.metrics.model.snapshots.UnknownSnapshot;
import io.prometheus.metrics.model.snapshots.UnknownSnapshot.UnknownDataPointSnapshot;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** Metrics with their samples, as they are put together; one without samples is left out. */
final class Families {
  private final List<MetricSnapshot> all = new ArrayList<>();

  /** Takes the samples of a metric. */
  interface Samples {
    void add(Labels labels, double value);
  }

  void gauge(String name, String help, Consumer<Samples> source) {
    List<GaugeDataPointSnapshot> points = new ArrayList<>();
    source.accept((labels, value) -> points.add(new GaugeDataPointSnapshot(value, labels, null)));
    if (!points.isEmpty()) {
      all.add(new GaugeSnapshot(new MetricMetadata(name, help), points));
    }
  }

  /**
   * A counter.
   *
   * @param name without the {@code _total} at its end
   */
  void counter(String name, String help, Consumer<Samples> source) {
    List<CounterDataPointSnapshot> points = new ArrayList<>();
    source.accept(
        (labels, value) -> points.add(new CounterDataPointSnapshot(value, labels, null, 0)));
    if (!points.isEmpty()) {
      all.add(new CounterSnapshot(new MetricMetadata(name, help), points));
    }
  }

  /** Numbers under a name that somebody else has chosen, by other rules. */
  void untyped(String name, String help, Consumer<Samples> source) {
    List<UnknownDataPointSnapshot> points = new ArrayList<>();
    source.accept((labels, value) -> points.add(new UnknownDataPointSnapshot(value, labels, null)));
    if (!points.isEmpty()) {
      all.add(new UnknownSnapshot(new MetricMetadata(name, help), points));
    }
  }

  /**
   * What there is to say about something.
   *
   * @param name without the {@code _info} at its end
   */
  void info(String name, String help, List<Labels> facts) {
    if (!facts.isEmpty()) {
      List<InfoDataPointSnapshot> points = facts.stream().map(InfoDataPointSnapshot::new).toList();
      all.add(new InfoSnapshot(new MetricMetadata(name, help), points));
    }
  }

  /** Takes how often something happened, and how long that took together. */
  interface Durations {
    void add(Labels labels, long count, double sumSeconds);
  }

  void durations(String name, String help, Consumer<Durations> source) {
    List<SummaryDataPointSnapshot> points = new ArrayList<>();
    source.accept(
        (labels, count, seconds) ->
            points.add(
                new SummaryDataPointSnapshot(
                    count, seconds, Quantiles.EMPTY, labels, Exemplars.EMPTY, 0)));
    if (!points.isEmpty()) {
      all.add(new SummarySnapshot(new MetricMetadata(name, help), points));
    }
  }

  MetricSnapshots done() {
    return new MetricSnapshots(all);
  }
}
