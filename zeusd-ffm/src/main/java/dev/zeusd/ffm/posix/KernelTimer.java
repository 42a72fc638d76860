package dev.zeusd.ffm.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.time.Duration;

/**
 * A timer that a thread waits for and others may put off meanwhile, which costs them a microsecond
 * and does not wake that thread: timerfd_create(2). Thread-safe, also beside a {@link #close}.
 */
public final class KernelTimer implements AutoCloseable {
  private static final int CLOCK_MONOTONIC = 1;
  private static final int TFD_CLOEXEC = 02000000;

  /** Of struct itimerspec: the interval, then the value, each in seconds and nanoseconds. */
  private static final long SPEC_BYTES = 32;

  private static final long SECONDS_OFFSET = 16;
  private static final long NANOS_OFFSET = 24;

  private final int descriptor;

  /** Freed when nobody uses it any more: a thread may be in a call when this is closed. */
  private final MemorySegment spec = Arena.ofAuto().allocate(SPEC_BYTES, Long.BYTES);

  // Guarded by this.
  private boolean isWaitedFor;
  private boolean isClosed;

  private static final class Calls {
    static final MethodHandle CREATE =
        Libc.function("timerfd_create", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
    static final MethodHandle SET =
        Libc.function(
            "timerfd_settime",
            FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS, ADDRESS),
            Linker.Option.critical(false));
    static final MethodHandle READ =
        Libc.function("read", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG));
  }

  /**
   * One that never expires by itself.
   *
   * @throws IllegalStateException if the kernel gives none, such as when no more files can be
   *     opened
   */
  public KernelTimer() {
    try {
      descriptor = (int) Calls.CREATE.invokeExact(CLOCK_MONOTONIC, TFD_CLOEXEC);
    } catch (Throwable e) {
      throw Libc.unexpected(e);
    }
    if (descriptor < 0) {
      throw new IllegalStateException("the kernel gives no timer");
    }
  }

  /**
   * It expires after {@code delay}, at once if that is not positive, and no more when set before.
   */
  public synchronized void expireIn(Duration delay) {
    if (isClosed) {
      return;
    }
    // Zero would switch it off.
    long nanos = Math.max(1, delay.toNanos());
    spec.set(JAVA_LONG, SECONDS_OFFSET, nanos / 1_000_000_000);
    spec.set(JAVA_LONG, NANOS_OFFSET, nanos % 1_000_000_000);
    try {
      int ignored = (int) Calls.SET.invokeExact(descriptor, 0, spec, MemorySegment.NULL);
    } catch (Throwable e) {
      throw Libc.unexpected(e);
    }
  }

  /** Waits until it has expired; one thread may at a time. Returns at once after a close. */
  public void await() {
    synchronized (this) {
      if (isClosed) {
        return;
      }
      isWaitedFor = true;
    }
    try (Arena arena = Arena.ofConfined()) {
      // How often it has expired, which is of no interest; less than 8 bytes if it was interrupted.
      MemorySegment count = arena.allocate(JAVA_LONG);
      long got;
      do {
        got = (long) Calls.READ.invokeExact(descriptor, count, JAVA_LONG.byteSize());
      } while (got < 0 && !isClosed());
    } catch (Throwable e) {
      throw Libc.unexpected(e);
    } finally {
      synchronized (this) {
        isWaitedFor = false;
        if (isClosed) {
          Descriptors.close(descriptor);
        }
      }
    }
  }

  private synchronized boolean isClosed() {
    return isClosed;
  }

  /** Lets whoever waits go on. */
  @Override
  public synchronized void close() {
    if (isClosed) {
      return;
    }
    expireIn(Duration.ZERO);
    isClosed = true;
    if (!isWaitedFor) {
      Descriptors.close(descriptor);
    }
  }
}
