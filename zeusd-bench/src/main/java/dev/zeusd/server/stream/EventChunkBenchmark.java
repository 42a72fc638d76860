package dev.zeusd.server.stream;

import dev.zeusd.bench.PieceBenchmark;
import dev.zeusd.core.sampling.GpuPowerSample;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;

/** From a sample to the bytes that each client of a stream gets. */
@State(Scope.Thread)
public class EventChunkBenchmark extends PieceBenchmark {
  private final EventChunk events = new EventChunk();
  private GpuPowerSample sample = new GpuPowerSample(1_795_454_663_947L, 0, 75_000);

  /** One event of a stream. */
  @Benchmark
  public Object sampleEvent() {
    events.clear();
    SampleJson.gpu(sample, events.beginEvent());
    events.endEvent();
    return events.frame();
  }
}
