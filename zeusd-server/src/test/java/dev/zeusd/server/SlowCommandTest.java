package dev.zeusd.server;

import static dev.zeusd.server.raw.RawConnection.request;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.zeusd.core.Await;
import dev.zeusd.core.CpuBackend;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.core.command.GpuCommand;
import dev.zeusd.core.command.GpuCommands;
import dev.zeusd.core.command.GpuOperation;
import dev.zeusd.server.raw.RawConnection;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A program that changes a setting in the driver's place, and takes its time. */
@Timeout(60)
class SlowCommandTest {
  private static final String SET = "/gpu/set_power_limit?gpu_ids=0&power_limit_mw=250000&block=";

  /** Shorter than the program takes. */
  private static final Limits LIMITS =
      new Limits(100, Duration.ofMinutes(5), Duration.ofMillis(400));

  @TempDir private Path folder;

  /** Whoever waits for it is answered when it has ended, and not taken for a client that hangs. */
  @Test
  void whoWaitsForItIsAnsweredWhenItHasEnded() throws Exception {
    Path go = folder.resolve("go");
    Path script = Files.writeString(folder.resolve("program"), "#!/bin/sh\n" + waitFor(go));
    Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwxr-xr-x"));
    GpuCommand command =
        new GpuCommand(
            List.of(List.of(script.toString())), Optional.empty(), Duration.ofSeconds(50));
    NodeConfig config =
        NodeConfig.simulated()
            .withCpuBackend(CpuBackend.NONE)
            .withGpuCommands(new GpuCommands(Map.of(GpuOperation.SET_POWER_LIMIT, command)));
    try (TestServer server = TestServer.start(Transport.UDS, Node.open(config), LIMITS);
        RawConnection waiting = server.connect()) {
      waiting.send(request("POST", SET + true));
      Await.until("it runs", () -> Files.exists(folder.resolve("runs")));
      // The watch looks eight times within the limit.
      assertFalse(waiting.hasBytes(LIMITS.toTakeAnswer().multipliedBy(3)));
      Files.createFile(go);
      assertEquals(200, waiting.readResponse().status());
    }
  }

  private String waitFor(Path file) {
    return "touch %s; until [ -e %s ]; do sleep 0.02; done\n"
        .formatted(folder.resolve("runs"), file);
  }
}
