package dev.zeusd.core.settings;

import dev.zeusd.ffm.posix.Descriptors;
import dev.zeusd.ffm.posix.PidFd;
import java.io.IOException;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Optional;

/** A process of this machine that settings can be lent to until it ends; to be closed. */
public final class ClientProcess implements AutoCloseable {
  private final PidFd handle;

  /**
   * What tells a process from all others of the same boot.
   *
   * @param pid its number; 0 if it is in a PID namespace that is not part of this process's
   * @param startTicks when it began, in 1/100 s since the boot; 0 if that cannot be told
   * @param inode what newer kernels know it by, and what is the same for all on older ones
   */
  public record Id(long pid, long startTicks, long inode) {
    String text() {
      return pid + "." + startTicks + "." + inode;
    }

    /**
     * One from its {@link #text}.
     *
     * @throws IllegalArgumentException or {@link IndexOutOfBoundsException} for any other text
     */
    static Id parse(String text) {
      String[] parts = text.split("\\.");
      return new Id(Long.parseLong(parts[0]), Long.parseLong(parts[1]), Long.parseLong(parts[2]));
    }

    /** {@return the process in words} */
    @Override
    public String toString() {
      return pid == 0 ? "a process in another container" : "process " + pid;
    }
  }

  private ClientProcess(PidFd handle) {
    this.handle = handle;
  }

  /**
   * {@return why no process can be known as the one at the other end of a socket; empty if they
   * can}
   */
  public static Optional<String> whyUnknown() {
    if (!Descriptors.areKnown()) {
      return Optional.of("the JVM was started without " + Descriptors.JVM_OPTION);
    }
    try (ClientProcess own = find(ProcessHandle.current().pid()).orElse(null)) {
      return own == null
          ? Optional.of("it needs Linux 5.3 or newer, and no sandbox that forbids pidfd_open")
          : Optional.empty();
    } catch (IOException e) {
      return Optional.of("/proc cannot be read");
    }
  }

  /**
   * {@return the one that has connected a Unix socket} Children that have inherited the socket, and
   * whoever else it was passed on to, are taken for it.
   *
   * @param channel a Unix socket that is connected
   * @param connectedFor at least for how long
   * @throws IOException if it cannot be told from others, such as one that has ended
   * @throws UnsupportedOperationException if {@link #whyUnknown}
   */
  public static ClientProcess of(SocketChannel channel, Duration connectedFor) throws IOException {
    ClientProcess process = new ClientProcess(PidFd.ofPeer(channel, connectedFor));
    try {
      if (process.id().pid == 0 && !process.isKnownByItsInode()) {
        throw new IOException(
            "it is in another PID namespace, where Linux before 6.9 cannot tell processes apart;"
                + " run zeusd in the machine's own");
      }
      return process;
    } catch (IOException | RuntimeException e) {
      process.close();
      throw e;
    }
  }

  /** Where all have the same one, this process has it, too. */
  private boolean isKnownByItsInode() throws IOException {
    try (ClientProcess own = find(ProcessHandle.current().pid()).orElseThrow()) {
      return own.handle.inode() != handle.inode();
    }
  }

  /** The one with this number now; empty if there is none. */
  static Optional<ClientProcess> find(long pid) throws IOException {
    return PidFd.open(pid).map(ClientProcess::new);
  }

  /** {@return what it is known by} */
  public Id id() {
    return new Id(handle.pid(), handle.startTicks(), handle.inode());
  }

  PidFd handle() {
    return handle;
  }

  @Override
  public void close() {
    handle.close();
  }
}
