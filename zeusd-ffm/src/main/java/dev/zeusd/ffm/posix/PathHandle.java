package dev.zeusd.ffm.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;

/**
 * A hold on whatever a path named when it was opened: open(2) with O_PATH. What is done by way of
 * {@link #path} is done to that, whatever has been put at its old path since.
 *
 * <p>Nothing is opened in the usual sense: a socket, a FIFO or a device does not notice.
 * Thread-safe until it is closed.
 */
public final class PathHandle implements AutoCloseable {
  // asm-generic/fcntl.h, and where ARM's differs from it.
  private static final int O_NOFOLLOW =
      System.getProperty("os.arch").equals("aarch64") ? 0100000 : 0400000;
  private static final int O_CLOEXEC = 02000000;
  private static final int O_PATH = 010000000;

  private final int descriptor;

  private PathHandle(int descriptor) {
    this.descriptor = descriptor;
  }

  private static final class Calls {
    // It takes a third argument only if it is to make a file.
    static final MethodHandle OPEN =
        Libc.function(
            "open",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT),
            Linker.Option.firstVariadicArg(2));
  }

  /**
   * Takes hold of what is at a path; of a symbolic link, if there is one.
   *
   * @throws IOException if there is nothing, or it cannot be reached
   */
  public static PathHandle open(Path path) throws IOException {
    int descriptor;
    try (Arena arena = Arena.ofConfined()) {
      descriptor =
          (int)
              Calls.OPEN.invokeExact(
                  arena.allocateFrom(path.toString()), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    } catch (Throwable e) {
      throw Libc.unexpected(e);
    }
    if (descriptor < 0) {
      throw new IOException(path + " is gone, or cannot be reached");
    }
    return new PathHandle(descriptor);
  }

  /** A path to it that leads nowhere else, until it is closed; needs /proc. */
  public Path path() {
    return Path.of("/proc/self/fd", String.valueOf(descriptor));
  }

  @Override
  public void close() {
    Descriptors.close(descriptor);
  }
}
