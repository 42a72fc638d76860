package dev.zeusd.ffm.posix;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/**
 * A process, by a descriptor that goes on to mean it when its number has become another's: pidfd,
 * see pidfd_open(2). Thread-safe until it is closed.
 */
public final class PidFd implements AutoCloseable {
  /** The same on all architectures: unistd.h. */
  private static final long SYS_PIDFD_OPEN = 434;

  /** What a number of a clock's ticks in /proc stands for, on all architectures with Java. */
  private static final int MILLIS_A_TICK = 10;

  /** The place of the start time among those that follow the name in /proc/PID/stat. */
  private static final int START_TIME = 19;

  private final int descriptor;
  private final long pid;
  private final long inode;
  private final long startTicks;

  private static final class Calls {
    static final MethodHandle SYSCALL =
        Libc.function(
            "syscall",
            FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT),
            Linker.Option.firstVariadicArg(1));
  }

  private PidFd(int descriptor) throws IOException {
    this.descriptor = descriptor;
    pid = Math.max(0, fact("Pid"));
    inode = fact("ino");
    startTicks = pid == 0 ? 0 : startTicks(pid);
  }

  private long fact(String name) throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/fdinfo/" + descriptor))) {
      if (line.startsWith(name + ":")) {
        return Long.parseLong(line.substring(name.length() + 1).strip());
      }
    }
    // Older kernels do not tell all.
    return 0;
  }

  private static long startTicks(long pid) {
    try {
      String stat = Files.readString(Path.of("/proc/" + pid + "/stat"));
      // The name may have blanks in it, and parentheses.
      return Long.parseLong(stat.substring(stat.lastIndexOf(')') + 2).split(" ")[START_TIME]);
    } catch (IOException e) {
      // It has ended.
      return 0;
    }
  }

  private static PidFd of(int descriptor) throws IOException {
    try {
      return new PidFd(descriptor);
    } catch (IOException | RuntimeException e) {
      Descriptors.close(descriptor);
      throw e;
    }
  }

  /**
   * The process that a number stands for now; empty if there is none, or this kernel (before 5.3)
   * has no such descriptors, or a sandbox forbids them.
   */
  public static Optional<PidFd> open(long pid) throws IOException {
    long descriptor;
    try {
      descriptor = (long) Calls.SYSCALL.invokeExact(SYS_PIDFD_OPEN, (int) pid, 0);
    } catch (Throwable e) {
      throw Libc.unexpected(e);
    }
    return descriptor < 0 ? Optional.empty() : Optional.of(of((int) descriptor));
  }

  /**
   * The process that has connected a Unix socket, which need not be the one that uses it now.
   *
   * @param connectedFor at least for how long
   * @throws IOException if it has ended, on kernels that do not remember it (before 6.5)
   * @throws UnsupportedOperationException unless {@link Descriptors#areKnown}
   */
  public static PidFd ofPeer(SocketChannel channel, Duration connectedFor) throws IOException {
    int socket = Descriptors.of(channel);
    Optional<int[]> peer = PeerOptions.get(socket, PeerOptions.SO_PEERPIDFD, 1);
    if (peer.isPresent()) {
      return of(peer.get()[0]);
    }
    int[] credentials =
        PeerOptions.get(socket, PeerOptions.SO_PEERCRED, PeerOptions.CREDENTIALS)
            .orElseThrow(() -> new IOException("the kernel does not tell who is at the other end"));
    return ofPeer(credentials[PeerOptions.PID], connectedFor);
  }

  /** Where the kernel tells only the number: by now it may be that of a process that came later. */
  static PidFd ofPeer(int pid, Duration connectedFor) throws IOException {
    PidFd process =
        (pid == 0 ? Optional.<PidFd>empty() : open(pid))
            .orElseThrow(() -> new IOException("the process has ended"));
    if (process.age().plusMillis(2 * MILLIS_A_TICK).compareTo(connectedFor) < 0) {
      process.close();
      throw new IOException("the process has ended");
    }
    return process;
  }

  private Duration age() throws IOException {
    String uptimeSeconds = Files.readString(Path.of("/proc/uptime")).split(" ")[0];
    long uptimeMillis = (long) (Double.parseDouble(uptimeSeconds) * 1000);
    return Duration.ofMillis(uptimeMillis - startTicks * MILLIS_A_TICK);
  }

  /** Its number here; 0 if it has none, as it is in a namespace that is not part of this one. */
  public long pid() {
    return pid;
  }

  /** When it began, in 1/100 s since the boot; 0 if that cannot be told. */
  public long startTicks() {
    return startTicks;
  }

  /**
   * Its number in the kernel's file system of processes, which no other one of this boot has; on
   * older kernels (before 6.9) the same for all.
   */
  public long inode() {
    return inode;
  }

  int descriptor() {
    return descriptor;
  }

  @Override
  public void close() {
    Descriptors.close(descriptor);
  }
}
