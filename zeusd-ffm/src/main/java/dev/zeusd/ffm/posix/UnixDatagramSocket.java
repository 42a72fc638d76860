package dev.zeusd.ffm.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * Sends datagrams to a Unix socket, which the JDK has streams for only: unix(7). What is too large
 * for one goes as a file in memory that nobody can change any more, as journald takes it:
 * memfd_create(2), and SCM_RIGHTS of unix(7).
 *
 * <p>For one thread at a time. A call may wait until the receiver has room.
 */
public final class UnixDatagramSocket implements AutoCloseable {
  // asm-generic/socket.h, errno.h, fcntl.h and memfd.h, the same wherever there is Java.
  private static final int AF_UNIX = 1;
  private static final int SOCK_DGRAM = 2;
  private static final int SOCK_CLOEXEC = 02000000;
  private static final int SOL_SOCKET = 1;
  private static final int SCM_RIGHTS = 1;
  private static final int MSG_NOSIGNAL = 0x4000;
  private static final int MFD_CLOEXEC = 1;
  private static final int MFD_ALLOW_SEALING = 2;
  private static final int F_ADD_SEALS = 1033;

  /** Against shrinking, growing, writing, and the removal of these. */
  private static final int ALL_SEALS = 1 | 2 | 4 | 8;

  private static final int ENOENT = 2;
  private static final int EACCES = 13;
  private static final int EMSGSIZE = 90;
  private static final int ENOBUFS = 105;
  private static final int ECONNREFUSED = 111;

  /** Of struct sockaddr_un, with its last byte 0. */
  private static final int MAX_PATH_BYTES = 107;

  private static final int PATH = 2;
  private static final int ADDRESS_BYTES = PATH + MAX_PATH_BYTES + 1;

  /** struct msghdr. */
  private static final int MESSAGE_BYTES = 56;

  private static final int CONTROL = 32;
  private static final int CONTROL_LENGTH = 40;

  /** struct cmsghdr, with one descriptor behind it, and that filled up to 8 bytes. */
  private static final int HEADER_BYTES = 16;

  private static final int ONE_DESCRIPTOR = HEADER_BYTES + Integer.BYTES;
  private static final int ONE_DESCRIPTOR_FILLED = HEADER_BYTES + Long.BYTES;

  private final Path path;
  private final int descriptor;

  private UnixDatagramSocket(Path path, int descriptor) {
    this.path = path;
    this.descriptor = descriptor;
  }

  private static final class Calls {
    private static final Linker.Option ERRNO = Linker.Option.captureCallState("errno");
    static final StructLayout STATE = Linker.Option.captureStateLayout();
    static final VarHandle ERROR = STATE.varHandle(MemoryLayout.PathElement.groupElement("errno"));

    static final MethodHandle SOCKET =
        Libc.function(
            "socket", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT), ERRNO);
    static final MethodHandle CONNECT =
        Libc.function(
            "connect", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT), ERRNO);
    static final MethodHandle SEND =
        Libc.function(
            "send",
            FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT),
            ERRNO);
    static final MethodHandle SENDMSG =
        Libc.function(
            "sendmsg", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT), ERRNO);
    static final MethodHandle MEMFD_CREATE =
        Libc.function("memfd_create", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT), ERRNO);
    static final MethodHandle WRITE =
        Libc.function(
            "write", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG), ERRNO);
    static final MethodHandle FCNTL =
        Libc.function(
            "fcntl",
            FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT),
            Linker.Option.firstVariadicArg(2),
            ERRNO);
  }

  /** A call that gives a negative number if it fails, and says why in errno. */
  private interface Call {
    long run(MemorySegment state) throws Throwable;
  }

  private static final class Failed extends IOException {
    private static final long serialVersionUID = 1L;
    private final int error;

    Failed(String what, int error) {
      super(what);
      this.error = error;
    }
  }

  private static long call(Path path, Call call) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Calls.STATE);
      long result = call.run(state);
      if (result < 0) {
        int error = (int) Calls.ERROR.get(state, 0L);
        throw new Failed(path + ": " + inWords(error), error);
      }
      return result;
    } catch (IOException | RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw Libc.unexpected(e);
    }
  }

  private static String inWords(int error) {
    return switch (error) {
      case ENOENT -> "there is no such socket";
      case EACCES -> "permission denied";
      case ECONNREFUSED -> "nobody receives there";
      case EMSGSIZE, ENOBUFS -> "that is too large for it";
      default -> "it does not take it (error " + error + ")";
    };
  }

  /**
   * For datagrams to the socket at {@code path}; one that begins with {@code @} is a name that is
   * no file's.
   *
   * @throws IOException if there is none, or nobody receives there
   */
  public static UnixDatagramSocket connect(Path path) throws IOException {
    byte[] name = path.toString().getBytes(StandardCharsets.UTF_8);
    if (name.length == 0 || name.length > MAX_PATH_BYTES) {
      throw new IOException("'" + path + "' is no path of a socket, which has 1 to 107 bytes");
    }
    int descriptor =
        (int)
            call(
                path,
                state ->
                    (int) Calls.SOCKET.invokeExact(state, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment address = arena.allocate(ADDRESS_BYTES, Long.BYTES);
      address.set(JAVA_SHORT, 0, (short) AF_UNIX);
      MemorySegment.copy(name, 0, address, JAVA_BYTE, PATH, name.length);
      boolean isAbstract = name[0] == '@';
      if (isAbstract) {
        address.set(JAVA_BYTE, PATH, (byte) 0);
      }
      int bytes = isAbstract ? PATH + name.length : ADDRESS_BYTES;
      call(path, state -> (int) Calls.CONNECT.invokeExact(state, descriptor, address, bytes));
      return new UnixDatagramSocket(path, descriptor);
    } catch (IOException | RuntimeException e) {
      Descriptors.close(descriptor);
      throw e;
    }
  }

  /**
   * Sends one.
   *
   * @throws IOException if it was not taken
   */
  public void send(byte[] bytes) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment data = arena.allocateFrom(JAVA_BYTE, bytes);
      call(
          path,
          state ->
              (long)
                  Calls.SEND.invokeExact(state, descriptor, data, data.byteSize(), MSG_NOSIGNAL));
    } catch (Failed e) {
      if (e.error != EMSGSIZE && e.error != ENOBUFS) {
        throw e;
      }
      sendFile(bytes);
    }
  }

  private void sendFile(byte[] bytes) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment name = arena.allocateFrom("zeusd");
      int file =
          (int)
              call(
                  path,
                  state ->
                      (int)
                          Calls.MEMFD_CREATE.invokeExact(
                              state, name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
      try {
        fill(file, arena.allocateFrom(JAVA_BYTE, bytes));
        MemorySegment message = message(arena, file);
        call(
            path,
            state -> (long) Calls.SENDMSG.invokeExact(state, descriptor, message, MSG_NOSIGNAL));
      } finally {
        Descriptors.close(file);
      }
    }
  }

  private void fill(int file, MemorySegment data) throws IOException {
    for (long done = 0; done < data.byteSize(); ) {
      MemorySegment rest = data.asSlice(done);
      done +=
          call(path, state -> (long) Calls.WRITE.invokeExact(state, file, rest, rest.byteSize()));
    }
    call(path, state -> (int) Calls.FCNTL.invokeExact(state, file, F_ADD_SEALS, ALL_SEALS));
  }

  /** One without data, but with a descriptor: struct msghdr, and struct cmsghdr. */
  private static MemorySegment message(Arena arena, int file) {
    MemorySegment control = arena.allocate(ONE_DESCRIPTOR_FILLED, Long.BYTES);
    control.set(JAVA_LONG, 0, ONE_DESCRIPTOR);
    control.set(JAVA_INT, Long.BYTES, SOL_SOCKET);
    control.set(JAVA_INT, Long.BYTES + Integer.BYTES, SCM_RIGHTS);
    control.set(JAVA_INT, HEADER_BYTES, file);
    MemorySegment message = arena.allocate(MESSAGE_BYTES, Long.BYTES);
    message.set(ADDRESS, CONTROL, control);
    message.set(JAVA_LONG, CONTROL_LENGTH, ONE_DESCRIPTOR_FILLED);
    return message;
  }

  @Override
  public void close() {
    Descriptors.close(descriptor);
  }
}
