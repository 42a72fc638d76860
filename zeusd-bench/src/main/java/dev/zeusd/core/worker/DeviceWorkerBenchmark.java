package dev.zeusd.core.worker;

import dev.zeusd.bench.PieceBenchmark;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** The way to a device's thread and back, with next to nothing to do there. */
@State(Scope.Benchmark)
public class DeviceWorkerBenchmark extends PieceBenchmark {
  private static final int LOOP = 1000;

  private DeviceWorker<String> worker;

  /** Starts the device's thread. */
  @Setup
  public void open() {
    worker = new DeviceWorker<>(0, "GPU 0", "GPU");
  }

  /** Ends it. */
  @TearDown
  public void close() {
    worker.close();
  }

  /** Calls one after the other. */
  @Benchmark
  public int fromPlatformThread() {
    return worker.call(String::length);
  }

  /** Calls one after the other; the virtual thread is started once for many. */
  @Benchmark
  @OperationsPerInvocation(LOOP)
  public void fromVirtualThread() throws InterruptedException {
    Thread.ofVirtual()
        .start(
            () -> {
              for (int i = 0; i < LOOP; i++) {
                worker.call(String::length);
              }
            })
        .join();
  }
}
