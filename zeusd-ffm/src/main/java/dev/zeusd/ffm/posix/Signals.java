package dev.zeusd.ffm.posix;

import java.lang.reflect.Proxy;

/** What to do on a signal. */
public final class Signals {
  private Signals() {}

  /**
   * Has {@code action} run, on a new thread, whenever the signal comes, instead of what the JVM
   * would do; not if it was ignored when the process began, as a shell or nohup has it.
   *
   * @param name such as TERM
   */
  public static void on(String name, Runnable action) {
    try {
      // By reflection, since javac has a warning for this class that nothing turns off; but there
      // is
      // no other way to a signal like SIGHUP.
      Class<?> signal = Class.forName("sun.misc.Signal");
      Class<?> handler = Class.forName("sun.misc.SignalHandler");
      Object runsAction =
          Proxy.newProxyInstance(
              Signals.class.getClassLoader(),
              new Class<?>[] {handler},
              (proxy, method, args) -> {
                action.run();
                return null;
              });
      signal
          .getMethod("handle", signal, handler)
          .invoke(null, signal.getConstructor(String.class).newInstance(name), runsAction);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("cannot handle signals", e);
    }
  }
}
