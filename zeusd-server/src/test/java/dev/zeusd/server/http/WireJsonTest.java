package dev.zeusd.server.http;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.zeusd.core.device.DeviceException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.junit.jupiter.api.Test;

class WireJsonTest {
  @Test
  void aWriteWhoseLeaseHasEndedMeanwhileSaysWhatToDo() {
    byte[] json =
        WireJson.deviceErrors(Map.of(3, new DeviceException.LeaseEnded("lease 5 of a has ended")));
    assertEquals(
        "{\"errors\":{\"3\":\"lease 5 of a has ended; take another one with POST /lease\"}}",
        new String(json, StandardCharsets.UTF_8));
  }
}
