package dev.zeusd.server.stream;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.fail;

import io.helidon.http.HeaderNames;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import org.junit.jupiter.api.Test;

class StreamLoopTest {
  @Test
  void whoComesWhileItStopsIsToldWhenToComeBack() {
    StreamLoop loop = new StreamLoop("test");
    loop.close();
    HttpException refusal =
        assertThrows(
            HttpException.class,
            () -> loop.join("key", null, () -> fail("there can be no group any more")));
    assertEquals(Status.SERVICE_UNAVAILABLE_503, refusal.status());
    assertEquals("1", refusal.headers().get(HeaderNames.RETRY_AFTER).get());
  }
}
