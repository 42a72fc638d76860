package dev.zeusd.ffm.posix;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.invoke.MethodType.methodType;

import java.lang.foreign.FunctionDescriptor;
import java.lang.invoke.LambdaConversionException;
import java.lang.invoke.LambdaMetafactory;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;

/** What to do on a signal, and sending them. */
public final class Signals {
  private static final class Calls {
    static final MethodHandle KILL =
        Libc.function("kill", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
  }

  /**
   * The JVM's own class for signals. Not by its name, since javac has a warning for it that nothing
   * turns off; but there is no other way to a signal like SIGHUP.
   */
  private static final class Jvm {
    static final Class<?> SIGNAL = type("sun.misc.Signal");
    static final Class<?> HANDLER = type("sun.misc.SignalHandler");

    /** Makes a handler of a Runnable; made once, since each one is a class of its own. */
    static final MethodHandle TO_HANDLER = toHandler();

    private static Class<?> type(String name) {
      try {
        return Class.forName(name);
      } catch (ClassNotFoundException e) {
        throw new IllegalStateException(e);
      }
    }

    /** What javac would make of: action -> signal -> run(action, signal). */
    private static MethodHandle toHandler() {
      try {
        MethodHandles.Lookup lookup = MethodHandles.lookup();
        return LambdaMetafactory.metafactory(
                lookup,
                "handle",
                methodType(HANDLER, Runnable.class),
                methodType(void.class, SIGNAL),
                lookup.findStatic(
                    Signals.class, "run", methodType(void.class, Runnable.class, Object.class)),
                methodType(void.class, SIGNAL))
            .getTarget();
      } catch (ReflectiveOperationException | LambdaConversionException e) {
        throw new IllegalStateException(e);
      }
    }
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
      Jvm.SIGNAL
          .getMethod("handle", Jvm.SIGNAL, Jvm.HANDLER)
          .invoke(
              null,
              Jvm.SIGNAL.getConstructor(String.class).newInstance(name),
              Jvm.TO_HANDLER.invoke(action));
    } catch (Throwable e) {
      throw new IllegalStateException("cannot handle signals", e);
    }
  }

  private static void run(Runnable action, Object signal) {
    action.run();
  }
}
