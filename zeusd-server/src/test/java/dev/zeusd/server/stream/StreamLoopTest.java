package dev.zeusd.server.stream;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.server.StreamFormat;
import io.helidon.http.HeaderNames;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import java.util.List;
import org.junit.jupiter.api.Test;

class StreamLoopTest {
  @Test
  void whoComesWhileItStopsIsToldWhenToComeBack() {
    try (Node node = Node.open(NodeConfig.simulated())) {
      StreamLoop loop = new StreamLoop();
      loop.close();
      HttpException refusal =
          assertThrows(
              HttpException.class,
              () ->
                  loop.join(
                      null,
                      node.gpuPower(),
                      List.of(0),
                      StreamFormat.SAMPLE,
                      new Dialect.Samples<>(SampleJson::gpu)));
      assertEquals(Status.SERVICE_UNAVAILABLE_503, refusal.status());
      assertEquals("1", refusal.headers().get(HeaderNames.RETRY_AFTER).get());
    }
  }
}
