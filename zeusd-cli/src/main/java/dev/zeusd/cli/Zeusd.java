package dev.zeusd.cli;

import dev.zeusd.client.ZeusdException;
import dev.zeusd.core.NodeException;
import dev.zeusd.server.ServerStartException;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.function.IntSupplier;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The command {@code zeusd}. */
@Command(
    name = "zeusd",
    description = "Read the power and energy of GPUs and CPUs, and change settings of GPUs",
    versionProvider = Zeusd.Version.class,
    mixinStandardHelpOptions = true)
public sealed class Zeusd implements Runnable permits Zeusd.WithAllCommands {
  @Spec private CommandSpec spec;

  /** Runs the command; exits with 0, 1 (could not do it) or 2 (wrong usage). */
  public static void main(String[] args) {
    if (args.length > 0 && args[0].equals("serve")) {
      Lifetime.begin();
    }
    Lifetime.exit(run(args));
  }

  /** The same, but the process goes on. */
  static int run(String... args) {
    CommandLine commandLine = commandLineFor(args);
    // Picocli's own one notices no failure of System.out, which keeps them for itself.
    commandLine.setOut(new PrintWriter(System.out, true, Charset.defaultCharset()));
    try {
      int status = commandLine.execute(Arguments.inUtf8(args, commandLine));
      return status == 0 && commandLine.getOut().checkError() ? notWritten(commandLine) : status;
    } catch (ParameterException e) {
      return wrongUsage(e, args);
    } catch (RuntimeException | Error e) {
      // A defect of ours, or of a library's: even so it is one line.
      return failure(e, commandLine);
    }
  }

  /** With all commands; those who make man pages and completion go by its annotation. */
  @Command(
      subcommands = {
        ServeCommand.class,
        RunCommand.class,
        TopCommand.class,
        EnergyCommand.class,
        TokenCommand.class,
        ConfigCommand.class,
        HelpOfCommand.class
      })
  static final class WithAllCommands extends Zeusd {}

  /** With all commands. */
  static CommandLine commandLine() {
    return commandLine(WholeWords::usualWidth);
  }

  /** With all commands, and a help whose lines have at most {@code helpWidth} characters. */
  static CommandLine commandLine(IntSupplier helpWidth) {
    return setUp(new CommandLine(new WithAllCommands()), helpWidth);
  }

  /**
   * With the command alone that these arguments begin with: to know the options of all the others
   * takes as long as half of a short command.
   */
  static CommandLine commandLineFor(String... args) {
    String first = args.length == 0 ? "" : args[0];
    for (Class<?> command : WithAllCommands.class.getAnnotation(Command.class).subcommands()) {
      if (command != HelpOfCommand.class
          && command.getAnnotation(Command.class).name().equals(first)) {
        CommandLine alone = new CommandLine(new Zeusd()).addSubcommand(first, command);
        return setUp(alone, WholeWords::usualWidth);
      }
    }
    return commandLine();
  }

  private static CommandLine setUp(CommandLine commandLine, IntSupplier helpWidth) {
    WholeWords.setUp(commandLine, helpWidth);
    commandLine.setParameterExceptionHandler(Zeusd::wrongUsage);
    commandLine.setExecutionExceptionHandler(Zeusd::failure);
    // An argument that begins with @ is what it is, not the name of a file with arguments.
    commandLine.setExpandAtFiles(false);
    CommandLine run = commandLine.getSubcommands().get("run");
    if (run != null) {
      // What follows the command that is run is the command's.
      run.setStopAtPositional(true);
    }
    return commandLine;
  }

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "a command is missing: " + subcommands(spec.commandLine()));
  }

  static String subcommands(CommandLine commandLine) {
    return String.join(", ", commandLine.getSubcommands().keySet());
  }

  private static int wrongUsage(ParameterException e, String[] args) {
    PrintWriter err = e.getCommandLine().getErr();
    String command = e.getCommandLine().getCommandSpec().qualifiedName();
    err.println(error(e.getMessage()));
    err.println("For more information, try '" + command + " --help'.");
    err.flush();
    return CommandLine.ExitCode.USAGE;
  }

  /** What was asked for may be done, but whoever waits for what it said has not got that. */
  private static int notWritten(CommandLine commandLine) {
    commandLine
        .getErr()
        .println(error("cannot write to stdout: it is closed, or its disk is full"));
    commandLine.getErr().flush();
    return CommandLine.ExitCode.SOFTWARE;
  }

  private static int failure(Exception e, CommandLine commandLine, CommandLine.ParseResult parsed) {
    return switch (e) {
      case ParameterException usage -> wrongUsage(usage, new String[0]);
      case ConfigException wrong -> wrongConfig(wrong, commandLine);
      default -> failure(e, commandLine);
    };
  }

  /** As for a wrong command line: trying again does not help. */
  private static int wrongConfig(ConfigException e, CommandLine commandLine) {
    commandLine.getErr().println(error(e.getMessage()));
    commandLine.getErr().println("For more information, try 'zeusd config check FILE'.");
    commandLine.getErr().flush();
    return CommandLine.ExitCode.USAGE;
  }

  private static int failure(Throwable e, CommandLine commandLine) {
    Lifetime.awaitEndIfStopping();
    String message =
        switch (e) {
          case NodeException _, StartupException _, ServerStartException _, ZeusdException _ ->
              e.getMessage();
          default ->
              "unexpected failure"
                  + (e.getMessage() == null ? "" : ": " + e.getMessage())
                  + "; --log-level debug tells more";
        };
    commandLine.getErr().println(error(message));
    if (Logging.isDebug()) {
      e.printStackTrace(commandLine.getErr());
    }
    commandLine.getErr().flush();
    return CommandLine.ExitCode.SOFTWARE;
  }

  /** What comes from the command line may hold anything; a line stays one line. */
  static String error(String message) {
    return Logging.errorPrefix() + "error: " + Logging.harmless(message);
  }

  /** The version that the build wrote down. */
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() throws IOException {
      try (InputStream text = Zeusd.class.getResourceAsStream("version")) {
        return new String[] {new String(text.readAllBytes(), StandardCharsets.UTF_8).strip()};
      }
    }
  }
}
