package dev.zeusd.ffm.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The running process: as it was started, and as the kernel knows it. */
public final class ThisProcess {
  private ThisProcess() {}

  private static final class Calls {
    static final MethodHandle EXECVE =
        Libc.function("execve", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, ADDRESS));
  }

  /** The words of its command line, as the bytes that they are; the first is the program's name. */
  public static List<byte[]> commandLine() throws IOException {
    return words(Path.of("/proc/self/cmdline"));
  }

  /**
   * Begins anew, by execve(2): the same program with the same words, and one variable of the
   * environment as given. The process keeps its number, and everything else about it is lost.
   *
   * @throws IOException if it goes on instead
   */
  public static void restartWith(String variable, String value) throws IOException {
    List<byte[]> environment = new ArrayList<>(words(Path.of("/proc/self/environ")));
    String start = variable + "=";
    environment.removeIf(entry -> new String(entry, StandardCharsets.ISO_8859_1).startsWith(start));
    environment.add((start + value).getBytes(StandardCharsets.UTF_8));
    try (Arena arena = Arena.ofConfined()) {
      int failed =
          (int)
              Calls.EXECVE.invokeExact(
                  arena.allocateFrom("/proc/self/exe"),
                  array(commandLine(), arena),
                  array(environment, arena));
      throw new IOException("execve gave " + failed);
    } catch (IOException | RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw Libc.unexpected(e);
    }
  }

  /**
   * A line of {@code /proc/self/status}.
   *
   * @param name such as {@code CapEff}
   * @return its values, such as the four of {@code Uid}: real, effective, saved and of files
   * @throws IOException without such a line, or without /proc
   */
  public static List<String> status(String name) throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith(name + ":")) {
        return List.of(line.substring(name.length() + 1).strip().split("\\s+"));
      }
    }
    throw new IOException("/proc/self/status shows no " + name);
  }

  /**
   * The user that it acts as, as {@link FileFacts#uid} has it. (Not the owner of /proc/self: that
   * is root for a process that got capabilities from its program's file.)
   *
   * @throws IOException without /proc
   */
  public static int effectiveUid() throws IOException {
    return effective("Uid");
  }

  /** The same of its group. */
  public static int effectiveGid() throws IOException {
    return effective("Gid");
  }

  private static int effective(String name) throws IOException {
    return Integer.parseUnsignedInt(status(name).get(1));
  }

  private static List<byte[]> words(Path file) throws IOException {
    List<byte[]> words = new ArrayList<>();
    ByteArrayOutputStream word = new ByteArrayOutputStream();
    for (byte b : Files.readAllBytes(file)) {
      if (b == 0) {
        words.add(word.toByteArray());
        word.reset();
      } else {
        word.write(b);
      }
    }
    return words;
  }

  /** A null-terminated array of null-terminated strings. */
  private static MemorySegment array(List<byte[]> words, Arena arena) {
    MemorySegment array = arena.allocate(ADDRESS, words.size() + 1L);
    for (int i = 0; i < words.size(); i++) {
      byte[] word = words.get(i);
      MemorySegment text = arena.allocate(word.length + 1L);
      MemorySegment.copy(word, 0, text, JAVA_BYTE, 0, word.length);
      array.setAtIndex(ADDRESS, i, text);
    }
    return array;
  }
}
