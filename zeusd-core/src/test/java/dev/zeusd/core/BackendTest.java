package dev.zeusd.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.sampling.Subscription;
import dev.zeusd.core.worker.DeviceWorker;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.logging.Level;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Devices that an embedder brings. */
@Timeout(60)
class BackendTest {
  private static final NodeConfig NOTHING =
      NodeConfig.defaults().withGpuBackend(GpuBackend.NONE).withCpuBackend(CpuBackend.NONE);
  private static final Duration LONG = Duration.ofSeconds(20);

  private record OneGpu() implements Gpu {
    @Override
    public GpuInfo info() {
      return GpuInfo.unknown(17);
    }

    @Override
    public long powerMw() {
      return 17_000;
    }
  }

  @TempDir private Path folder;

  private void power(int gpu, long powerMw) throws IOException {
    Files.writeString(folder.resolve("gpu" + gpu), powerMw + "\n");
  }

  private static List<Integer> ids(Node node) {
    return node.gpus().stream().map(DeviceWorker::id).toList();
  }

  @Test
  void theirGpusAreReadStreamedAndFoundLikeOthers() throws Exception {
    power(0, 100_000);
    try (Node node = Node.of(NOTHING, List.of(new FileGpus(folder)), List.of())) {
      assertEquals(List.of(0), ids(node));
      assertEquals(100_000, node.gpuPower().read(0).get().powerMw());
      try (Subscription<GpuPowerSample> power = node.gpuPower().subscribe(List.of(0))) {
        assertEquals(100_000, power.poll(LONG).getFirst().powerMw());
        power(0, 200_000);
        GpuPowerSample changed = power.poll(LONG).getFirst();
        while (changed.powerMw() != 200_000) {
          changed = power.poll(LONG).getFirst();
        }
      }
      DeviceException e =
          assertThrows(
              DeviceException.NotSupported.class, () -> node.gpus().getFirst().call(Gpu::energyMj));
      assertEquals("this GPU does not count its energy", e.getMessage());
      power(1, 300_000);
      Await.until("another one is found", () -> ids(node).equals(List.of(0, 1)));
      assertEquals(300_000, node.gpuPower().read(1).get().powerMw());
    }
  }

  @Test
  void backendsAreOpenSideBySideAndClosedByTheNode() {
    AtomicInteger closed = new AtomicInteger();
    Backend<Gpu> others =
        new Backend<>() {
          @Override
          public List<Gpu> devices() {
            return List.of(new OneGpu());
          }

          @Override
          public List<String> problems() {
            return List.of("one is missing");
          }

          @Override
          public void close() {
            closed.incrementAndGet();
          }
        };
    NodeConfig simulated = NodeConfig.simulated();
    try (TestLog log = new TestLog(Node.class.getName());
        Node node = Node.of(simulated, List.of(others), List.<Backend<Cpu>>of())) {
      assertEquals(List.of(0, 1, 2, 3, 17), ids(node));
      assertEquals(2, node.cpus().size());
      assertEquals(List.of("one is missing"), node.problems());
      assertEquals(List.of("one is missing"), log.lines(Level.WARNING));
      assertEquals(0, closed.get());
    }
    assertEquals(1, closed.get());
    NodeException e =
        assertThrows(
            NodeException.class, () -> Node.of(NOTHING, List.of(others, others), List.of()));
    assertEquals("two GPUs have the id 17: backends have to agree on ids", e.getMessage());
    assertEquals(3, closed.get(), "both are closed, though the node did not open");
  }

  @Test
  void aBackendThatFailsToLookForMoreIsAProblemUntilItDoesNot() throws Exception {
    AtomicInteger looks = new AtomicInteger();
    Backend<Gpu> failing =
        new Backend<>() {
          @Override
          public List<Gpu> devices() {
            return List.of();
          }

          @Override
          public boolean mayHaveMore() {
            return looks.get() < 2;
          }

          @Override
          public void lookForMore() {
            if (looks.incrementAndGet() == 1) {
              throw new NodeException("the driver is not there; load it");
            }
          }
        };
    try (TestLog log = new TestLog(Node.class.getName());
        Node node = Node.of(NOTHING, List.of(failing), List.of())) {
      Await.until(
          "it is told",
          () ->
              node.gpus().isEmpty()
                  && node.problems().equals(List.of("the driver is not there; load it")));
      Await.until("it is over", () -> node.gpus().isEmpty() && node.problems().isEmpty());
      assertTrue(log.lines(Level.WARNING).contains("the driver is not there; load it"));
    }
  }

  @Test
  void thePageShowsTheBackend() throws Exception {
    List<String> source = Files.readAllLines(Path.of("src/test/java/dev/zeusd/core/FileGpus.java"));
    assertTrue(source.size() <= 60, source.size() + " lines");
    String page = Files.readString(Path.of("../docs/embedding/README.md"));
    String shown =
        String.join("\n", source.subList(source.indexOf(javadoc(source)), source.size()));
    assertTrue(page.contains(shown), "the page does not show FileGpus.java as it is");
  }

  private static String javadoc(List<String> source) {
    return source.stream().filter(line -> line.startsWith("/**")).findFirst().orElseThrow();
  }
}
