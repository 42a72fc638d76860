package dev.zeusd.server.http;

import dev.zeusd.bench.PieceBenchmark;
import dev.zeusd.core.sampling.GpuPowerSample;
import java.util.List;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;

/** From samples to the bytes that are sent. */
@State(Scope.Thread)
public class WireJsonBenchmark extends PieceBenchmark {
  private static final long NOW_MS = 1_795_454_663_947L;

  private List<GpuPowerSample> samples =
      IntStream.range(0, 4)
          .mapToObj(gpu -> new GpuPowerSample(NOW_MS, gpu, 75_000 + 10_000L * gpu))
          .toList();

  /** The body of get_power, of 4 GPUs; also an event of the snapshot dialect. */
  @Benchmark
  public byte[] gpuPower() {
    return WireJson.gpuPower(samples);
  }
}
