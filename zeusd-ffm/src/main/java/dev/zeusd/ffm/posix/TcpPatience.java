package dev.zeusd.ffm.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.channels.SocketChannel;
import java.time.Duration;

/**
 * How long a TCP connection waits for its other end to acknowledge what was sent, before it counts
 * as broken: TCP_USER_TIMEOUT, tcp(7). By default that is a quarter of an hour, in which a host
 * that has lost its power or its network looks like one that takes its time.
 */
public final class TcpPatience {
  private static final int IPPROTO_TCP = 6;
  private static final int TCP_USER_TIMEOUT = 18;

  private TcpPatience() {}

  private static final class Calls {
    static final MethodHandle SETSOCKOPT =
        Libc.function(
            "setsockopt",
            FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT));
  }

  /**
   * Sets it.
   *
   * @throws IOException if the channel is closed, or not one of TCP
   * @throws UnsupportedOperationException unless {@link Descriptors#areKnown}
   */
  public static void set(SocketChannel channel, Duration patience) throws IOException {
    int failed;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment millis = arena.allocateFrom(JAVA_INT, (int) patience.toMillis());
      int descriptor = Descriptors.of(channel);
      failed =
          (int)
              Calls.SETSOCKOPT.invokeExact(
                  descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, millis, (int) millis.byteSize());
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw Libc.unexpected(e);
    }
    if (failed != 0) {
      throw new IOException("the kernel does not set TCP_USER_TIMEOUT");
    }
  }
}
