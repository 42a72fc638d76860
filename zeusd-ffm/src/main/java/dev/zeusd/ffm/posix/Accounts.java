package dev.zeusd.ffm.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.OptionalInt;

/** Users and groups by their names, as the system's name service knows them. */
public final class Accounts {
  /** Of a passwd entry: its name and password come before the uid. */
  private static final long UID_OFFSET = 16;

  /** Of a group entry, in the same way. */
  private static final long GID_OFFSET = 16;

  private static final long ENTRY_BYTES = 128;

  /** For the texts of an entry; a group lists its members. */
  private static final long BUFFER_BYTES = 1 << 20;

  private Accounts() {}

  private static final class Calls {
    // int f(const char *name, struct *entry, char *buffer, size_t, struct **result)
    private static final FunctionDescriptor BY_NAME =
        FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS);
    static final MethodHandle GETPWNAM = Libc.function("getpwnam_r", BY_NAME);
    static final MethodHandle GETGRNAM = Libc.function("getgrnam_r", BY_NAME);
  }

  /** The uid of a user, as the signed number that the JDK makes of it; empty if there is none. */
  public static OptionalInt uid(String name) {
    return number(Calls.GETPWNAM, name, UID_OFFSET);
  }

  /** The gid of a group, in the same way. */
  public static OptionalInt gid(String name) {
    return number(Calls.GETGRNAM, name, GID_OFFSET);
  }

  private static OptionalInt number(MethodHandle byName, String name, long offset) {
    if (name.isEmpty() || name.indexOf('\0') >= 0) {
      return OptionalInt.empty();
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment entry = arena.allocate(ENTRY_BYTES, Long.BYTES);
      MemorySegment found = arena.allocate(ADDRESS);
      MemorySegment buffer = arena.allocate(BUFFER_BYTES);
      int error =
          (int) byName.invokeExact(arena.allocateFrom(name), entry, buffer, BUFFER_BYTES, found);
      boolean isFound = error == 0 && found.get(ADDRESS, 0).address() != 0;
      return isFound ? OptionalInt.of(entry.get(JAVA_INT, offset)) : OptionalInt.empty();
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw Libc.unexpected(e);
    }
  }
}
