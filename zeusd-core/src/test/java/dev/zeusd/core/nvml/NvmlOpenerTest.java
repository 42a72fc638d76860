package dev.zeusd.core.nvml;

import static dev.zeusd.testkit.nvml.FakeNvml.Call.INIT;
import static dev.zeusd.testkit.nvml.FakeNvml.Call.SHUTDOWN;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.zeusd.core.Await;
import dev.zeusd.core.driver.GpuIds;
import dev.zeusd.core.driver.Opener;
import dev.zeusd.testkit.nvml.FakeNvml;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** NVML that takes its time to open. */
@Timeout(60)
class NvmlOpenerTest {
  private static final Duration BRIEFLY = Duration.ofMillis(50);

  private final FakeNvml nvml = FakeNvml.inProcess().reset();
  private final Opener<NvmlGpus> opener =
      new Opener<>("NVML", () -> NvmlGpus.open(Optional.empty(), file -> true, new GpuIds()));

  @AfterEach
  void letGo() {
    nvml.delay(INIT, Duration.ZERO);
    opener.close();
  }

  @Test
  void whatOpensAfterTheCloseIsShutDown() throws Exception {
    nvml.delay(INIT, Duration.ofMinutes(1));
    assertThrows(TimeoutException.class, () -> opener.open(BRIEFLY));
    assertThrows(TimeoutException.class, () -> opener.open(BRIEFLY));
    opener.close();
    nvml.delay(INIT, Duration.ZERO);
    Await.until("it is shut down", () -> nvml.calls(SHUTDOWN) == 1);
    assertEquals(1, nvml.calls(INIT), "nobody opened it twice");
  }

  @Test
  void whatWasOpenedIsItsOwners() throws Exception {
    nvml.delay(INIT, Duration.ofMinutes(1));
    assertThrows(TimeoutException.class, () -> opener.open(BRIEFLY));
    nvml.delay(INIT, Duration.ZERO);
    Await.until("it has opened", () -> nvml.inFlight() == 0);
    try (NvmlGpus gpus = opener.open(Duration.ofSeconds(20))) {
      opener.close();
      assertEquals(0, nvml.calls(SHUTDOWN));
      assertEquals(4, gpus.gpus().size());
      assertThrows(TimeoutException.class, () -> opener.open(BRIEFLY));
    }
    assertEquals(1, nvml.calls(SHUTDOWN));
  }
}
