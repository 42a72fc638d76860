package dev.zeusd.ffm.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.channels.SocketChannel;
import java.util.Arrays;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The process at the other end of a Unix socket, as it was when it connected. The kernel tells it;
 * whoever passes an open connection on, passes this on, too.
 *
 * @param pid its number, which may be another process's by now; 0 if it is none in this container
 * @param uid its user, as the signed number that the JDK makes of it
 * @param gids all its groups, in the same way
 */
public record PeerProcess(int pid, int uid, Set<Integer> gids) {
  // socket(7), unix(7)
  private static final int SOL_SOCKET = 1;
  private static final int SO_PEERCRED = 17;
  private static final int SO_PEERGROUPS = 59;
  private static final int SUCCESS = 0;

  /** Of Linux, as many as setgroups(2) takes. */
  private static final int MAX_GROUPS = 65_536;

  private static final int USUAL_GROUPS = 64;

  /** Takes a copy of the set. */
  public PeerProcess {
    gids = Set.copyOf(gids);
  }

  private static final class Calls {
    static final MethodHandle GETSOCKOPT =
        Libc.function(
            "getsockopt",
            FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS, ADDRESS));
  }

  /**
   * Asks the kernel.
   *
   * @param channel of a Unix socket
   * @throws IOException if the channel is closed
   * @throws UnsupportedOperationException unless {@link Descriptors#areKnown}
   */
  public static PeerProcess of(SocketChannel channel) throws IOException {
    PeerProcess peer = ask(Descriptors.of(channel));
    if (!channel.isOpen()) {
      // The number may have been another connection's already. It is marked as closed before that.
      throw new IOException("closed meanwhile");
    }
    return peer;
  }

  private static PeerProcess ask(int descriptor) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      int[] credentials =
          option(arena, descriptor, SO_PEERCRED, 3)
              .orElseThrow(() -> new IOException("the socket does not tell its peer"));
      // A process may have more than there is room for at first.
      int[] groups =
          option(arena, descriptor, SO_PEERGROUPS, USUAL_GROUPS)
              .or(() -> option(arena, descriptor, SO_PEERGROUPS, MAX_GROUPS))
              .orElse(new int[0]);
      Set<Integer> gids = Arrays.stream(groups).boxed().collect(Collectors.toSet());
      gids.add(credentials[2]);
      return new PeerProcess(credentials[0], credentials[1], gids);
    }
  }

  /** An option that is a row of numbers; empty if the kernel does not tell it. */
  private static Optional<int[]> option(Arena arena, int descriptor, int name, int atMost) {
    MemorySegment value = arena.allocate(JAVA_INT, atMost);
    MemorySegment length = arena.allocateFrom(JAVA_INT, (int) value.byteSize());
    try {
      int result = (int) Calls.GETSOCKOPT.invokeExact(descriptor, SOL_SOCKET, name, value, length);
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
