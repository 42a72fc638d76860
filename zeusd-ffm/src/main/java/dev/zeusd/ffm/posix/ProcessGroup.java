package dev.zeusd.ffm.posix;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.FunctionDescriptor;
import java.lang.invoke.MethodHandle;

/** The processes that one process has started, and theirs, unless they have left. */
public final class ProcessGroup {
  private static final int SIGKILL = 9;

  private static final MethodHandle KILL =
      Libc.function("kill", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));

  private ProcessGroup() {}

  /**
   * Kills all of a group; those of other users only where this process may.
   *
   * @param leader pid of the process that leads it, above 1
   */
  public static void kill(long leader) {
    if (leader <= 1 || leader > Integer.MAX_VALUE) {
      throw new IllegalArgumentException("no group of processes: " + leader);
    }
    try {
      // Where there is no such group, all have ended.
      int unused = (int) KILL.invokeExact((int) -leader, SIGKILL);
    } catch (Throwable e) {
      throw Libc.unexpected(e);
    }
  }
}
