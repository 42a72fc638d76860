package dev.zeusd.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.client.ClientConfig;
import dev.zeusd.client.ZeusdClient;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The energy of a command beside a daemon that is slow at its end, or does not answer any more. */
@Timeout(60)
class CommandEnergyTest {
  private final CountDownLatch answersAll = new CountDownLatch(1);

  private AnsweringDaemon daemon(Set<String> stalled) throws IOException {
    return new AnsweringDaemon(
        path -> {
          if (stalled.contains(path)) {
            await(answersAll);
          }
          return switch (path) {
            case "/discover" ->
                "{'gpus':[],'cpus':[],'enabled_api_groups':[],'auth_required':false}";
            case "/energy/begin" -> "{'window_id':'a','started_ms':1}";
            case "/energy/end", "/energy/window" ->
                "{'name':'','started_ms':1,'seconds':2,'gpus':{},'cpus':{},'total_j':3}";
            case "/time" -> {
              // What has kept it busy is over.
              answersAll.countDown();
              yield "{'timestamp_ms':5}";
            }
            default -> "{}";
          };
        });
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private CommandEnergy.Measured measured(Set<String> stalled, long silenceMillis, boolean isSilent)
      throws Exception {
    try (AnsweringDaemon daemon = daemon(stalled)) {
      ClientConfig config = ClientConfig.of(daemon.endpoint());
      ClientConfig hurried = config.withTimeout(Duration.ofMillis(silenceMillis));
      try (ZeusdClient client = ZeusdClient.open(config);
          CommandEnergy meter = new CommandEnergy(hurried, client, List.of())) {
        meter.begin("test");
        CommandEnergy.Measured measured = meter.end();
        assertEquals(isSilent, meter.isDaemonSilent());
        return measured;
      }
    } finally {
      answersAll.countDown();
    }
  }

  @Test
  void oneThatAnswersIsToldOf() throws Exception {
    CommandEnergy.Measured measured = measured(Set.of(), 30_000, false);
    assertEquals(Optional.empty(), measured.lost());
    assertEquals(3, measured.energy().orElseThrow().totalJoules());
  }

  /** As one that is frozen. */
  @Test
  void oneThatAnswersNothingIsGivenUp() throws Exception {
    CommandEnergy.Measured measured = measured(Set.of("/energy/end", "/time"), 100, true);
    String why = measured.lost().orElseThrow();
    assertTrue(why.startsWith("zeusd at 127.0.0.1:"), why);
    assertTrue(why.endsWith(": no answer within 100 ms"), why);
  }

  /** One of its GPUs may hang, for which it answers in the end. */
  @Test
  void oneThatIsBusyIsWaitedFor() throws Exception {
    CommandEnergy.Measured measured = measured(Set.of("/energy/end"), 1500, false);
    assertEquals(Optional.empty(), measured.lost());
    assertEquals(3, measured.energy().orElseThrow().totalJoules());
  }
}
