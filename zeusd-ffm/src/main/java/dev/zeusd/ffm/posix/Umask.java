package dev.zeusd.ffm.posix;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Makes files with fewer permissions than their maker asks for, from the first moment of their
 * being: umask(2).
 */
public final class Umask {
  /** There is one umask for the whole process. */
  private static final ReentrantLock LOCK = new ReentrantLock();

  private Umask() {}

  private static final class Calls {
    static final MethodHandle UMASK = Libc.function("umask", Libc.INT_OF_INT);
  }

  /**
   * Links the call, so that {@link #runWith} need not; any thread may, at any time.
   *
   * @return whether Java may call libc, as it may not without native access
   */
  public static boolean link() {
    try {
      MethodHandles.lookup().ensureInitialized(Calls.class);
      return true;
    } catch (IllegalAccessException | LinkageError e) {
      return false;
    }
  }

  /**
   * Runs {@code action} while files get none of the permissions in {@code mask}. The umask is the
   * process's: what other threads make meanwhile gets fewer permissions, too, never more. Of
   * several callers one runs at a time.
   *
   * @param mask 0 to 0777
   */
  public static void runWith(int mask, Runnable action) {
    LOCK.lock();
    try {
      int before = umask(mask);
      try {
        action.run();
      } finally {
        umask(before);
      }
    } finally {
      LOCK.unlock();
    }
  }

  private static int umask(int mask) {
    MethodHandle umask = Calls.UMASK;
    try {
      return (int) umask.invokeExact(mask);
    } catch (Throwable e) {
      throw Libc.unexpected(e);
    }
  }
}
