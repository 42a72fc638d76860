package dev.zeusd.ffm.posix;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.invoke.MethodType.methodType;

import java.lang.foreign.FunctionDescriptor;
import java.lang.invoke.LambdaMetafactory;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;

/** What to do on a signal, and sending them. */
public final class Signals {
  private static final class Calls {
    static final MethodHandle KILL =
        Libc.function("kill", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
  }

  private Signals() {}

  /** Sends a signal; a process that has ended gets none. */
  public static void send(long pid, int number) {
    try {
      int unused = (int) Calls.KILL.invokeExact((int) pid, number);
    } catch (Throwable e) {
      throw Libc.unexpected(e);
    }
  }

  /**
   * Has {@code action} run, on a new thread, whenever the signal comes, instead of what the JVM
   * would do; HUP, INT and TERM not if they were ignored when the process began, as a shell or
   * nohup has it.
   *
   * @param name such as TERM
   */
  public static void on(String name, Runnable action) {
    try {
      // Not by its name, since javac has a warning for this class that nothing turns off; but there
      // is no other way to a signal like SIGHUP.
      Class<?> signal = Class.forName("sun.misc.Signal");
      Class<?> handler = Class.forName("sun.misc.SignalHandler");
      MethodHandles.Lookup lookup = MethodHandles.lookup();
      // What javac would make of: signal -> run(action, signal)
      Object runsAction =
          LambdaMetafactory.metafactory(
                  lookup,
                  "handle",
                  methodType(handler, Runnable.class),
                  methodType(void.class, signal),
                  lookup.findStatic(
                      Signals.class, "run", methodType(void.class, Runnable.class, Object.class)),
                  methodType(void.class, signal))
              .getTarget()
              .invoke(action);
      signal
          .getMethod("handle", signal, handler)
          .invoke(null, signal.getConstructor(String.class).newInstance(name), runsAction);
    } catch (Throwable e) {
      throw new IllegalStateException("cannot handle signals", e);
    }
  }

  private static void run(Runnable action, Object signal) {
    action.run();
  }
}
