package dev.zeusd.ffm.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Optional;

/** What the kernel tells of the other end of a Unix socket: getsockopt(2), unix(7). */
final class PeerOptions {
  // asm-generic/socket.h
  static final int SO_PEERCRED = 17;
  static final int SO_PEERGROUPS = 59;
  static final int SO_PEERPIDFD = 77;

  /** In what {@link #SO_PEERCRED} tells, struct ucred. */
  static final int PID = 0;

  static final int UID = 1;
  static final int GID = 2;
  static final int CREDENTIALS = 3;

  private static final int SOL_SOCKET = 1;
  private static final int SUCCESS = 0;

  private PeerOptions() {}

  private static final class Calls {
    static final MethodHandle GETSOCKOPT =
        Libc.function(
            "getsockopt",
            FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS, ADDRESS));
  }

  /**
   * An option that is a row of numbers.
   *
   * @param socket its descriptor
   * @param atMost how many numbers there is room for
   * @return empty if the kernel does not tell it, or there are more
   */
  static Optional<int[]> get(int socket, int option, int atMost) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value = arena.allocate(JAVA_INT, atMost);
      MemorySegment length = arena.allocateFrom(JAVA_INT, (int) value.byteSize());
      int result = (int) Calls.GETSOCKOPT.invokeExact(socket, SOL_SOCKET, option, value, length);
      return result == SUCCESS
          ? Optional.of(value.asSlice(0, length.get(JAVA_INT, 0)).toArray(JAVA_INT))
          : Optional.empty();
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw Libc.unexpected(e);
    }
  }
}
