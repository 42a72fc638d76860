package dev.zeusd.ffm.posix;

import java.io.IOException;
import java.nio.channels.SocketChannel;
import java.util.Arrays;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The process at the other end of a Unix socket, as it was when it connected. The kernel tells it;
 * whoever passes an open connection on, passes this on, too.
 *
 * @param pid its number, which may be another process's by now; 0 if it is none in this container
 * @param uid its user, as the signed number that the JDK makes of it
 * @param gid its main group, in the same way
 * @param gids all its groups, the main one among them
 */
public record PeerProcess(int pid, int uid, int gid, Set<Integer> gids) {
  /** Of Linux, as many as setgroups(2) takes. */
  private static final int MAX_GROUPS = 65_536;

  private static final int USUAL_GROUPS = 64;

  /** Takes a copy of the set. */
  public PeerProcess {
    gids = Set.copyOf(gids);
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
    int[] credentials =
        PeerOptions.get(descriptor, PeerOptions.SO_PEERCRED, PeerOptions.CREDENTIALS)
            .orElseThrow(() -> new IOException("the socket does not tell its peer"));
    // A process may have more than there is room for at first.
    int[] groups =
        PeerOptions.get(descriptor, PeerOptions.SO_PEERGROUPS, USUAL_GROUPS)
            .or(() -> PeerOptions.get(descriptor, PeerOptions.SO_PEERGROUPS, MAX_GROUPS))
            .orElse(new int[0]);
    Set<Integer> gids = Arrays.stream(groups).boxed().collect(Collectors.toSet());
    int gid = credentials[PeerOptions.GID];
    gids.add(gid);
    return new PeerProcess(credentials[PeerOptions.PID], credentials[PeerOptions.UID], gid, gids);
  }
}
