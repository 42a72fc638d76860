package dev.zeusd.cli;

import dev.zeusd.ffm.posix.ThisProcess;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;

/**
 * The words of the command line, which are UTF-8 whatever the locale. Java takes them, and the
 * names of files, for what the locale says; without one (in containers, for cron) every other
 * character than those of ASCII becomes the same question mark.
 */
final class Arguments {
  private static final String UTF_8_LOCALE = "C.UTF-8";
  private static final char UNKNOWN = '\uFFFD';

  private Arguments() {}

  /**
   * Gives the words as UTF-8. If the locale is another one, and it matters, the process begins anew
   * in one that is: our launchers set it from the start, but {@code java -jar} does not.
   *
   * @throws ParameterException for words that are no UTF-8
   */
  static String[] inUtf8(String[] args, CommandLine commandLine) {
    if (Arrays.stream(args).allMatch(Arguments::isAscii)) {
      return args;
    }
    if (!System.getProperty("sun.jnu.encoding").equalsIgnoreCase("UTF-8")) {
      try {
        if (!UTF_8_LOCALE.equals(System.getenv("LC_ALL"))) {
          ThisProcess.restartWith("LC_ALL", UTF_8_LOCALE);
        }
        return fromSystem(args.length);
      } catch (CharacterCodingException e) {
        throw new ParameterException(commandLine, "an argument is not UTF-8", e);
      } catch (IOException | RuntimeException | LinkageError e) {
        // As good as it gets: the locale's idea of them.
        return args;
      }
    }
    for (String arg : args) {
      if (arg.indexOf(UNKNOWN) >= 0) {
        throw new ParameterException(commandLine, "the argument '" + arg + "' is not UTF-8");
      }
    }
    return args;
  }

  private static boolean isAscii(String text) {
    return text.chars().allMatch(c -> c < 128);
  }

  /** Where this system has no such locale; file names will still not do. */
  private static String[] fromSystem(int count) throws IOException {
    List<byte[]> words = ThisProcess.commandLine();
    String[] args = new String[count];
    for (int i = 0; i < count; i++) {
      byte[] word = words.get(words.size() - count + i);
      args[i] = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(word)).toString();
    }
    return args;
  }
}
