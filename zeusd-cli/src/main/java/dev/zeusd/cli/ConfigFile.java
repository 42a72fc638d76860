package dev.zeusd.cli;

import dev.zeusd.core.command.GpuCommands;
import dev.zeusd.core.settings.Baseline;
import dev.zeusd.ffm.posix.FileFacts;
import dev.zeusd.ffm.posix.OrdinaryFile;
import dev.zeusd.ffm.posix.Strangers;
import dev.zeusd.server.Limits;
import dev.zeusd.server.auth.Policy;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import picocli.CommandLine.IDefaultValueProvider;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * What a configuration file says.
 *
 * @param file where it is
 * @param options values of options of {@code zeusd serve}, by their long names
 * @param policy who may do what
 * @param baseline what settings of GPUs are to be
 * @param limits how much clients may take
 * @param commands what does some operations on GPUs in the driver's place
 * @param warnings of what may be a mistake, each with its place
 */
record ConfigFile(
    Path file,
    Map<String, String> options,
    Policy policy,
    Baseline baseline,
    Limits limits,
    GpuCommands commands,
    List<String> warnings)
    implements IDefaultValueProvider {
  private static final System.Logger LOG = System.getLogger("dev.zeusd");
  private static final int MAX_BYTES = 1 << 20;

  /**
   * Reads a file.
   *
   * @param serve which options there are
   * @throws StartupException if it cannot be read, or others may write to it
   * @throws ConfigException if it makes no sense
   */
  static ConfigFile read(Path file, CommandSpec serve) {
    return ConfigReader.read(file, text(file, "configuration file"), serve);
  }

  /**
   * What stands in a file that the daemon does what it says.
   *
   * @param kind what it is, for people
   * @throws StartupException if it cannot be read, or others may write to it
   */
  static String text(Path file, String kind) {
    try {
      FileFacts facts = FileFacts.ofTarget(file);
      if (!facts.isRegular()) {
        throw refused(kind, file, "is not a regular file; name one");
      }
      if (Strangers.mayWrite(facts)) {
        throw refused(
            kind,
            file,
            "can be written by others, who could make everything theirs; run: chmod go-w it");
      }
      byte[] bytes = OrdinaryFile.read(file, MAX_BYTES);
      whoReplaces(file, facts)
          .ifPresent(
              who ->
                  LOG.log(
                      System.Logger.Level.WARNING,
                      kind.toUpperCase(Locale.ROOT)
                          + " "
                          + file
                          + " CAN BE REPLACED BY OTHERS: "
                          + who));
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      throw new ConfigException(List.of(file + ":1:1: the file is not UTF-8"));
    } catch (IOException e) {
      throw refused(kind, file, "cannot be read: " + FileFacts.reason(e) + "; check the path");
    }
  }

  private static Optional<String> whoReplaces(Path file, FileFacts facts) throws IOException {
    return Strangers.isTrusted(facts.uid())
        ? Strangers.whoReplaces(file.toAbsolutePath())
        : Optional.of("it belongs to " + Strangers.user(file.toRealPath()));
  }

  private static StartupException refused(String kind, Path file, String why) {
    return new StartupException(kind + " " + file + " " + why);
  }

  /** What the file says of an option; null if nothing, as picocli has it. */
  @Override
  public String defaultValue(ArgSpec argument) {
    return argument instanceof OptionSpec option ? options.get(nameOf(option)) : null;
  }

  /** An option's long name, without the dashes. */
  static String nameOf(OptionSpec option) {
    return option.longestName().replaceFirst("^-+", "");
  }
}
