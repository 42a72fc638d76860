package dev.zeusd.ffm.posix;

import sun.misc.Signal;

/**
 * What to do on a signal. There is no other way to SIGHUP than a class for which javac has a
 * warning that nothing turns off; so this one is compiled apart.
 */
public final class Signals {
  private Signals() {}

  /**
   * Has {@code action} run, on a new thread, whenever the signal comes, instead of what the JVM
   * would do; not if it was ignored when the process began, as a shell or nohup has it.
   *
   * @param name such as TERM
   */
  public static void on(String name, Runnable action) {
    Signal.handle(new Signal(name), signal -> action.run());
  }
}
