package dev.zeusd.ffm.nvml;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.ffm.fake.ChildJvm;
import dev.zeusd.testkit.nvml.FakeNvmlLibrary;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Reading power allocates no native memory, and little else. */
class HotPathTest {
  private static final int CALLS = 20_000;

  /** Counts a thread's own allocations; preloaded, so that the JVM's go through it too. */
  private static final String COUNTER =
      """
      #include <stddef.h>
      void *__libc_malloc(size_t);
      void *__libc_calloc(size_t, size_t);
      static __thread long count __attribute__((tls_model("initial-exec")));
      void *malloc(size_t n) { count++; return __libc_malloc(n); }
      void *calloc(size_t n, size_t m) { count++; return __libc_calloc(n, m); }
      long allocations_of_this_thread(void) { return count; }
      """;

  @TempDir Path folder;

  /** Counts allocations of calls that need none, and of one that needs some. */
  static final class CountAllocations {
    private interface Call {
      void run() throws NvmlException;
    }

    private static MethodHandle allocations;

    @SuppressWarnings("restricted")
    public static void main(String[] args) throws Throwable {
      allocations =
          Linker.nativeLinker()
              .downcallHandle(
                  SymbolLookup.libraryLookup(System.getenv("LD_PRELOAD"), Arena.global())
                      .find("allocations_of_this_thread")
                      .orElseThrow(),
                  FunctionDescriptor.of(ValueLayout.JAVA_LONG));
      NvmlDevice device = NvmlLibrary.open().device(0);
      measure("name", device::name);
      measure("instantPower", device::instantPowerMw);
      measure("powerUsage", device::powerUsageMw);
      measure("energy", device::totalEnergyMj);
      measure("powerLimit", device::powerLimitMw);
    }

    private static void measure(String name, Call call) throws Throwable {
      var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
      repeat(call);
      long heap = threads.getCurrentThreadAllocatedBytes();
      long before = (long) allocations.invokeExact();
      repeat(call);
      System.out.println(name + "=" + ((long) allocations.invokeExact() - before));
      System.out.println(
          name + "Heap=" + (threads.getCurrentThreadAllocatedBytes() - heap) / CALLS);
    }

    private static void repeat(Call call) throws NvmlException {
      for (int i = 0; i < CALLS; i++) {
        call.run();
      }
    }
  }

  @Test
  void hotCallsAllocateNoNativeMemory() throws Exception {
    Path library = folder.resolve("libcounter.so");
    Process cc =
        new ProcessBuilder(
                "cc", "-shared", "-fPIC", "-O1", "-fno-builtin", "-x", "c", "-", "-o", "" + library)
            .redirectOutput(ProcessBuilder.Redirect.INHERIT)
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (var source = cc.outputWriter()) {
      source.write(COUNTER);
    }
    assertEquals(0, cc.waitFor());
    ChildJvm.Result child =
        ChildJvm.run(
            CountAllocations.class,
            Map.of(
                "LD_PRELOAD",
                library.toString(),
                "LD_LIBRARY_PATH",
                FakeNvmlLibrary.directory().toString()));
    assertEquals(0, child.exitCode(), child.output());
    // Proves that the counter counts: a name is read into a buffer of its own.
    assertTrue(Long.parseLong(child.value("name")) >= CALLS, child.output());
    for (String call : new String[] {"instantPower", "powerUsage", "energy", "powerLimit"}) {
      // Not 0: the JVM itself allocates now and then, such as for a compilation.
      long allocations = Long.parseLong(child.value(call));
      assertTrue(allocations < CALLS / 50, call + ": " + child.output());
      long heapBytes = Long.parseLong(child.value(call + "Heap"));
      assertTrue(heapBytes <= 200, call + ": " + child.output());
    }
  }
}
