package dev.zeusd.ffm.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.time.Duration;
import java.util.OptionalLong;

/** Waits for processes to end, for all at once: epoll(7). Thread-safe until it is closed. */
public final class ProcessEnds implements AutoCloseable {
  // sys/epoll.h
  private static final int EPOLL_CLOEXEC = 02000000;
  private static final int EPOLL_CTL_ADD = 1;
  private static final int EPOLLIN = 1;
  private static final int EPOLLONESHOT = 1 << 30;

  /** Of the key in struct epoll_event, which on x86-64 alone has no gap before it. */
  private static final long KEY_OFFSET = System.getProperty("os.arch").equals("amd64") ? 4 : 8;

  private static final long EVENT_BYTES = KEY_OFFSET + 8;

  // sys/eventfd.h
  private static final int EFD_CLOEXEC = 02000000;

  /** What {@link #await} says when it was woken up. */
  private static final long NOBODY = 0;

  private final int descriptor;

  /** Of an event that has happened. */
  private int wake = -1;

  private static final class Calls {
    static final MethodHandle CREATE = Libc.function("epoll_create1", Libc.INT_OF_INT);
    static final MethodHandle CONTROL =
        Libc.function(
            "epoll_ctl", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS));
    static final MethodHandle WAIT =
        Libc.function(
            "epoll_wait", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
  }

  private static final class Wakes {
    static final MethodHandle EVENT =
        Libc.function("eventfd", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
  }

  /** Without any processes yet. */
  public ProcessEnds() {
    try {
      descriptor = (int) Calls.CREATE.invokeExact(EPOLL_CLOEXEC);
    } catch (Throwable e) {
      throw Libc.unexpected(e);
    }
    if (descriptor < 0) {
      throw new IllegalStateException("no more files can be opened");
    }
  }

  /**
   * Adds one, until it is closed; it may have ended already.
   *
   * @param key what {@link #await} says when it ends, not 0
   */
  public void add(PidFd process, long key) {
    if (add(process.descriptor(), key) != 0) {
      throw new IllegalStateException("a process cannot be watched");
    }
  }

  /** Has whoever is in {@link #await}, or comes there next, return. Idempotent. */
  public synchronized void wakeUp() {
    if (wake >= 0) {
      return;
    }
    try {
      wake = (int) Wakes.EVENT.invokeExact(1, EFD_CLOEXEC);
    } catch (Throwable e) {
      throw Libc.unexpected(e);
    }
    if (wake >= 0) {
      add(wake, NOBODY);
    }
  }

  private int add(int file, long key) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment event = arena.allocate(EVENT_BYTES, Long.BYTES);
      event.set(JAVA_INT, 0, EPOLLIN | EPOLLONESHOT);
      event.set(JAVA_LONG_UNALIGNED, KEY_OFFSET, key);
      return (int) Calls.CONTROL.invokeExact(descriptor, EPOLL_CTL_ADD, file, event);
    } catch (Throwable e) {
      throw Libc.unexpected(e);
    }
  }

  /**
   * The key of one that has ended; empty if none has within {@code limit}, or this was woken up.
   * Each is told once.
   */
  public OptionalLong await(Duration limit) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment event = arena.allocate(EVENT_BYTES, Long.BYTES);
      int count = (int) Calls.WAIT.invokeExact(descriptor, event, 1, (int) limit.toMillis());
      long key = count == 1 ? event.get(JAVA_LONG_UNALIGNED, KEY_OFFSET) : NOBODY;
      return key == NOBODY ? OptionalLong.empty() : OptionalLong.of(key);
    } catch (Throwable e) {
      throw Libc.unexpected(e);
    }
  }

  /** Nobody may be waiting. */
  @Override
  public synchronized void close() {
    if (wake >= 0) {
      Descriptors.close(wake);
    }
    Descriptors.close(descriptor);
  }
}
