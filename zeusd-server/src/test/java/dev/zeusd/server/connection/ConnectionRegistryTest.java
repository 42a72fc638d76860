package dev.zeusd.server.connection;

import static org.junit.jupiter.api.Assertions.fail;

import dev.zeusd.server.Limits;
import java.nio.channels.SocketChannel;
import org.junit.jupiter.api.Test;

/** Who waits for a turn, and who does not. */
class ConnectionRegistryTest {
  private final Limits limits = Limits.defaults();
  private final ConnectionRegistry registry =
      new ConnectionRegistry(limits, new Shares(limits, false, () -> false));

  @Test
  void oneConnectionAfterTheOtherIsNoCrowd() throws Exception {
    for (int i = 0; i < 100 * Limits.CROWD; i++) {
      try (SocketChannel channel = SocketChannel.open()) {
        Connection connection = new Connection("c" + i, channel);
        registry.add(connection);
        registry.awaitAdmission(connection, () -> fail("it is asked who it is, as one of a crowd"));
      }
    }
    registry.stopWatch();
  }
}
