package dev.zeusd.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.settings.Baseline;
import dev.zeusd.core.settings.Lease;
import dev.zeusd.core.settings.LeaseException;
import dev.zeusd.core.settings.SettingKey;
import dev.zeusd.core.settings.SettingValue;
import dev.zeusd.core.worker.DeviceWorker;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Leases as an embedder has them; simulated GPUs take part like real ones. */
@Timeout(60)
class NodeLeaseTest {
  @Test
  void aLeaseOfANodeGoesBackToTheBaseline(@TempDir Path dir) throws InterruptedException {
    Baseline baseline =
        new Baseline(
            List.of(new Baseline.Entry(List.of(), List.of(new SettingValue.PowerLimit(500_000)))));
    NodeConfig config = NodeConfig.simulated().withStateDir(dir).withBaseline(baseline);
    try (Node node = Node.open(config)) {
      DeviceWorker<Gpu> gpu = node.gpus().getFirst();
      node.leases();
      Await.until("it is set", () -> gpu.call(Gpu::powerLimitMw) == 500_000);
      try (Lease lease = node.lease(List.of(0), Set.of(SettingKey.POWER_LIMIT))) {
        lease.setPowerLimit(300_000);
        assertEquals(300_000, gpu.call(Gpu::powerLimitMw));
        assertEquals(Node.Release.LEASED, node.releaseGpus());
        assertTrue(node.leases().isCrashSafe());
      }
      assertEquals(500_000, gpu.call(Gpu::powerLimitMw));
      assertEquals(Node.Release.DONE, node.releaseGpus());
    }
  }

  @Test
  void aClosedNodeLendsNothing() {
    Node unused = Node.open(NodeConfig.simulated());
    unused.close();
    assertThrows(NodeException.class, unused::leases);
    Node used = Node.open(NodeConfig.simulated());
    used.leases();
    used.close();
    assertThrows(
        LeaseException.class, () -> used.lease(List.of(0), Set.of(SettingKey.POWER_LIMIT)));
    assertFalse(used.leases().isInUse());
  }
}
