package dev.zeusd.ffm.nvml;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.zeusd.bench.PieceBenchmark;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** A reading of power from the fake driver: from Java, and as the floor, from C. */
@State(Scope.Thread)
public class NvmlCallBenchmark extends PieceBenchmark {
  private static final int LOOP = 1000;

  private NvmlLibrary library;
  private NvmlDevice device;
  private MethodHandle loop;

  /** Loads both libraries, which LD_LIBRARY_PATH leads to. */
  @Setup
  @SuppressWarnings("restricted")
  public void open() throws NvmlException {
    library = NvmlLibrary.open();
    device = library.device(0);
    SymbolLookup lookup = SymbolLookup.libraryLookup("libnvml_loop.so", Arena.global());
    loop =
        Linker.nativeLinker()
            .downcallHandle(
                lookup.find("zeusd_bench_read_power").orElseThrow(),
                FunctionDescriptor.of(JAVA_LONG, JAVA_INT));
  }

  /** Shuts NVML down. */
  @TearDown
  public void close() {
    library.close();
  }

  /** The call as the daemon makes it. */
  @Benchmark
  public long fromJava() throws NvmlException {
    return device.instantPowerMw();
  }

  /** The same call in a loop in C. */
  @Benchmark
  @OperationsPerInvocation(LOOP)
  public long fromC() throws Throwable {
    long sum = (long) loop.invokeExact(LOOP);
    if (sum == 0) {
      throw new IllegalStateException("the loop in C could not read the power");
    }
    return sum;
  }
}
