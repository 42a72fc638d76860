package dev.zeusd.ffm.posix;

import java.lang.invoke.MethodHandle;
import java.nio.channels.Channel;

/** File descriptors: what the kernel knows files and sockets by. */
public final class Descriptors {
  /** What the JVM has to be started with for {@link #of}, since the JDK keeps them for itself. */
  public static final String JVM_OPTION = "--add-exports java.base/sun.nio.ch=ALL-UNNAMED";

  private Descriptors() {}

  private static final class Calls {
    static final MethodHandle CLOSE = Libc.function("close", Libc.INT_OF_INT);
  }

  /** Whether {@link #of} works here. */
  public static boolean areKnown() {
    Module own = Descriptors.class.getModule();
    return Object.class.getModule().isExported("sun.nio.ch", own);
  }

  /**
   * That of an open channel; good until the channel is closed.
   *
   * @throws UnsupportedOperationException without {@link #JVM_OPTION}
   */
  static int of(Channel channel) {
    try {
      // There is no supported way.
      return (int) Class.forName("sun.nio.ch.SelChImpl").getMethod("getFDVal").invoke(channel);
    } catch (ReflectiveOperationException e) {
      throw new UnsupportedOperationException("the JVM was started without " + JVM_OPTION, e);
    }
  }

  static void close(int descriptor) {
    try {
      int ignored = (int) Calls.CLOSE.invokeExact(descriptor);
    } catch (Throwable e) {
      throw Libc.unexpected(e);
    }
  }
}
